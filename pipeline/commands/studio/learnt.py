"""What would be learnt, for a page: where every message went, examples, and those that hold some words."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.commands.context import as_it_is
from pipeline.commands.inspect import expectations
from pipeline.config.settings import Config
from pipeline.dataset.example import Example, as_text
from pipeline.durable import reading
from pipeline.report.contents import FunnelRow, accounted
from pipeline.report.made import Made
from pipeline.steps.outputs import Convert, replaced

A_PAGE = 5
_MOST_FOUND = 25


class Turn(NamedTuple):
    """One message of an example.

    Attributes:
        who: "learnt", "context" (the person's own, only read), "user" or "system".
    """

    who: str
    words: str


class Shown(NamedTuple):
    """One example, with its number counted from 1."""

    number: int
    turns: list[Turn]


class Learnt(NamedTuple):
    """Everything that the page shows.

    Attributes:
        missing: why there is nothing to show yet; "" where there is.
        reasons: of what was left out or is not learnt, as `finetune inspect --dropped` takes it, with how many.
        first: the number of the first example shown.
        more: the number of the one after the last; 0 where there is none.
        searched: the words, "" for none; `hits` is how many examples hold them, at least.
    """

    name: str
    missing: str
    rows: list[FunnelRow]
    reasons: list[tuple[str, int]]
    redacted: str
    expect: list[tuple[str, str]]
    examples: int
    shown: list[Shown]
    first: int = 1
    more: int = 0
    searched: str = ""
    is_cut: bool = False


def look(path: Path, words: str, first: int) -> Learnt:
    """Read what `convert` made.

    Args:
        words: to be looked for in the examples, in any case; "" shows those from `first` on.

    Raises:
        FinetuneError: the config or the state cannot be read.
    """
    config, state, progress = as_it_is(path)
    made = Made(state, progress)
    converted = made.get(Convert)
    if converted is None:
        return Learnt(config.name, made.missing(Convert) or "", [], [], "", [], 0, [])
    train = state.run_dir / converted.train.path
    found = list(_found(train, words)) if words else list(_from(train, first))
    size = _MOST_FOUND if words else A_PAGE
    return Learnt(
        config.name,
        "",
        list(accounted(converted.funnel)),
        _reasons(converted),
        replaced(converted.redacted) if converted.redacted else "",
        list(_expected(config, converted, state.run_dir)),
        converted.examples,
        found[:size],
        first,
        first + size if not words and len(found) > size else 0,
        words,
        len(found) > size,
    )


def _reasons(converted: Convert) -> list[tuple[str, int]]:
    counts = dict(converted.funnel.dropped)
    for reason, count in converted.funnel.own_context.items():
        counts[reason] = counts.get(reason, 0) + count
    return sorted(counts.items(), key=lambda each: -each[1])


def _expected(config: Config, converted: Convert, run_dir: Path) -> Iterator[tuple[str, str]]:
    for line in expectations(config, converted, run_dir):
        if len(line) == 2:
            (label, _), (said, _) = line
            yield label.strip(), said


def _from(train: Path, first: int) -> Iterator[Shown]:
    with reading(train) as file:
        for number, line in enumerate(file, start=1):
            if number >= first:
                yield Shown(number, _turns(as_text(line)))
            if number >= first + A_PAGE:
                return


def _found(train: Path, words: str) -> Iterator[Shown]:
    wanted, left = words.casefold(), _MOST_FOUND + 1
    with reading(train) as file:
        for number, line in enumerate(file, start=1):
            example = as_text(line)
            if any(wanted in message["content"].casefold() for message in example["messages"]):
                yield Shown(number, _turns(example))
                left -= 1
            if not left:
                return


def _turns(example: Example) -> list[Turn]:
    def who(role: str, weight: int | None) -> str:
        return role if role != "assistant" else "context" if weight == 0 else "learnt"

    return [Turn(who(each["role"], each.get("weight")), each["content"]) for each in example["messages"]]
