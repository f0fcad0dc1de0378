"""Messages of an archive that mixes its conversations, put together by conversation and in order of time.

What does not fit in a little memory waits in a file without a name beside the archive, which vanishes with this process
however that ends. A conversation is then read back block by block, so that none is ever held whole; where its messages
are out of order, as many blocks are held as reach over the same time.
"""

import bisect
import os
import tempfile
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

import msgspec

from pipeline.archives.told import TWICE, Told, writable
from pipeline.sessions.session import Message

HELD = 16_000_000
"""Characters of messages that are held, those of every conversation together."""

_OVERHEAD = 200  # what a message takes beside its text
_IN_MEMORY = 1 << 20  # bytes; what is less never touches a disk

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[list[str], list[Message]]).decode


class _Block(NamedTuple):
    """Messages in order of time, in the file.

    Attributes:
        first: the time that the first is ordered by.
    """

    first: str
    at: int
    size: int


class _Talk:
    """A conversation.

    Attributes:
        others: who speaks in it but the owner.
        rises, falls: whether no message so far is earlier, or later, than the one before it.
    """

    __slots__ = ("before", "blocks", "falls", "held", "last", "others", "rises")

    def __init__(self) -> None:
        self.held: list[Message] = []
        self.blocks: list[_Block] = []
        self.others: set[str] = set()
        self.rises = self.falls = True
        self.last: str = ""
        self.before = ""  # the time of the last message before those that are held


class Gathered:
    """The conversations of an archive, or of a part of it.

    Args:
        archive: where it lies.
        once: whether the same words of one person in one second are taken for one message that is there twice, as
            where exports overlap; those left out are told.
    """

    def __init__(self, archive: Path, told: Told, *, once: bool = False) -> None:
        folder = str(archive.parent) if os.access(archive.parent, os.W_OK) else None
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=folder, prefix=".gathered-", suffix=".tmp")  # noqa: SIM115 - closed by close
        self._end = 0
        self._talks: dict[str, _Talk] = {}
        self._held = 0
        self._told = told
        self._is_once = once

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what was put away."""
        self._file.close()

    def __iter__(self) -> Iterator[str]:
        """The keys of the conversations, in the order in which they were met."""
        return iter(list(self._talks))

    def others(self, key: str) -> set[str]:
        """Who speaks in a conversation but the owner."""
        return self._talks[key].others

    def kind(self, key: str) -> Literal["direct", "group"]:
        """What a conversation is, as far as that follows from who speaks in it."""
        return "group" if len(self._talks[key].others) > 1 else "direct"

    def add(self, key: str, message: Message) -> None:
        """A message of the conversation that has this key; one without a time belongs behind the one before it."""
        talk = self._talks.get(key)
        if talk is None:
            talk = self._talks[key] = _Talk()
        time = message.time
        if time is not None and time != talk.last:
            if talk.last:
                if time < talk.last:
                    talk.rises = False
                else:
                    talk.falls = False
            talk.last = time
        if not message.is_me:
            talk.others.add(message.sender)
        talk.held.append(message)
        self._held += len(message.content) + _OVERHEAD
        if self._held > HELD:
            self._put_away()

    def blocks(self, key: str) -> Iterator[list[Message]]:
        """The messages of a conversation, in order of time."""
        talk = self._talks[key]
        blocks = self._in_order(talk) if talk.rises else self._sorted(talk)
        return self._once(blocks) if self._is_once else blocks

    def _put_away(self) -> None:
        """Write down what is held."""
        for talk in self._talks.values():
            if not talk.held:
                continue
            timed = _timed(talk)
            data = _encoded(timed)
            self._file.seek(self._end)
            self._file.write(data)
            talk.blocks.append(_Block(timed[0][0], self._end, len(data)))
            self._end += len(data)
            talk.before = talk.last
            talk.held = []
        self._held = 0

    def _in_order(self, talk: _Talk) -> Iterator[list[Message]]:
        for block in talk.blocks:
            yield [message for _, message in self._read(block)]
        if talk.held:
            yield talk.held

    def _sorted(self, talk: _Talk) -> Iterator[list[Message]]:
        """A merge of blocks that are each in order: what is earlier than all that is still to come goes out."""
        held = _timed(talk) if talk.held else []
        parts: list[tuple[str, _Block | None]] = [(block.first, block) for block in talk.blocks]
        if held:
            parts.append((held[0][0], None))
        waiting: list[tuple[str, Message]] = []
        for first, block in sorted(parts, key=itemgetter(0)):
            cut = bisect.bisect_left(waiting, first, key=itemgetter(0))
            if cut:
                yield [message for _, message in waiting[:cut]]
            waiting = waiting[cut:] + (held if block is None else self._read(block))
            waiting.sort(key=itemgetter(0))
        if waiting:
            yield [message for _, message in waiting]

    def _read(self, block: _Block) -> list[tuple[str, Message]]:
        self._file.seek(block.at)
        times, messages = _decode(self._file.read(block.size))
        return list(zip(times or [message.time or "" for message in messages], messages, strict=True))

    def _once(self, blocks: Iterator[list[Message]]) -> Iterator[list[Message]]:
        time: str | None = None
        said: set[tuple[str, str]] = set()
        for block in blocks:
            kept = []
            for message in block:
                if message.time != time:
                    time = message.time
                    said.clear()
                words = (message.sender, message.content)
                if time is not None and words in said:
                    self._told.drop(TWICE, message.sender, time, message.content, is_me=message.is_me)
                    continue
                said.add(words)
                kept.append(message)
            yield kept


def _timed(talk: _Talk) -> list[tuple[str, Message]]:
    """What is held of a conversation, in order, each with the time that it is ordered by."""
    timed, time = [], talk.before
    for message in talk.held:
        time = message.time or time
        timed.append((time, message))
    if talk.falls and not talk.rises and all(message.time is not None for message in talk.held):
        timed.reverse()  # newest first: so are those of one second
    timed.sort(key=itemgetter(0))
    return timed


def _encoded(timed: list[tuple[str, Message]]) -> bytes:
    """Messages, with the times that they are ordered by where one has none of its own."""
    messages = [message for _, message in timed]
    times = [] if all(message.time is not None for message in messages) else [time for time, _ in timed]
    try:
        return _encode((times, messages))
    except UnicodeEncodeError:
        for message in messages:
            message.content, message.sender = writable(message.content), writable(message.sender)
            if isinstance(message.reply_to, str):
                message.reply_to = writable(message.reply_to)
        return _encode((times, messages))
