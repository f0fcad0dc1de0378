"""How often each key may ask: so many requests a minute, saved up for at most a minute."""

import math
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.server.http.auth import CLIENT
from pipeline.server.http.envelope import ApiError

Header = tuple[bytes, bytes]


class RateLimitMiddleware:
    """Refuses what is too much, and tells every client how much it has left, in the headers that OpenAI's API sends.

    (OpenAI API guide, rate limits, "Rate limits in headers".) Within the authentication: strangers spend nothing.
    """

    def __init__(self, app: ASGIApp, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._per_minute = per_minute
        self._clock = clock
        self._left: dict[bytes, tuple[float, float]] = {}  # of each key: how many requests, and when

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        client: bytes | None = scope.get(CLIENT)
        if client is None:
            await self._app(scope, receive, send)
            return
        left, then = self._left.get(client, (float(self._per_minute), 0.0))
        now = self._clock()
        left = min(self._per_minute, left + (now - then) * self._per_minute / 60)
        allowed = left >= 1
        if allowed:
            left -= 1
        self._left[client] = (left, now)
        headers = self._headers(left)
        if not allowed:
            wait_s = math.ceil((1 - left) * 60 / self._per_minute)
            raise ApiError(
                429,
                f"Rate limit reached: at most {self._per_minute} requests a minute. Please try again in {wait_s}s.",
                code="rate_limit_exceeded",
                headers={"retry-after": str(wait_s), **{name.decode(): value.decode() for name, value in headers}},
            )

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await self._app(scope, receive, tell)

    def _headers(self, left: float) -> list[Header]:
        full_s = math.ceil((self._per_minute - left) * 60 / self._per_minute)
        return [
            (b"x-ratelimit-limit-requests", b"%d" % self._per_minute),
            (b"x-ratelimit-remaining-requests", b"%d" % left),
            (b"x-ratelimit-reset-requests", b"%ds" % full_s),
        ]
