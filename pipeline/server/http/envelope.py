"""Every answer's frame: JSON bodies, OpenAI's error envelope, the request id, and a limit on what is read."""

import asyncio
import contextlib
import re
import secrets
from typing import NoReturn, cast

import msgspec
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.server import disk_errors
from pipeline.server.http.invalid_requests import UNREADABLE, complaint
from pipeline.server.interfaces import StorageDamaged
from pipeline.server.logs import log_failure

MAX_BODY_BYTES = 16 * 1024 * 1024
# What is still read of a request once it is answered, so that the client gets to see the answer: closing a connection
# with unread data resets it. Whoever sends more, or more slowly, is cut off.
DRAINED_BYTES = 16 * 1024 * 1024
DRAIN_S = 2.0
FAILED = "The server had an error while processing your request."
_MESSAGE_CHARS = 1000  # of an error: some repeat a name that the client chose
_PARAM_CHARS = 200


class ApiError(HTTPException):
    """A request that is refused, as the OpenAI API refuses it.

    Args:
        message: for people; never holds a key or chat text.
        param: the path of the field that is wrong.
        code: for programs, such as ``model_not_found``.
        headers: that go with the answer, such as Retry-After.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.message = message
        self.param = param
        self.code = code


def json_response(body: object, *, status: int = 200) -> Response:
    """Encode wire structs, or lists and dicts of them."""
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")


def new_request_id() -> str:
    """What an answer is called in its x-request-id header, and in the log."""
    return f"req_{secrets.token_hex(16)}"


def error_body(message: str, *, status: int, param: str | None = None, code: str | None = None) -> dict[str, object]:
    """The envelope: all four keys, always (OpenAPI specification, ErrorResponse)."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    shown = param and _shown(param, _PARAM_CHARS)
    return {"error": {"message": _shown(message, _MESSAGE_CHARS), "type": kind, "param": shown, "code": code}}


def _shown(text: str, most: int) -> str:
    """At most so many characters. JSON can name half a surrogate pair, which cannot be sent as UTF-8."""
    return (text if len(text) <= most else text[: most - 1] + "…").encode(errors="replace").decode()


def _error_response(status: int, message: str, *, param: str | None = None, code: str | None = None) -> Response:
    return json_response(error_body(message, status=status, param=param, code=code), status=status)


def add_error_handlers(app: FastAPI) -> None:
    """Make everything that the framework refuses by itself speak the envelope."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(StarletteHTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)


async def _on_api_error(_: Request, error: Exception) -> Response:
    refused = cast(ApiError, error)
    response = _error_response(refused.status_code, refused.message, param=refused.param, code=refused.code)
    response.headers.update(refused.headers or {})
    return response


async def _on_http_error(request: Request, error: Exception) -> Response:
    status = cast(StarletteHTTPException, error).status_code
    route = f"{request.method} {request.url.path}"
    if status == 404:
        return _error_response(404, f"Invalid URL ({route})", code="unknown_url")
    if status == 405:
        refused = _error_response(
            405, f"Not allowed to {request.method} on {request.url.path}.", code="method_not_allowed"
        )
        refused.headers["Allow"] = ", ".join(_allowed(request))
        return refused
    return _error_response(status, UNREADABLE)  # all else that the framework refuses: bytes that are no text, say


def _allowed(request: Request) -> list[str]:
    """The methods that the path takes; the framework's own answer names those of one route only."""
    app: FastAPI = request.app
    paths: dict[str, dict[str, object]] = app.openapi()["paths"]
    for inside in ("[^/]+", ".+"):  # the name of a model may hold a slash, and no other parameter may
        for template, operations in paths.items():
            if re.fullmatch(re.sub(r"\{\w+\}", inside, template), request.url.path):
                return sorted(map(str.upper, operations))
    return []


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    found = complaint(cast(RequestValidationError, error).errors(), None)
    return _error_response(400, found.message, param=found.param, code=found.code)


class EnvelopeMiddleware:
    """Outermost: gives every answer an x-request-id, and turns whatever goes wrong inside into the envelope."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except ApiError as error:
            response = await _on_api_error(Request(scope), error)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  the last resort: a bug of ours must still answer the envelope
            if _is_disconnect(error):
                return
            log_failure(f"{exchange.request_id} {scope['method']} {scope['path']}", error)
            response = _on_failure(error)
        else:
            return
        if not exchange.started:
            await response(scope, exchange.receive, exchange.send)


def _on_failure(error: Exception) -> Response:
    if disk_errors.is_full(error):
        return _error_response(507, "The server's disk is full. Free some space there and send the request again.")
    if isinstance(error, StorageDamaged):
        return _error_response(500, f"The server's store is damaged: {error}.")
    return _error_response(500, FAILED)


def _is_disconnect(error: BaseException) -> bool:
    """A streamed answer reports a client that left from inside a group of tasks."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_disconnect(inner) for inner in error.exceptions)
    return isinstance(error, ClientDisconnect)


class _Exchange:
    """One request and its answer: counts what comes in, and marks what goes out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._read = 0
        headers = dict(scope["headers"])
        self._declared = int(headers.get(b"content-length", b"0"))
        self._all_read = self._declared == 0 and b"transfer-encoding" not in headers
        self._waits = headers.get(b"expect", b"").lower() == b"100-continue"  # and sends a body only when asked to
        is_upload = headers.get(b"content-type", b"").startswith(b"multipart/form-data")
        self._limit = None if is_upload else MAX_BODY_BYTES  # uploads are counted where they are written
        self.request_id = new_request_id()
        self.started = False

    async def receive(self) -> Message:
        """Pass on the request's next message, unless it is too much."""
        if self._limit is not None and self._declared > self._limit:
            _refuse_large(self._limit)
        self._waits = False
        message = await self._receive()
        if message["type"] != "http.request":
            self._all_read = True
            return message
        self._read += len(message.get("body", b""))
        self._all_read = not message.get("more_body", False)
        if self._limit is not None and self._read > self._limit:
            _refuse_large(self._limit)
        return message

    async def send(self, message: Message) -> None:
        """Pass on the answer's next message; before the last one, what is left of the request is read."""
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
            if not self._all_read:
                message["headers"].append((b"connection", b"close"))
        elif not self._all_read and not self._waits and not message.get("more_body", False):
            # The client has the whole answer already, as its length says; what follows only ends the connection.
            await self._send({**message, "more_body": True})
            message = {"type": "http.response.body", "body": b""}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await self._drain()
        await self._send(message)

    async def _drain(self) -> None:
        enough = self._read + DRAINED_BYTES
        while not self._all_read and self._read < enough:
            message = await self._receive()
            self._read += len(message.get("body", b""))
            self._all_read = not message.get("more_body", False)


def _refuse_large(limit: int) -> NoReturn:
    raise ApiError(413, f"The request is too large: at most {limit} bytes are read.", code="request_too_large")
