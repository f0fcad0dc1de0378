"""What is asked of an engine, and what it answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

Prompt = str | Sequence[int]
"""A text, or its token ids."""


class ModelRef(msgspec.Struct, frozen=True):
    """A model that can be chatted with: a base model, or one with an adapter on it."""

    base_model: str
    adapter: Path | None = None


class Sampling(msgspec.Struct, frozen=True):
    """How the next token is chosen, in OpenAI's terms and ranges. temperature 0 is greedy.

    `top_logprobs` asks for each token's odds, and those of that many others; None asks for nothing.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    top_logprobs: int | None = None


class TokenOdds(msgspec.Struct, frozen=True):
    """A token as its bytes, which may end within a character, and the logarithm of its probability.

    The probability is the model's own, before temperature, top_p and penalties. `top` are the likeliest tokens at this
    place, the likeliest first.
    """

    data: bytes
    logprob: float
    top: tuple["TokenOdds", ...] = ()


class Piece(msgspec.Struct, frozen=True):
    """Text to append to the answer: never half a character, never part of a stop string.

    `tokens` are those that end within it, if their odds were asked for; there may be some where there is no text.
    """

    text: str
    tokens: tuple[TokenOdds, ...] = ()


class Finish(msgspec.Struct, frozen=True):
    """The last thing a generation yields."""

    reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
