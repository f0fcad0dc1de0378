"""The notebook preset over a file of sessions: block by block, by two processes if it is large.

What is written is what `to_example` makes of each session; a test holds this.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Literal

import msgspec

from pipeline.chats.session import Message
from pipeline.chats.stream import Sink, read_streams
from pipeline.dataset.funnel import Kept
from pipeline.dataset.tokens import Tokens, estimated
from pipeline.helper import by_parts

HELD = 1 << 20
"""Bytes of a session in which the assistant has not spoken yet; more of them lie in a file."""


class Noting(msgspec.Struct, frozen=True):
    """Turn the mapped sessions of a file into examples, or those in a part of it.

    Attributes:
        folder: where the beginning of a session may lie until the assistant says something in it.
        held_out: ids of the sessions for the validation file.
        begin: of the part, in bytes; `end` of it, None for all that follows.
    """

    path: str
    folder: str
    system_prompt: str | None = None
    held_out: frozenset[str] = frozenset()
    begin: int = 0
    end: int | None = None


class Noted(msgspec.Struct):
    """What became of the sessions.

    Attributes:
        tokens: in each example of the training file, in its order.
        held_out: examples in the validation file.
        train, valid: what the examples in each file hold.
        left_out: sessions in which the assistant says nothing, `left_out_messages` of the archive in them.
    """

    tokens: list[int] = []
    held_out: int = 0
    train: Kept = msgspec.field(default_factory=Kept)
    valid: Kept = msgspec.field(default_factory=Kept)
    left_out: int = 0
    left_out_messages: int = 0

    def __iadd__(self, other: "Noted") -> "Noted":
        self.tokens += other.tokens
        self.held_out += other.held_out
        self.train += other.train
        self.valid += other.valid
        self.left_out += other.left_out
        self.left_out_messages += other.left_out_messages
        return self


class _Turn(msgspec.Struct, gc=False):
    role: Literal["system", "user", "assistant"]
    content: str


def note_file(task: Noting, train: Sink) -> Noted:
    """Write all sessions' examples to `train`, their tokens estimated.

    Args:
        task: holds out nothing.

    Raises:
        InputError: the file holds something that is no session.
    """
    noted = Noted()
    for part in by_parts("note", Path(task.path), task, note_part, train, Path(task.folder)):
        noted += part
    return noted


def note_part(task: Noting, train: Sink, valid: Sink | None = None, tokens: Tokens | None = None) -> Noted:
    """Write the examples that `task` names.

    Args:
        valid: where those held out go.
        tokens: counts exactly; without, tokens are estimated.
    """
    noted = Noted()
    for session, blocks in read_streams(Path(task.path), task.begin, task.end):
        held_out = valid is not None and session.id in task.held_out
        with tempfile.SpooledTemporaryFile(HELD, dir=task.folder, prefix=".note-", suffix=".tmp") as waiting:
            sink = valid if held_out and valid is not None else train
            example = _Example(sink, waiting, task.system_prompt, tokens)
            for block in blocks:
                example.add(block)
            if not example.kept.target:
                noted.left_out += 1
                noted.left_out_messages += example.kept.context + example.kept.context_merged
                continue
            count = example.end()
        if held_out:
            noted.held_out += 1
            noted.valid += example.kept
        else:
            noted.tokens.append(count)
            noted.train += example.kept
    return noted


def usable_ids(path: Path) -> list[str]:
    """The ids of the sessions in which the assistant says anything."""
    return [
        session.id
        for session, blocks in read_streams(path)
        if any(message.role == "assistant" for block in blocks for message in block)
    ]


class _Example:
    """One line; it goes to `waiting` until the assistant says something.

    Attributes:
        kept: what it holds.
    """

    def __init__(self, sink: Sink, waiting: IO[bytes], system_prompt: str | None, tokens: Tokens | None) -> None:
        self.kept = Kept()
        self._sink = sink
        self._waiting = waiting
        self._tokens = tokens
        self._roles: list[Literal["system", "user", "assistant"]] = []
        self._exact = self._characters = self._turns = 0
        waiting.write(b'{"messages":[')
        if system_prompt is not None:
            self._write([_Turn("system", system_prompt)])

    def add(self, block: Iterable[Message]) -> None:
        """What is said next."""
        turns: list[_Turn] = []
        own = own_merged = merged = 0
        for message in block:
            further = (message.merged or 1) - 1
            if message.role == "assistant":
                own += 1
                own_merged += further
                turns.append(_Turn("assistant", message.content))
            else:
                merged += further
                turns.append(_Turn("user", message.content))
        if own and not self.kept.target:
            self._waiting.seek(0)
            while chunk := self._waiting.read(HELD):
                self._sink.write(chunk)
        self.kept += Kept(own, own_merged, len(turns) - own, merged)
        if turns:
            self._write(turns)

    def end(self) -> int:
        """Complete the line; returns its tokens."""
        self._sink.write(b"]}\n")
        if self._tokens is None:
            return estimated(self._characters, self._turns)
        return self._exact + self._tokens.frame(tuple(self._roles))

    def _write(self, turns: list[_Turn]) -> None:
        contents = [turn.content for turn in turns]
        if self._tokens is None:
            self._characters += sum(map(len, contents))
        else:
            self._exact += sum(self._tokens.count(contents))
            self._roles += [turn.role for turn in turns]
        encoded = (b"," if self._turns else b"") + msgspec.json.encode(turns)[1:-1]
        self._turns += len(turns)
        (self._sink if self.kept.target else self._waiting).write(encoded)
