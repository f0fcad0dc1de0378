"""The rows of a conversation, out of one file or several, in order of time, each once, as messages.

An export is in order already, as its app wrote it; what is not is put in order within a window, so that memory stays
flat however long a conversation is. Several exports of one conversation are merged while they are read.
"""

import heapq
import itertools
import zlib
from collections.abc import Callable, Hashable, Iterable, Iterator
from datetime import UTC, datetime
from operator import attrgetter
from typing import NamedTuple

import msgspec

from pipeline.archives.told import TWICE, Told, writable
from pipeline.sessions.session import QUOTED, Message

WINDOW = 20_000
"""Rows within which an order is made."""

REMEMBERED = 20_000
"""Messages of a conversation that a later one can quote."""

OUT_OF_ORDER = "earlier than the one before it in the archive"
"""What is said of messages that lay further from their place than WINDOW."""

_BLOCK = 2_000


class Row(msgspec.Struct, array_like=True, gc=False):
    """A row of an archive.

    Attributes:
        at: when, in a form that sorts.
        id: as the archive has it, unique in the conversation.
        message: what was said; or, if that is no speech, what stood there.
        dropped: why it is no speech; None for speech.
        answers: the id of what it replies to.
        noted: what is worth a word about it.
    """

    at: str
    id: str | int | None
    message: Message
    dropped: str | None = None
    answers: str | int | None = None
    noted: str | None = None


class Run(NamedTuple):
    """The rows of one file.

    Attributes:
        first: the earliest `at`.
        rank: the higher, the newer the export: of two versions of a row, its own is taken.
        read: begins to read them.
    """

    first: str
    rank: int
    read: Callable[[], Iterator[list[Row]]]


def in_order(blocks: Iterable[list[Row]]) -> Iterator[list[Row]]:
    """The same rows in order of time; those of one time stay as they are."""
    held: list[Row] = []
    for block in blocks:
        held += block
        if len(held) >= 2 * WINDOW:
            held.sort(key=_at)
            yield held[:-WINDOW]
            del held[:-WINDOW]
    held.sort(key=_at)
    yield held


def held(blocks: Iterable[list[Row]], rank: int) -> Run:
    """The rows of a file that cannot be read again where they are wanted: packed, a tenth of their size."""
    packed = []
    first = None
    for block in in_order(blocks):
        if block:
            first = block[0].at if first is None else first
            parts = (block[at : at + _BLOCK] for at in range(0, len(block), _BLOCK))
            packed += [zlib.compress(_encoded(part), 1) for part in parts]
    return Run(first or "", rank, lambda: (_decoder.decode(zlib.decompress(each)) for each in packed))


def merged(runs: Iterable[Run]) -> Iterator[list[Row]]:
    """The rows of several files in order of time. A file is opened when its time has come.

    Of rows that are the same, the newest file's comes first.
    """
    waiting = sorted(runs, key=lambda run: (run.first, -run.rank), reverse=True)
    heap: list[tuple[str, int, int, Row, Iterator[Row]]] = []
    block: list[Row] = []
    while waiting or heap:
        while waiting and (not heap or waiting[-1].first <= heap[0][0]):
            run = waiting.pop()
            rows: Iterator[Row] = itertools.chain.from_iterable(in_order(run.read()))
            if (row := next(rows, None)) is not None:
                heapq.heappush(heap, (row.at, -run.rank, len(waiting), row, rows))
        if not heap:
            continue
        _, rank, number, row, rows = heap[0]
        block.append(row)
        if len(block) >= _BLOCK:
            yield block
            block = []
        if (following := next(rows, None)) is not None:
            heapq.heapreplace(heap, (following.at, rank, number, following, rows))
        else:
            heapq.heappop(heap)
    yield block


def spoken(blocks: Iterable[list[Row]], told: Told) -> Iterator[list[Message]]:
    """What was said, and what became of the rest; `told` is told of every row.

    Args:
        blocks: in order. Rows of one id and time are one: only the first of them counts.
    """
    said: dict[Hashable, Message] = {}
    last: str | None = None
    ids: set[Hashable] = set()
    for block in blocks:
        told.rows = (told.rows or 0) + len(block)
        messages: list[Message] = []
        for row in block:
            message, identity = row.message, row.id
            if row.at != last:
                if last is not None and row.at < last:
                    told.noted[OUT_OF_ORDER] += 1
                last = row.at
                ids.clear()
            dropped = TWICE if identity in ids else row.dropped
            if identity is not None:
                ids.add(identity)
            if dropped is not None:
                told.drop(dropped, message.sender, message.time, message.content, is_me=message.is_me)
                continue
            if row.noted is not None:
                told.noted[row.noted] += 1
            if row.answers is not None and (original := said.get(row.answers)) and original.sender != message.sender:
                message.reply_to = original.content[:QUOTED]
            if identity is not None:
                said[identity] = message
            messages.append(message)
        if len(said) >= 2 * REMEMBERED:
            for old in list(itertools.islice(said, len(said) - REMEMBERED)):
                del said[old]
        yield messages


def utc_text(written: object) -> str | None:
    """An ISO 8601 time in UTC, to the second, as `Message.time` has it; None if it is no time.

    A time without an offset is kept as it stands: nothing says where it was.
    """
    if not isinstance(written, str):
        return None
    try:
        time = datetime.fromisoformat(written)
        if time.tzinfo is not None:
            time = time.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return f"{time.isoformat(timespec='seconds')}Z"


_at = attrgetter("at")
_decoder = msgspec.json.Decoder(list[Row])


def _encoded(rows: list[Row]) -> bytes:
    try:
        return msgspec.json.encode(rows)
    except UnicodeEncodeError:  # half characters, which cannot be written
        for row in rows:
            row.message.content, row.message.sender = writable(row.message.content), writable(row.message.sender)
        return msgspec.json.encode(rows)
