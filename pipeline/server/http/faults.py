"""The mocked API's faults: what a script has go wrong between client and server."""

import asyncio
import fnmatch
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.server.http.envelope import error_body, json_response
from pipeline.training.scripted import RequestFault


class FaultMiddleware:
    """Lets the faults of a script happen, each `times` times: a request meets the first that fits and is not spent."""

    def __init__(self, app: ASGIApp, faults: Sequence[RequestFault]) -> None:
        self._app = app
        self._faults = faults
        self._met = [0] * len(faults)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or not."""
        fault = self._next(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
            return
        await asyncio.sleep(fault.delay_s)
        if fault.status is None and not fault.cut:
            await self._app(scope, receive, send)
            return
        if fault.after:
            await self._app(scope, receive, _nobody)
        if fault.status is not None:
            response = json_response(
                error_body(fault.message, status=fault.status, code=fault.code), status=fault.status
            )
            if fault.retry_after_s is not None:
                response.headers["Retry-After"] = str(fault.retry_after_s)
            await response(scope, receive, send)
        else:
            headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b'{"id": ', "more_body": True})
            # Returning here, with the answer unfinished, has the server close the connection.

    def _next(self, method: str, path: str) -> RequestFault | None:
        for number, fault in enumerate(self._faults):
            fits = fault.method in (None, method) and fnmatch.fnmatchcase(path, fault.path)
            last = None if fault.times is None else fault.skip + fault.times
            if fits and (last is None or self._met[number] < last):
                self._met[number] += 1
                if self._met[number] > fault.skip:
                    return fault
        return None


async def _nobody(_: Message) -> None:
    """Where a lost answer goes."""
