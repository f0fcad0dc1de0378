"""How many tokens an example has: an estimate at once, or exactly as the model counts them."""

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from pipeline.dataset.example import Example
from pipeline.errors import InputError

if TYPE_CHECKING:
    import tiktoken

    from pipeline.models.chat_format import ChatFormat

CHARACTERS_PER_TOKEN = 3.5
_PIECE = 50_000  # characters
TOKENS_PER_MESSAGE = 4  # role and delimiters: <|im_start|>, the role, its line break, <|im_end|>

Role = Literal["system", "user", "assistant"]
TokenCounter = Callable[[Example], int]


class Tokens(Protocol):
    """Counts as one model does.

    Attributes:
        special: finds what the model would take for a control token; None where it knows none.
    """

    special: re.Pattern[str] | None

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text; may be called from any thread."""

    def frame(self, roles: tuple[Role, ...]) -> int:
        """What the template adds to a conversation of these roles."""


def tokens_of(model: str, mode: Literal["exact", "estimate"]) -> Tokens:
    """Return what counts the tokens of `model`.

    Args:
        model: what is fine-tuned: an OpenAI model, or a base model of pipeline.models.base_models.
        mode: "estimate" counts characters, and knows no model; "exact" loads the model's tokenizer first, and for a
            base model converts it if that has not been done.

    Raises:
        InputError: "exact", and the model is unknown here or its tokenizer cannot be had.
    """
    if mode == "estimate":
        return _Estimate()
    return _openai(model) or _base_model(model)


def token_counter(model: str, mode: Literal["exact", "estimate"]) -> TokenCounter:
    """Return a function that counts the tokens of one example, all roles and the template's own tokens included.

    Raises:
        InputError: as `tokens_of`.
    """
    if mode == "estimate":
        return _estimate
    tokens = tokens_of(model, mode)

    def count(example: Example) -> int:
        turns = example["messages"]
        contents = tokens.count([turn["content"] for turn in turns])
        return sum(contents) + tokens.frame(tuple(turn["role"] for turn in turns))

    return count


def _estimate(example: Example) -> int:
    return estimated(sum(len(turn["content"]) for turn in example["messages"]), len(example["messages"]))


def estimated(characters: int, messages: int) -> int:
    """The estimate for an example of so many characters in so many messages."""
    return math.ceil(characters / CHARACTERS_PER_TOKEN) + TOKENS_PER_MESSAGE * messages


class _Estimate:
    special: re.Pattern[str] | None = re.compile(r"<\|[a-z0-9_]{1,40}\|>")  # as most models write theirs

    def count(self, texts: Sequence[str]) -> list[int]:
        return [math.ceil(len(text) / CHARACTERS_PER_TOKEN) for text in texts]

    def frame(self, roles: tuple[Role, ...]) -> int:
        return TOKENS_PER_MESSAGE * len(roles)


class _OpenAI:
    """Counts as OpenAI's cookbook does ("How to count tokens with tiktoken")."""

    def __init__(self, encoding: "tiktoken.Encoding") -> None:
        self._encoding = encoding
        self.special = _any_of(encoding.special_tokens_set)

    def count(self, texts: Sequence[str]) -> list[int]:
        return [self._count_one(text) for text in texts]

    def _count_one(self, text: str) -> int:
        try:  # not encode_ordinary, which panics where this raises
            return len(self._encoding.encode(text, disallowed_special=()))
        except ValueError:  # too many blanks in a row for tiktoken's pattern: in pieces, which may cost a token each
            pieces = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))
            return sum(len(self._encoding.encode(piece, disallowed_special=())) for piece in pieces)

    def frame(self, roles: tuple[Role, ...]) -> int:
        return sum(3 + len(self._encoding.encode_ordinary(role)) for role in roles) + 3


class _BaseModel:
    """Counts as the embedded trainer does."""

    def __init__(self, chat_format: "ChatFormat") -> None:
        self.special = _any_of(chat_format.special)
        self.count = chat_format.count
        self.frame = chat_format.frame


def _any_of(words: "frozenset[str] | set[str]") -> re.Pattern[str] | None:
    return re.compile("|".join(map(re.escape, sorted(words, key=lambda word: (-len(word), word))))) if words else None


def _openai(model: str) -> _OpenAI | None:
    """None for a model that is not OpenAI's."""
    import tiktoken

    try:
        name = tiktoken.encoding_name_for_model(model)
    except KeyError:
        return None
    try:
        return _OpenAI(tiktoken.get_encoding(name))
    except OSError as error:  # tiktoken fetches each vocabulary once
        raise InputError(
            "convert.tokens",
            f"the vocabulary {name} of {model} cannot be downloaded ({type(error).__name__})",
            fix="Set `convert.tokens: estimate`, or run once with access to the internet.",
        ) from None


def _base_model(model: str) -> _BaseModel:
    estimate = "set `convert.tokens: estimate`."
    try:
        from pipeline.models.base_models import is_known, prepare
        from pipeline.models.chat_format import ChatFormat
    except ModuleNotFoundError as error:
        raise InputError(
            "convert.tokens",
            f"counting exactly needs the package {error.name}",
            fix=f"Run `pip install 'finetune-pipeline[local]'`, or {estimate}",
        ) from None
    if not is_known(model):
        raise InputError(
            "convert.tokens", "expected a model whose tokenizer is known here", got=model, fix=estimate.capitalize()
        )
    return _BaseModel(ChatFormat(prepare(model)))
