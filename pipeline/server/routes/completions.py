"""/v1/chat/completions: talk to a base model or a tuned one, streamed or in one piece."""

import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from pipeline.inference.protocol import Finish, ModelRef, Piece, Sampling, TokenOdds
from pipeline.models.messages import ChatMessage
from pipeline.server import responses
from pipeline.server.answering import (
    EventStream,
    Tokens,
    after,
    check_others,
    check_room,
    event,
    measured,
    readable,
    refusals,
    to_the_end,
    watched,
    whole,
)
from pipeline.server.context import Context, ContextDep
from pipeline.server.generations import Generation
from pipeline.server.http.envelope import ApiError, json_response
from pipeline.server.http.json_bodies import json_body
from pipeline.server.http.openapi import streams, takes
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

ANSWERS = streams(
    {"application/json": responses.ChatCompletion, "text/event-stream": responses.ChatChunk}, 404, 500, 503
)

_ChatBody = Annotated[ChatCreate, Depends(json_body(ChatCreate))]


@router.post("/completions", responses=ANSWERS, openapi_extra=takes(ChatCreate))
async def create_chat_completion(body: _ChatBody, request: Request, context: ContextDep) -> Response:
    """Answer a conversation `n` times."""
    _check(body)
    check_room(context)
    model = find_model(body.model, context)
    gone = threading.Event()
    generate = _generator(body, model, context, gone)
    with refusals(gone, "messages"):
        async with watched(request, gone):
            if body.stream:
                # The first piece is awaited here, so that whatever is wrong with the request becomes a status code.
                beginning = whole(generate(0))
                first = await anext(beginning)
                answer_id = _new_id()
                chunks = _chunks(body, answer_id, first, beginning, generate)
                return EventStream(to_the_end(answer_id, chunks), gone)
            return json_response(await _complete(body, generate))


def _check(body: ChatCreate) -> None:
    check_others(body.model_extra, UNSUPPORTED)
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
        return measured(context.chats.generate(model, messages, asked, gone), context.metrics)

    return generate


def _chat_message(message: Message) -> ChatMessage:
    text = message.content if isinstance(message.content, str) else "".join(part.text for part in message.content)
    return ChatMessage("system" if message.role == "developer" else message.role, text)


async def _complete(body: ChatCreate, generate: Callable[[int], Generation]) -> responses.ChatCompletion:
    choices, tokens = [], Tokens()
    for index in range(body.n or 1):
        text, odds = "", list[TokenOdds]()
        async for item in whole(generate(index)):
            if isinstance(item, Piece):
                text += item.text
                odds += item.tokens
            else:
                tokens.add(item)
                logprobs = _logprobs(odds) if body.logprobs else None
                choices.append(responses.ChatChoice(index, responses.ChatAnswer(text), item.reason, logprobs))
    return responses.ChatCompletion(_new_id(), _now(), body.model, choices, tokens.usage())


async def _chunks(
    body: ChatCreate,
    completion_id: str,
    first: Piece | Finish,
    beginning: Generation,
    generate: Callable[[int], Generation],
) -> AsyncGenerator[bytes]:
    """The events of a stream; `first` was taken off the `beginning` before."""
    with_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    created, tokens = _now(), Tokens()

    def chunk(choices: list[responses.ChunkChoice], usage: responses.Usage | None = None) -> bytes:
        told = usage if with_usage else msgspec.UNSET
        return event(responses.ChatChunk(completion_id, created, body.model, choices, told))

    for index in range(body.n or 1):
        yield chunk([responses.ChunkChoice(index, responses.Delta(role="assistant", content=""))])
        async for item in after(first, beginning) if index == 0 else whole(generate(index)):
            if isinstance(item, Piece):
                logprobs = _logprobs(item.tokens) if body.logprobs else None
                yield chunk([responses.ChunkChoice(index, responses.Delta(content=item.text), logprobs=logprobs)])
            else:
                tokens.add(item)
                yield chunk([responses.ChunkChoice(index, responses.Delta(), item.reason)])
    if with_usage:
        yield chunk([], tokens.usage())


def _logprobs(tokens: Sequence[TokenOdds]) -> responses.Logprobs:
    return responses.Logprobs(
        [
            responses.ChosenLogprob(
                readable(token.data),
                token.logprob,
                list(token.data),
                [responses.TokenLogprob(readable(other.data), other.logprob, list(other.data)) for other in token.top],
            )
            for token in tokens
        ]
    )


def _new_id() -> str:
    return responses.new_id("chatcmpl-")


def _now() -> int:
    return int(time.time())
