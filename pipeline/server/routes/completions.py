"""/v1/chat/completions: talk to a base model or a tuned one, streamed or in one piece."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from pipeline.errors import FinetuneError, InputError
from pipeline.inference.generation import ContextLengthError
from pipeline.inference.protocol import Finish, ModelRef, Piece, Sampling, TokenOdds
from pipeline.models.messages import ChatMessage
from pipeline.server import responses
from pipeline.server.context import Context, ContextDep
from pipeline.server.http.envelope import FAILED, ApiError, error_body, json_response
from pipeline.server.http.json_bodies import json_body
from pipeline.server.http.metrics import Metrics
from pipeline.server.http.openapi import streams, takes
from pipeline.server.logs import log_failure
from pipeline.server.requests import ChatCreate, Message
from pipeline.server.routes.models import find_model

router = APIRouter(prefix="/v1/chat")

# Parameters of OpenAI's that this server does not have, and the values that ask for nothing.
UNSUPPORTED: dict[str, tuple[object, ...]] = {
    "audio": (),
    "function_call": (),
    "functions": ([],),
    "logit_bias": ({},),
    "metadata": ({},),
    "modalities": (["text"],),
    "moderation": (),
    "parallel_tool_calls": (),
    "prediction": (),
    "reasoning_effort": (),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "tool_choice": ("none",),
    "tools": ([],),
    "verbosity": ("medium",),
    "web_search_options": (),
}
RETRY_AFTER_S = 5

ANSWERS = streams(
    {"application/json": responses.ChatCompletion, "text/event-stream": responses.ChatChunk}, 404, 500, 503
)

Generation = AsyncGenerator[Piece | Finish]
_ChatBody = Annotated[ChatCreate, Depends(json_body(ChatCreate))]


class Cut(Exception):
    """A generation ended without a Finish: the client has left, or the server is closing."""


@router.post("/completions", responses=ANSWERS, openapi_extra=takes(ChatCreate))
async def create_chat_completion(body: _ChatBody, request: Request, context: ContextDep) -> Response:
    """Answer a conversation `n` times."""
    _check(body)
    if context.chats.is_full():
        headers = {"retry-after": str(RETRY_AFTER_S)}
        raise ApiError(429, "Too many chats are waiting. Try again.", code="rate_limit_exceeded", headers=headers)
    model = find_model(body.model, context)
    gone = threading.Event()
    generate = _generator(body, model, context, gone)
    try:
        async with _watched(request, gone):
            if body.stream:
                # The first piece is awaited here, so that whatever is wrong with the request becomes a status code.
                beginning = _whole(generate(0))
                first = await anext(beginning)
                return _EventStream(_chunks(body, first, beginning, generate), gone)
            return json_response(await _complete(body, generate))
    except Cut:
        if gone.is_set():
            raise ClientDisconnect from None
        raise ApiError(503, "The server is shutting down.") from None
    except ContextLengthError as error:
        raise ApiError(400, str(error), param="messages", code="context_length_exceeded") from None
    except InputError as error:
        raise ApiError(400, str(error), param="model") from None
    except FinetuneError as error:
        raise ApiError(500, str(error)) from None


def _check(body: ChatCreate) -> None:
    for name, value in (body.model_extra or {}).items():
        if value is None:
            continue
        if name not in UNSUPPORTED:
            raise ApiError(400, f"Unrecognized request argument supplied: {name}", param=name, code="unknown_parameter")
        if value not in UNSUPPORTED[name]:
            raise ApiError(400, f"`{name}` is not supported by this server.", param=name, code="unsupported_parameter")
    if body.stream_options is not None and not body.stream:
        raise ApiError(400, "`stream_options` goes with `stream: true` only.", param="stream_options")
    if body.top_logprobs is not None and not body.logprobs:
        raise ApiError(400, "`top_logprobs` goes with `logprobs: true` only.", param="top_logprobs")
    if body.max_tokens is not None and body.max_completion_tokens is not None:
        raise ApiError(400, "Give `max_completion_tokens` or `max_tokens`, not both.", param="max_tokens")


def _generator(
    body: ChatCreate, model: ModelRef, context: Context, gone: threading.Event
) -> Callable[[int], Generation]:
    """What makes the answer of a given index; with a seed, each index has its own."""
    messages = [_chat_message(message) for message in body.messages]
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    sampling = Sampling(
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        max_tokens=body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens,
        stop=stop,
        presence_penalty=body.presence_penalty or 0.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        top_logprobs=(body.top_logprobs or 0) if body.logprobs else None,
    )

    def generate(index: int) -> Generation:
        seed = None if body.seed is None else body.seed + index
        asked = msgspec.structs.replace(sampling, seed=seed)
        return _measured(context.chats.generate(model, messages, asked, gone), context.metrics)

    return generate


async def _measured(generation: Generation, metrics: Metrics) -> Generation:
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


def _chat_message(message: Message) -> ChatMessage:
    text = message.content if isinstance(message.content, str) else "".join(part.text for part in message.content)
    return ChatMessage("system" if message.role == "developer" else message.role, text)


@contextlib.asynccontextmanager
async def _watched(request: Request, gone: threading.Event) -> AsyncIterator[None]:
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


async def _complete(body: ChatCreate, generate: Callable[[int], Generation]) -> responses.ChatCompletion:
    choices, tokens = [], _Tokens()
    for index in range(body.n or 1):
        text, odds = "", list[TokenOdds]()
        async for item in _whole(generate(index)):
            if isinstance(item, Piece):
                text += item.text
                odds += item.tokens
            else:
                tokens.add(item)
                logprobs = _logprobs(odds) if body.logprobs else None
                choices.append(responses.ChatChoice(index, responses.ChatAnswer(text), item.reason, logprobs))
    return responses.ChatCompletion(_new_id(), _now(), body.model, choices, tokens.usage())


async def _whole(generation: Generation) -> Generation:
    """Pass a generation on; Cut if it ends without a Finish."""
    async with contextlib.aclosing(generation):
        async for item in generation:
            yield item
            if isinstance(item, Finish):
                return
    raise Cut


async def _chunks(
    body: ChatCreate, first: Piece | Finish, beginning: Generation, generate: Callable[[int], Generation]
) -> AsyncGenerator[bytes]:
    """The events of a stream; `first` was taken off the `beginning` before."""
    with_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    completion_id, created, tokens = _new_id(), _now(), _Tokens()

    def chunk(choices: list[responses.ChunkChoice], usage: responses.Usage | None = None) -> bytes:
        told = usage if with_usage else msgspec.UNSET
        return _event(responses.ChatChunk(completion_id, created, body.model, choices, told))

    try:
        for index in range(body.n or 1):
            yield chunk([responses.ChunkChoice(index, responses.Delta(role="assistant", content=""))])
            async for item in _after(first, beginning) if index == 0 else _whole(generate(index)):
                if isinstance(item, Piece):
                    logprobs = _logprobs(item.tokens) if body.logprobs else None
                    yield chunk([responses.ChunkChoice(index, responses.Delta(content=item.text), logprobs=logprobs)])
                else:
                    tokens.add(item)
                    yield chunk([responses.ChunkChoice(index, responses.Delta(), item.reason)])
    except Cut:
        yield _event(error_body("The server is shutting down.", status=503))
        return
    except FinetuneError as error:
        yield _event(error_body(str(error), status=500))
        return
    except Exception as error:  # noqa: BLE001  too late for a status: without a word the answer would look complete
        log_failure(completion_id, error)
        yield _event(error_body(FAILED, status=500))
        return
    if with_usage:
        yield chunk([], tokens.usage())
    yield b"data: [DONE]\n\n"


async def _after(first: Piece | Finish, rest: Generation) -> Generation:
    yield first
    async with contextlib.aclosing(rest):
        async for item in rest:
            yield item


def _logprobs(tokens: Sequence[TokenOdds]) -> responses.Logprobs:
    return responses.Logprobs(
        [
            responses.ChosenLogprob(
                _readable(token.data),
                token.logprob,
                list(token.data),
                [responses.TokenLogprob(_readable(other.data), other.logprob, list(other.data)) for other in token.top],
            )
            for token in tokens
        ]
    )


def _readable(data: bytes) -> str:
    """A token's text; bytes that are no character by themselves are spelt out, such as ``\\xf0``."""
    return data.decode(errors="backslashreplace")


def _event(body: object) -> bytes:
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


class _EventStream(StreamingResponse):
    """Server-sent events; whatever ends the stream, the generation ends with it."""

    def __init__(self, events: AsyncGenerator[bytes], gone: threading.Event) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._events = events
        self._gone = gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._gone.set()
            await self._events.aclose()


class _Tokens:
    """Adds up the usage of `n` answers; the prompt is read once."""

    def __init__(self) -> None:
        self._prompt = 0
        self._completion = 0

    def add(self, finish: Finish) -> None:
        self._prompt = finish.prompt_tokens
        self._completion += finish.completion_tokens

    def usage(self) -> responses.Usage:
        return responses.Usage(self._prompt, self._completion, self._prompt + self._completion)


def _new_id() -> str:
    return responses.new_id("chatcmpl-")


def _now() -> int:
    return int(time.time())
