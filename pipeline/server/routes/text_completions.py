"""/v1/completions: go on with a text as it stands, or tell how likely it is; OpenAI's legacy route.

lm-evaluation-harness measures with it (its model `local-completions`): prompts of token ids, echoed with their odds.
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from pipeline.inference.protocol import Finish, Piece, Prompt, Sampling, TokenOdds
from pipeline.server import responses
from pipeline.server.answering import (
    EventStream,
    Tokens,
    after,
    check_others,
    check_room,
    event,
    measured,
    refusals,
    to_the_end,
    watched,
    whole,
)
from pipeline.server.context import Context, ContextDep
from pipeline.server.generations import CHATS_AT_ONCE, Generation
from pipeline.server.http.envelope import ApiError, json_response
from pipeline.server.http.json_bodies import json_body
from pipeline.server.http.openapi import streams, takes
from pipeline.server.requests import MAX_PROMPT_TOKENS, MAX_PROMPTS, CompletionCreate
from pipeline.server.routes.models import find_model

router = APIRouter(prefix="/v1")

# As of /v1/chat/completions: parameters of OpenAI's that this server does not have, and the values that ask nothing.
UNSUPPORTED: dict[str, tuple[object, ...]] = {"best_of": (1,), "logit_bias": ({},), "suffix": ()}
MAX_TOKENS = 16  # of an answer, unless the request says (OpenAI API reference, completions)
AT_ONCE = CHATS_AT_ONCE // 2  # answers of one request, so that it never takes every place
_MAX_VALUES = MAX_PROMPT_TOKENS + 4 * MAX_PROMPTS  # of the JSON, where each token is one

ANSWERS = streams(
    {"application/json": responses.TextCompletion, "text/event-stream": responses.TextCompletion}, 404, 500, 503
)
_Body = Annotated[CompletionCreate, Depends(json_body(CompletionCreate, _MAX_VALUES))]


@router.post("/completions", responses=ANSWERS, openapi_extra=takes(CompletionCreate))
async def create_completion(body: _Body, request: Request, context: ContextDep) -> Response:
    """Go on with each prompt `n` times; the choices of the first prompt come first."""
    prompts = _checked_prompts(body)
    check_room(context)
    gone = threading.Event()
    answers = _Answers(body, prompts, context, gone)
    with refusals(gone, "prompt"):
        async with watched(request, gone):
            if body.stream:
                # As of a chat: what is wrong with the request becomes a status code.
                beginning = whole(answers.generate(0))
                first = await anext(beginning)
                return EventStream(to_the_end(answers.id, answers.chunks(first, beginning)), gone)
            return json_response(await answers.complete())


def _checked_prompts(body: CompletionCreate) -> Sequence[Prompt]:
    check_others(body.model_extra, UNSUPPORTED)
    if body.stream_options is not None and not body.stream:
        raise ApiError(400, "`stream_options` goes with `stream: true` only.", param="stream_options")
    prompts: Sequence[Prompt] = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    if len(prompts) * (body.n or 1) > MAX_PROMPTS:
        raise ApiError(400, f"`n` answers to each prompt are more than {MAX_PROMPTS} in all.", param="n")
    _check_tokens(sum(0 if isinstance(each, str) else len(each) for each in prompts))
    return prompts


def _check_tokens(count: int) -> None:
    if count > MAX_PROMPT_TOKENS:
        message = f"The prompts hold more than {MAX_PROMPT_TOKENS} tokens in all. Send fewer at a time."
        raise ApiError(400, message, param="prompt", code="request_too_large")


class _Answers:
    """The answers to one request, by their index: `n` to the first prompt, then those to the next."""

    def __init__(
        self, body: CompletionCreate, prompts: Sequence[Prompt], context: Context, gone: threading.Event
    ) -> None:
        self.id = responses.new_id("cmpl-")
        self._created = int(time.time())
        self._body = body
        self._prompts = prompts
        self._per_prompt = body.n or 1
        self._context = context
        self._gone = gone
        self._model = find_model(body.model, context)
        self._sampling = Sampling(
            temperature=1.0 if body.temperature is None else body.temperature,
            top_p=1.0 if body.top_p is None else body.top_p,
            max_tokens=MAX_TOKENS if body.max_tokens is None else body.max_tokens,
            stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
            presence_penalty=body.presence_penalty or 0.0,
            frequency_penalty=body.frequency_penalty or 0.0,
            top_logprobs=body.logprobs,
        )
        self._tokens = Tokens()

    def __len__(self) -> int:
        return len(self._prompts) * self._per_prompt

    def generate(self, index: int) -> Generation:
        """What makes the answer of a given index; with a seed, each answer to a prompt has its own."""
        prompt, number = divmod(index, self._per_prompt)
        seed = None if self._body.seed is None else self._body.seed + number
        asked = msgspec.structs.replace(self._sampling, seed=seed)
        chats, echo = self._context.chats, bool(self._body.echo)
        generation = chats.complete(self._model, self._prompts[prompt], asked, self._gone, echo=echo)
        return measured(generation, self._context.metrics)

    async def complete(self) -> responses.TextCompletion:
        """All of them in one piece, made some at a time."""
        choices: dict[int, responses.TextChoice] = {}
        indices = iter(range(len(self)))

        async def work() -> None:
            for index in indices:
                choices[index] = await self._choice(index)

        workers = [asyncio.create_task(work()) for _ in range(min(AT_ONCE, len(self)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return self._told([choices[index] for index in range(len(self))], self._tokens.usage())

    async def _choice(self, index: int) -> responses.TextChoice:
        texts, written = list[str](), self._logprobs()
        async for item in whole(self.generate(index)):
            if isinstance(item, Piece):
                texts.append(item.text)
                if written is not None:
                    written.add(item.tokens)
            else:
                self._count(index, item)
                logprobs = None if written is None else written.take()
                return responses.TextChoice(index, "".join(texts), item.reason, logprobs)
        raise AssertionError("unreachable: whole() ends with a Finish")

    async def chunks(self, first: Piece | Finish, beginning: Generation) -> AsyncGenerator[bytes]:
        """The events of a stream; `first` was taken off the `beginning` of the first answer before."""
        with_usage = self._body.stream_options is not None and bool(self._body.stream_options.include_usage)
        usage = None if with_usage else msgspec.UNSET
        for index in range(len(self)):
            written = self._logprobs()
            async for item in after(first, beginning) if index == 0 else whole(self.generate(index)):
                if isinstance(item, Finish):
                    self._count(index, item)
                    yield event(self._told([responses.TextChoice(index, "", item.reason)], usage))
                    continue
                if written is not None:
                    written.add(item.tokens)
                logprobs = None if written is None else written.take()
                yield event(self._told([responses.TextChoice(index, item.text, None, logprobs)], usage))
        if with_usage:
            yield event(self._told([], self._tokens.usage()))

    def _logprobs(self) -> "_Logprobs | None":
        return None if self._body.logprobs is None else _Logprobs(echo=bool(self._body.echo))

    def _count(self, index: int, finish: Finish) -> None:
        self._tokens.add(finish, index // self._per_prompt)
        _check_tokens(self._tokens.usage().prompt_tokens)  # of texts it is known only now

    def _told(
        self, choices: list[responses.TextChoice], usage: responses.Usage | msgspec.UnsetType | None
    ) -> responses.TextCompletion:
        return responses.TextCompletion(self.id, self._created, self._body.model, choices, usage)


class _Logprobs:
    """Writes the odds of one answer's tokens as they come."""

    def __init__(self, *, echo: bool) -> None:
        self._is_first = echo
        self._offset = 0  # characters that begin before the next token
        self._now = responses.TextLogprobs([], [], [], [])

    def add(self, tokens: Iterable[TokenOdds]) -> None:
        now = self._now
        for token in tokens:
            now.tokens.append(_written(token.data))
            now.token_logprobs.append(None if self._is_first else token.logprob)
            now.top_logprobs.append(None if self._is_first else _top(token))
            within = bool(token.data) and _is_continued(token.data[0])
            now.text_offset.append(self._offset - within)
            self._offset += sum(not _is_continued(byte) for byte in token.data)
            self._is_first = False

    def take(self) -> responses.TextLogprobs:
        """Those since the last time."""
        now, self._now = self._now, responses.TextLogprobs([], [], [], [])
        return now


def _top(token: TokenOdds) -> dict[str, float]:
    """The likeliest tokens and the one that is there, as OpenAI tells them; of two written alike, the likelier."""
    found = {_written(token.data): token.logprob}
    for other in token.top:
        name = _written(other.data)
        found[name] = max(other.logprob, found.get(name, other.logprob))
    return found


def _is_continued(byte: int) -> bool:
    """Whether a byte of UTF-8 goes on with a character."""
    return byte & 0b1100_0000 == 0b1000_0000


def _written(data: bytes) -> str:
    """A token's text; one that is no text by itself as OpenAI writes it, such as ``bytes:\\xf0\\x9f``."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)
