"""Who talks in an archive: how much, since when, until when, in how many chats."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from pipeline.sessions.session import OWNER
from pipeline.sessions.stream import Stream, read_streams


class Sender(msgspec.Struct):
    """What one sender has said.

    Attributes:
        sender: as `map.assistant` and the filters of `load` take it.
        name: what training data call them.
        is_me: the archive's owner.
        chats: conversations in which they say anything.
        since: the time of their first message, None where the archive has no times.
        until: of their last.
    """

    sender: str
    name: str
    is_me: bool
    messages: int = 0
    chats: int = 0
    since: str | None = None
    until: str | None = None


class Chat(msgspec.Struct):
    """A conversation, as the filters of `load` take it: by `id` or `title`."""

    id: str
    kind: str
    title: str | None
    people: list[str] = []
    messages: int = 0
    since: str | None = None
    until: str | None = None


def senders_of(streams: Iterable[Stream]) -> list[Sender]:
    """Everybody who says anything, the most talkative first."""
    found: dict[str, Sender] = {}
    for session, blocks in streams:
        here: dict[str, Sender] = {}
        for message in itertools.chain.from_iterable(blocks):
            key = OWNER if message.is_me else message.sender
            sender = here.get(key)
            if sender is None:
                sender = here[key] = found.setdefault(key, Sender(key, key, message.is_me))
                sender.chats += 1
            sender.messages += 1
            _meet(sender, message.time)
        for key, sender in here.items():
            sender.name = session.name_of(key)
    return sorted(found.values(), key=lambda sender: (-sender.messages, sender.sender))


def chats_of(streams: Iterable[Stream]) -> list[Chat]:
    """Every conversation, the longest first."""
    found = []
    for session, blocks in streams:
        chat = Chat(session.id, session.kind, session.title)
        for message in itertools.chain.from_iterable(blocks):
            chat.messages += 1
            _meet(chat, message.time)
        if chat.messages:
            chat.people = sorted(session.people)
            found.append(chat)
    return sorted(found, key=lambda chat: (-chat.messages, chat.id))


def _meet(row: Sender | Chat, time: str | None) -> None:
    """Widen the span of time."""
    if time is not None:
        if row.since is None or time < row.since:
            row.since = time
        if row.until is None or time > row.until:
            row.until = time


def names_in(path: Path) -> Iterator[str]:
    """Everybody in a file of sessions, by what training data call them; some more than once."""
    for session, blocks in read_streams(path):
        for _ in blocks:  # who is in it is complete after them
            pass
        for person in session.people.values():
            yield person.name
