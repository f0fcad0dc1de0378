"""Sessions to sessions: merge runs of one sender, choose who is the assistant. Pure functions.

The results are those of langchain_community.chat_loaders.utils (merge_chat_runs_in_session, map_ai_messages_in_session)
on the same messages; tests hold this against the installed package.
"""

import copy
import itertools
from collections.abc import Iterable, Iterator, Set
from datetime import datetime
from pathlib import Path

import msgspec

from pipeline.sessions.session import OWNER, Message, Session
from pipeline.sessions.stream import Sink, Stream, read_streams, write_stream


def merge_runs(
    blocks: Iterable[list[Message]], delimiter: str, max_gap_s: float | None = None
) -> Iterator[list[Message]]:
    """Join consecutive messages of one sender with `delimiter`; a joined message has the time of its first.

    What somebody forwarded is not joined to what they said: only the latter is learnt.

    Args:
        blocks: the messages of a session, block by block; a run may go on from one to the next.
        max_gap_s: a message that comes more than so many seconds after the one before begins anew; None joins however
            long the pause, as LangChain does.
    """
    run: list[Message] = []
    sender: str | None = None
    borrowed = False
    for block in blocks:
        messages: list[Message] = []
        for message in block:
            if (
                message.sender != sender
                or message.is_borrowed != borrowed
                or (max_gap_s is not None and pause_s(run[-1], message) > max_gap_s)
            ):
                if run:
                    messages.append(run[0] if len(run) == 1 else _merged(run, delimiter))
                run, sender, borrowed = [message], message.sender, message.is_borrowed
            else:
                run.append(message)
        yield messages
    if run:
        yield [run[0] if len(run) == 1 else _merged(run, delimiter)]


def pause_s(before: Message, after: Message) -> float:
    """Seconds from the end of one message to the next; 0 where the archive does not say when."""
    if before.time is None or after.time is None:
        return 0.0
    end = before.until or before.time
    return (datetime.fromisoformat(after.time) - datetime.fromisoformat(end)).total_seconds()


def map_roles(session: Session, assistant: str | list[str]) -> Session:
    """Give every message its role: "assistant" for the named senders, "user" for everybody else.

    Args:
        session: left as it is.
        assistant: a sender, or several; OWNER ("me") stands for the archive's owner whatever the archive calls them.
    """
    messages = [copy.copy(message) for message in session.messages]
    give_roles(messages, {assistant} if isinstance(assistant, str) else set(assistant))
    return msgspec.structs.replace(session, messages=messages)


def give_roles(messages: Iterable[Message], assistant: Set[str]) -> int:
    """Give the messages their roles, as `map_roles` does, in place; returns how many are the assistant's."""
    owner = OWNER in assistant
    count = 0
    for message in messages:
        if message.sender in assistant or (owner and message.is_me):
            message.role = "assistant"
            count += 1
        else:
            message.role = "user"
    return count


def _merged(run: list[Message], delimiter: str) -> Message:
    first, last = run[0], run[-1]
    content = _join([message.content for message in run], delimiter)
    count, only_context = 0, True
    for message in run:
        count += message.merged or 1
        only_context = only_context and message.only_context is True
    until = last.until or last.time or msgspec.UNSET
    return Message(
        first.sender,
        first.is_me,
        first.time,
        content,
        first.role,
        first.reply_to,
        only_context or msgspec.UNSET,
        count,
        until,
    )


def _join(contents: list[str], delimiter: str) -> str:
    """Join as LangChain does, which strips the text so far after each addition, but in linear time."""
    pieces = contents[:1]
    for content in contents[1:]:
        if addition := (delimiter + content).rstrip():
            pieces.append(addition)
        elif len(pieces) == 1:  # a later piece has no white space left to strip
            pieces[0] = pieces[0].rstrip()
    return "".join(pieces).lstrip() if len(contents) > 1 else pieces[0]


class Merged(msgspec.Struct):
    """How many messages there were, and are."""

    before: int = 0
    after: int = 0


class Cast(msgspec.Struct):
    """How many messages there are of each role, who speaks, and who is meant by names that are no sender's.

    Attributes:
        meant: senders by such a name of theirs in the `assistant` that was asked for: OWNER by the owner's name, others
            by any address of theirs.
    """

    assistant: int = 0
    user: int = 0
    senders: set[str] = msgspec.field(default_factory=set)
    meant: dict[str, str] = msgspec.field(default_factory=dict)


def _have_roles(messages: list[Message]) -> bool:
    """Whether they are those of a training example, which says itself who the assistant is."""
    return bool(messages) and messages[0].role is not None


def merge_file(path: Path, file: Sink, delimiter: str, max_gap_s: float | None = None) -> Merged:
    """Write the sessions of a file merged, as `merge_runs` does, one a line; training examples stay as they are.

    Raises:
        InputError: the file holds something that is no session.
    """
    merged = Merged()

    def counted(blocks: Iterator[list[Message]]) -> Iterator[list[Message]]:
        for block in blocks:
            merged.before += len(block)
            yield block

    for session, blocks in read_streams(path):
        first = next(blocks, [])
        read = counted(itertools.chain([first], blocks))
        runs = read if _have_roles(first) else merge_runs(read, delimiter, max_gap_s)
        merged.after += write_stream(file, Stream(session, runs))
    return merged


def cast_file(path: Path, file: Sink, assistant: frozenset[str]) -> Cast:
    """Write the sessions of a file with their roles, as `map_roles` gives them, one a line.

    The messages of training examples keep theirs.

    Args:
        assistant: senders; OWNER is the owner.

    Raises:
        InputError: the file holds something that is no session.
    """
    cast = Cast()

    def acted(blocks: Iterator[list[Message]]) -> Iterator[list[Message]]:
        for block in blocks:
            count = sum(message.is_me for message in block) if _have_roles(block) else give_roles(block, assistant)
            cast.assistant += count
            cast.user += len(block) - count
            cast.senders.update({message.sender for message in block})
            yield block

    for session, blocks in read_streams(path):
        write_stream(file, Stream(session, acted(blocks)))
        # Long sessions have these at their end.
        if session.owner in assistant:
            cast.meant[str(session.owner)] = OWNER
        for sender, person in session.people.items():
            cast.meant.update(dict.fromkeys(assistant.intersection(person.addresses), sender))
    return cast
