"""What merge and map do to all sessions of a file: once through, block by block, by two processes if it is large."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipeline.chats.session import Message
from pipeline.chats.stream import Sink, Stream, read_streams, write_stream
from pipeline.chats.transform import give_roles, merge_runs
from pipeline.helper import by_parts


class Merging(msgspec.Struct, frozen=True):
    """Join the runs of one sender in the sessions of a file, or those in a part of it.

    Attributes:
        begin: of the part, in bytes; `end` of it, None for all that follows.
    """

    path: str
    delimiter: str
    max_gap_s: float | None = None
    begin: int = 0
    end: int | None = None


class Merged(msgspec.Struct):
    """How many messages there were, and are."""

    before: int = 0
    after: int = 0


class Casting(msgspec.Struct, frozen=True):
    """Give every message in the sessions of a file its role, or those in a part of it.

    Attributes:
        assistant: senders; OWNER is the owner.
        begin: of the part, in bytes; `end` of it, None for all that follows.
    """

    path: str
    assistant: frozenset[str]
    begin: int = 0
    end: int | None = None


class Cast(msgspec.Struct):
    """How many messages there are of each role, and who speaks."""

    assistant: int = 0
    user: int = 0
    senders: set[str] = msgspec.field(default_factory=set)


def merge_file(task: Merging, file: Sink, folder: Path) -> Merged:
    """Write the sessions merged, one a line.

    Args:
        folder: where a second process may keep its half meanwhile.

    Raises:
        InputError: the file holds something that is no session.
    """
    parts = by_parts("merge", Path(task.path), task, merge_part, file, folder)
    return Merged(sum(part.before for part in parts), sum(part.after for part in parts))


def merge_part(task: Merging, file: Sink) -> Merged:
    """Write what `task` names, merged."""
    merged = Merged()

    def counted(blocks: Iterator[list[Message]]) -> Iterator[list[Message]]:
        for block in blocks:
            merged.before += len(block)
            yield block

    for session, blocks in read_streams(Path(task.path), task.begin, task.end):
        runs = merge_runs(counted(blocks), task.delimiter, task.max_gap_s)
        merged.after += write_stream(file, Stream(session, runs))
    return merged


def cast_file(task: Casting, file: Sink, folder: Path) -> Cast:
    """Write the sessions with their roles, one a line.

    Args:
        folder: where a second process may keep its half meanwhile.

    Raises:
        InputError: the file holds something that is no session.
    """
    parts = by_parts("cast", Path(task.path), task, cast_part, file, folder)
    return Cast(
        sum(part.assistant for part in parts),
        sum(part.user for part in parts),
        {sender for part in parts for sender in part.senders},
    )


def cast_part(task: Casting, file: Sink) -> Cast:
    """Write what `task` names, with roles."""
    cast = Cast()

    def acted(blocks: Iterator[list[Message]]) -> Iterator[list[Message]]:
        for block in blocks:
            count = give_roles(block, task.assistant)
            cast.assistant += count
            cast.user += len(block) - count
            cast.senders.update({message.sender for message in block})
            yield block

    for session, blocks in read_streams(Path(task.path), task.begin, task.end):
        write_stream(file, Stream(session, acted(blocks)))
    return cast
