"""The notebook preset: a session is an example as it is, as LangChain's fine-tuning notebooks make it.

The result is that of langchain_community.adapters.openai.convert_messages_for_finetuning; a test holds this against the
installed package. Nothing is trimmed: an example may begin or end with anybody's turn. A file of sessions is converted
block by block, so that no session is ever held whole; a test holds that the same comes out.
"""

import math
import tempfile
from collections.abc import Iterable, Set
from pathlib import Path
from typing import IO, Literal

import msgspec

from pipeline.dataset.example import Example, Turn
from pipeline.dataset.funnel import Kept
from pipeline.dataset.tokens import CHARACTERS_PER_TOKEN, TOKENS_PER_MESSAGE, Tokens, estimated
from pipeline.sessions.session import Message, Session
from pipeline.sessions.stream import Sink, read_streams

HELD = 1 << 20
"""Bytes of a session in which the assistant has not spoken yet; more of them lie in a file."""


def to_example(session: Session, system_prompt: str | None) -> Example | None:
    """Turn a mapped session into an example, `system_prompt` in front; None where the assistant says nothing.

    A message whose role was never set counts as the user's.
    """
    turns: list[Turn] = [{"role": message.role or "user", "content": message.content} for message in session.messages]
    if not any(turn["role"] == "assistant" for turn in turns):
        return None
    if system_prompt is not None:
        turns.insert(0, {"role": "system", "content": system_prompt})
    return {"messages": turns}


class Noted(msgspec.Struct):
    """What became of the sessions.

    Attributes:
        tokens: in each example of the training file, in its order.
        held_out: examples in the validation file.
        train, valid: what the examples in each file hold.
        left_out: sessions in which the assistant says nothing, `left_out_messages` of the archive in them.
        too_long: examples of the training file that are longer than the trainer takes, `beyond` own turns in their
            ends, which it will not learn.
    """

    tokens: list[int] = []
    held_out: int = 0
    train: Kept = msgspec.field(default_factory=Kept)
    valid: Kept = msgspec.field(default_factory=Kept)
    left_out: int = 0
    left_out_messages: int = 0
    too_long: int = 0
    beyond: int = 0


class _Turn(msgspec.Struct, gc=False):
    role: Literal["system", "user", "assistant"]
    content: str


def note_file(
    path: Path,
    train: Sink,
    valid: Sink | None = None,
    *,
    folder: Path,
    system_prompt: str | None = None,
    held_out: Set[str] = frozenset(),
    tokens: Tokens | None = None,
    most_tokens: int | None = None,
) -> Noted:
    """Write the examples of a file of mapped sessions.

    Args:
        valid: where those of the sessions in `held_out` (ids) go.
        folder: where the beginning of a session may lie until the assistant says something in it.
        tokens: counts exactly; without, tokens are estimated.
        most_tokens: what the trainer takes of an example; None for any number.

    Raises:
        InputError: the file holds something that is no session.
    """
    noted = Noted()
    for session, blocks in read_streams(path):
        is_held_out = valid is not None and session.id in held_out
        with tempfile.SpooledTemporaryFile(HELD, dir=str(folder), prefix=".note-", suffix=".tmp") as waiting:
            sink = valid if is_held_out and valid is not None else train
            example = _Example(sink, waiting, system_prompt, tokens, most_tokens)
            for block in blocks:
                example.add(block)
            if not example.kept.target:
                noted.left_out += 1
                noted.left_out_messages += example.kept.context + example.kept.context_merged
                continue
            count = example.end()
        if is_held_out:
            noted.held_out += 1
            noted.valid += example.kept
        else:
            noted.tokens.append(count)
            noted.train += example.kept
            noted.too_long += most_tokens is not None and count > most_tokens
            noted.beyond += example.beyond
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
        beyond: own turns that end beyond `most_tokens`, by what the template writes around a turn on average.
    """

    def __init__(
        self,
        sink: Sink,
        waiting: IO[bytes],
        system_prompt: str | None,
        tokens: Tokens | None,
        most_tokens: int | None,
    ) -> None:
        self.kept = Kept()
        self.beyond = 0
        self._most = math.inf if most_tokens is None else most_tokens
        self._length, self._around = _frame_of_turns(tokens)
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
            sizes: Iterable[float] = [len(content) / CHARACTERS_PER_TOKEN for content in contents]
            self._characters += sum(map(len, contents))
        else:
            sizes = counts = self._tokens.count(contents)
            self._exact += sum(counts)
            self._roles += [turn.role for turn in turns]
        for turn, size in zip(turns, sizes, strict=True):
            self._length += size + self._around
            self.beyond += turn.role == "assistant" and self._length > self._most
        encoded = (b"," if self._turns else b"") + msgspec.json.encode(turns)[1:-1]
        self._turns += len(turns)
        (self._sink if self.kept.target else self._waiting).write(encoded)


def _frame_of_turns(tokens: Tokens | None) -> tuple[float, float]:
    """Tokens that a template writes before a conversation without a system prompt, and around each turn on average."""
    if tokens is None:
        return 0.0, TOKENS_PER_MESSAGE
    two, four = tokens.frame(("user", "assistant")), tokens.frame(("user", "assistant", "user", "assistant"))
    around = (four - two) / 2
    return two - 2 * around, around
