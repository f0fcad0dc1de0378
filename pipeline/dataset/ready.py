"""The preset for training examples that are ready: each line is written as it stands, and counted."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Any

import msgspec

from pipeline.dataset import example
from pipeline.dataset.example import as_text
from pipeline.dataset.funnel import Lost, Tally, Turn
from pipeline.dataset.tokens import Tokens
from pipeline.errors import InputError
from pipeline.sessions.stream import Sink, read_streams


class Noted(msgspec.Struct):
    """What became of the examples.

    Attributes:
        tokens: of each in the training file, in its order.
        held_out: examples in the validation file.
        too_long: examples of the training file that are longer than the trainer takes, `beyond` targets in their ends.
        prompts: system prompts, by how many targets have them.
    """

    tokens: list[int] = []
    held_out: int = 0
    too_long: int = 0
    beyond: int = 0
    prompts: Counter[str] = msgspec.field(default_factory=Counter)


class Ready:
    """Writes a file of sessions that are training examples.

    Args:
        path: the mapped sessions.
        held_out: ids of those for validation.
        most_tokens: what the trainer takes of an example; None for any number.
        text_only: the trainer knows neither tools nor images.

    Attributes:
        train, valid: what the examples in each file hold.
    """

    def __init__(
        self,
        path: Path,
        tokens: Tokens,
        *,
        held_out: Set[str] = frozenset(),
        most_tokens: int | None = None,
        text_only: bool = False,
    ) -> None:
        self._path = path
        self._tokens = tokens
        self._held_out = held_out
        self._most = most_tokens
        self._text_only = text_only
        self.train, self.valid = Tally(), Tally()

    def write(self, train: Sink, validation: Callable[[], Sink]) -> Noted:
        """Write the lines as they stand.

        Raises:
            InputError: the trainer cannot learn from one; names its file and line.
        """
        noted = Noted()
        for where, line in examples(self._path):
            if self._text_only:
                _require_text(where, line)
            is_held_out = where in self._held_out
            tally = self.valid if is_held_out else self.train
            ends = self._count(line, tally, noted.prompts)
            if is_held_out:
                noted.held_out += 1
            else:
                noted.tokens.append(ends[-1])
                noted.too_long += self._most is not None and ends[-1] > self._most
                noted.beyond += 0 if self._most is None else sum(end > self._most for end in ends[:-1])
            (validation() if is_held_out else train).write(line + b"\n")
        return noted

    def _count(self, line: bytes, tally: Tally, prompts: Counter[str]) -> list[int]:
        """Tell the tally of an example's messages; at which token each target ends, about, and how many there are."""
        turns = as_text(line)["messages"]
        lengths = self._tokens.count([turn["content"] for turn in turns])
        frame = self._tokens.frame(tuple(turn["role"] for turn in turns))
        targets = count_messages(turns, tally)
        if turns[0]["role"] == "system":
            prompts[turns[0]["content"]] += len(targets)
        sums = list(itertools.accumulate(lengths))
        ends = [sums[at] + frame * (at + 1) // len(turns) for at in targets]
        return [*ends, sums[-1] + frame + self._tools(line)]

    def _tools(self, line: bytes) -> int:
        """Tokens of the tools that an example describes, about."""
        whole: dict[str, Any] = msgspec.json.decode(line)
        described = [whole[key] for key in ("tools", "functions") if whole.get(key)]
        return sum(self._tokens.count([msgspec.json.encode(each).decode() for each in described])) if described else 0


def count_messages(turns: list[example.Turn], tally: Tally) -> list[int]:
    """Tell the tally of an example's messages; returns which of them are targets."""
    targets = []
    for at, turn in enumerate(turns):
        is_own = turn["role"] == "assistant"
        if is_own and turn.get("weight") != 0:
            tally.learnt(Turn(True, turn["content"], 1))
            targets.append(at)
        else:
            tally.shown(Turn(is_own, turn["content"], 1, lost=Lost.WEIGHT if is_own else None))
    return targets


def examples(path: Path) -> Iterator[tuple[str, bytes]]:
    """The lines in a file of sessions, each with its session's id, which names its file and line."""
    for session, blocks in read_streams(path):
        for _ in blocks:  # a long session is complete after them
            pass
        if isinstance(session.example, str):
            yield session.id, session.example.encode()


def _require_text(where: str, line: bytes) -> None:
    from pipeline.training.examples import ExamplesError, parse_example

    try:
        parse_example(line, 1, "training_file")
    except ExamplesError as error:
        raise InputError(
            where,
            f"the embedded trainer learns from text alone ({error.what})",
            fix="Take out what is no text, or train on a backend that takes it; docs/backends.md names some.",
        ) from None
