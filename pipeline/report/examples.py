"""What the training examples look like: how long they are, and a few of them."""

import dataclasses
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.dataset.example import Example, as_text
from pipeline.dataset.tokens import TokenCounter, token_counter
from pipeline.errors import InputError
from pipeline.models.base_models import is_prepared

BINS = 16
SHOWN = 3
TURNS_SHOWN = 12
CHARACTERS_SHOWN = 1200
_TAIL = 0.98
"""Part of the examples that have bars of their own; the longest share the last one, if they are much longer."""


@dataclasses.dataclass(frozen=True)
class Turn:
    """One message of an example; `cut` counts the characters that are left out."""

    role: str
    content: str
    cut: int


@dataclasses.dataclass(frozen=True)
class Sample:
    """One example to look at; `more` counts the turns that are left out."""

    number: int
    tokens: int
    turns: list[Turn]
    more: int


@dataclasses.dataclass(frozen=True)
class Bin:
    """Examples of `low` to `high` tokens, both included; `high` is None for the last bar, which takes the rest."""

    low: int
    high: int | None
    train: int
    valid: int

    @property
    def label(self) -> str:
        """As a person reads it."""
        if self.high is None:
            return f"{self.low:,} and more"
        return f"{self.low:,}" if self.low == self.high else f"{self.low:,} to {self.high:,}"


@dataclasses.dataclass(frozen=True)
class Lengths:
    """How long the examples are.

    Attributes:
        exact: counted with the model's own tokenizer; else estimated from characters.
        turns_least, turns_median, turns_most: messages in an example.
        assistant_share: the part of all messages that is the assistant's, system prompts aside; 0 to 1.
        samples: from the beginning, the middle and the end of the training file; empty unless asked for.
    """

    exact: bool
    tokens: int
    least: int
    median: int
    most: int
    turns_least: int
    turns_median: int
    turns_most: int
    assistant_share: float
    bins: list[Bin]
    samples: list[Sample]


def describe(train: Path, valid: Path | None, model: str, exact: bool, with_text: bool) -> Lengths:
    """Read the files once and count.

    Args:
        model: whose tokenizer counts, if `exact` is asked for; where it cannot be had here and now, the counts are
            estimates.
    """
    count, exact = _counter(model, exact)
    turns, own = [], 0
    lengths = []
    for example in _read(train):
        lengths.append(count(example))
        roles = [turn["role"] for turn in example["messages"] if turn["role"] != "system"]
        turns.append(len(roles))
        own += roles.count("assistant")
    held_out = [count(example) for example in _read(valid)] if valid is not None else []
    return Lengths(
        exact=exact,
        tokens=sum(lengths),
        least=min(lengths),
        median=statistics.median_low(lengths),
        most=max(lengths),
        turns_least=min(turns),
        turns_median=statistics.median_low(turns),
        turns_most=max(turns),
        assistant_share=own / max(1, sum(turns)),
        bins=histogram(lengths, held_out),
        samples=_samples(train, lengths) if with_text else [],
    )


def histogram(train: list[int], valid: list[int]) -> list[Bin]:
    """At most BINS bars of equal, round width, and one more for a long tail; empty bars between are kept."""
    train, valid = sorted(train), sorted(valid)
    lengths = sorted([*train, *valid])
    low, usual, most = lengths[0], lengths[int(_TAIL * (len(lengths) - 1))], lengths[-1]
    end = most if most <= 2 * usual else usual
    width = _round_width((end - low + 1) / BINS)
    start = low // width * width
    edges = list(range(start, end + 1, width))
    bins = [_bin(edge, edge + width - 1, train, valid) for edge in edges]
    after = edges[-1] + width
    return bins if most < after else [*bins, _bin(after, None, train, valid)]


def _bin(low: int, high: int | None, train: list[int], valid: list[int]) -> Bin:
    def within(lengths: list[int]) -> int:
        return (len(lengths) if high is None else bisect_right(lengths, high)) - bisect_left(lengths, low)

    return Bin(low, high, within(train), within(valid))


def _round_width(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, ... that is at least `least`."""
    power = 1
    while True:
        for step in (1, 2, 5):
            if step * power >= least:
                return step * power
        power *= 10


def _counter(model: str, exact: bool) -> tuple[TokenCounter, bool]:
    if exact and is_prepared(model):
        try:
            return token_counter(model, "exact"), True
        except InputError:  # no network for the vocabulary, or the extra `local` is not installed here
            pass
    return token_counter(model, "estimate"), False


def _read(path: Path) -> Iterator[Example]:
    with path.open("rb") as file:
        yield from map(as_text, file)


def _samples(train: Path, lengths: list[int]) -> list[Sample]:
    last = len(lengths) - 1
    chosen = {round(last * n / (SHOWN - 1)) for n in range(SHOWN)}
    examples: Iterable[tuple[int, Example]] = enumerate(_read(train))
    return [_sample(number, lengths[number], example) for number, example in examples if number in chosen]


def _sample(number: int, tokens: int, example: Example) -> Sample:
    messages = example["messages"]
    turns = [
        Turn(turn["role"], turn["content"][:CHARACTERS_SHOWN], max(0, len(turn["content"]) - CHARACTERS_SHOWN))
        for turn in messages[:TURNS_SHOWN]
    ]
    return Sample(number + 1, tokens, turns, max(0, len(messages) - TURNS_SHOWN))
