"""Bearer keys: who may talk to the server."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.server import keys
from pipeline.server.http.envelope import ApiError
from pipeline.server.http.openapi import OPEN_PATHS

CLIENT = "finetune.client"
"""Where a request's scope says whose it is: the hash of the key."""


class AuthMiddleware:
    """Lets nobody through without a key, to any path but OPEN_PATHS, and before anything of the body is read."""

    def __init__(self, app: ASGIApp, digests: frozenset[bytes]) -> None:
        self._app = app
        self._digests = digests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            scope[CLIENT] = self._check(Headers(scope=scope).get("authorization", ""))
        await self._app(scope, receive, send)

    def _check(self, header: str) -> bytes:
        scheme, _, key = header.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise ApiError(
                401,
                "You didn't provide an API key. You need to provide your API key in an Authorization header using "
                "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            )
        shown = keys.digest(key.strip())
        if not keys.is_known(shown, self._digests):
            raise ApiError(
                401,
                "Incorrect API key provided. Use the key that this server was started with.",
                code="invalid_api_key",
            )
        return shown
