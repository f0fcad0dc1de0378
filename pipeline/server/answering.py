"""What the two ways of asking a model have in common: who may ask, who listens, and how an answer ends."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping

import msgspec
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from pipeline.errors import FinetuneError, InputError
from pipeline.inference.generation import ContextLengthError, PromptError
from pipeline.inference.protocol import Finish, Piece
from pipeline.server import responses
from pipeline.server.context import Context
from pipeline.server.generations import Generation
from pipeline.server.http.envelope import FAILED, ApiError, error_body
from pipeline.server.http.metrics import Metrics
from pipeline.server.logs import log_failure

RETRY_AFTER_S = 5


class Cut(Exception):
    """A generation ended without a Finish: the client has left, or the server is closing."""


def check_others(others: Mapping[str, object] | None, unsupported: Mapping[str, tuple[object, ...]]) -> None:
    """See that what a request says besides its fields asks for nothing.

    Args:
        unsupported: OpenAI's parameters that this server does not have, and the values that ask for nothing.

    Raises:
        ApiError: it asks for something.
    """
    for name, value in (others or {}).items():
        if value is None:
            continue
        if name not in unsupported:
            raise ApiError(400, f"Unrecognized request argument supplied: {name}", param=name, code="unknown_parameter")
        if value not in unsupported[name]:
            raise ApiError(400, f"`{name}` is not supported by this server.", param=name, code="unsupported_parameter")


def check_room(context: Context) -> None:
    """See that one more answer can wait for its turn.

    Raises:
        ApiError: too many do.
    """
    if context.chats.is_full():
        headers = {"retry-after": str(RETRY_AFTER_S)}
        raise ApiError(429, "Too many chats are waiting. Try again.", code="rate_limit_exceeded", headers=headers)


@contextlib.contextmanager
def refusals(gone: threading.Event, text: str) -> Iterator[None]:
    """Make a status of what ends a generation in the block; `text` is the parameter that the model reads."""
    try:
        yield
    except Cut:
        if gone.is_set():
            raise ClientDisconnect from None
        raise ApiError(503, "The server is shutting down.") from None
    except ContextLengthError as error:
        raise ApiError(400, str(error), param=text, code="context_length_exceeded") from None
    except PromptError as error:
        raise ApiError(400, str(error), param=text) from None
    except InputError as error:
        raise ApiError(400, str(error), param="model") from None
    except FinetuneError as error:
        raise ApiError(500, str(error)) from None


async def to_the_end(answer_id: str, events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Pass the events of a stream on; whatever breaks it off is its last event.

    It is too late for a status: without a word the answer would look complete.
    """
    try:
        async with contextlib.aclosing(events):
            async for each in events:
                yield each
    except Cut:
        yield event(error_body("The server is shutting down.", status=503))
    except FinetuneError as error:
        yield event(error_body(str(error), status=500))
    except Exception as error:  # noqa: BLE001
        log_failure(answer_id, error)
        yield event(error_body(FAILED, status=500))
    else:
        yield b"data: [DONE]\n\n"


async def measured(generation: Generation, metrics: Metrics) -> Generation:
    """Pass a generation on, and count its tokens and the time to its first word."""
    began, is_first = time.perf_counter(), True
    async with contextlib.aclosing(generation):
        async for item in generation:
            if is_first:
                metrics.first_word_seconds.observe(time.perf_counter() - began)
                is_first = False
            if isinstance(item, Finish):
                metrics.tokens.labels("prompt").inc(item.prompt_tokens)
                metrics.tokens.labels("completion").inc(item.completion_tokens)
            yield item


@contextlib.asynccontextmanager
async def watched(request: Request, gone: threading.Event) -> AsyncIterator[None]:
    """Set `gone` when the client leaves meanwhile."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone.set()

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()


async def whole(generation: Generation) -> Generation:
    """Pass a generation on; Cut if it ends without a Finish."""
    async with contextlib.aclosing(generation):
        async for item in generation:
            yield item
            if isinstance(item, Finish):
                return
    raise Cut


async def after(first: Piece | Finish, rest: Generation) -> Generation:
    """`first`, and then the rest."""
    yield first
    async with contextlib.aclosing(rest):
        async for item in rest:
            yield item


def readable(data: bytes) -> str:
    """A token's text; bytes that are no character by themselves are spelt out, such as ``\\xf0``."""
    return data.decode(errors="backslashreplace")


def event(body: object) -> bytes:
    """One server-sent event."""
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


class EventStream(StreamingResponse):
    """Server-sent events; whatever ends the stream, the generation ends with it."""

    def __init__(self, events: AsyncGenerator[bytes], gone: threading.Event) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._events = events
        self._gone = gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._gone.set()
            await self._events.aclose()


class Tokens:
    """Adds up the usage of several answers; a prompt is read once for all of its own."""

    def __init__(self) -> None:
        self._prompts: dict[int, int] = {}
        self._completion = 0

    def add(self, finish: Finish, prompt: int = 0) -> None:
        """Count an answer to the prompt of that number."""
        self._prompts[prompt] = finish.prompt_tokens
        self._completion += finish.completion_tokens

    def usage(self) -> responses.Usage:
        """All of them so far."""
        read = sum(self._prompts.values())
        return responses.Usage(read, self._completion, read + self._completion)
