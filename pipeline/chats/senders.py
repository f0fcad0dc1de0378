"""Who talks in an archive: how much, since when, until when, in how many chats."""

from collections.abc import Iterable

import msgspec

from pipeline.chats.session import OWNER, Session


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
    people: list[str]
    messages: int
    since: str | None
    until: str | None


def senders_of(sessions: Iterable[Session]) -> list[Sender]:
    """Everybody who says anything, the most talkative first."""
    found: dict[str, Sender] = {}
    for session in sessions:
        here = set()
        for message in session.messages:
            key = OWNER if message.is_me else message.sender
            sender = found.get(key)
            if sender is None:
                sender = found[key] = Sender(key, session.name_of(message.sender), message.is_me)
            sender.messages += 1
            here.add(key)
            if (time := message.time) is not None:
                if sender.since is None or time < sender.since:
                    sender.since = time
                if sender.until is None or time > sender.until:
                    sender.until = time
        for key in here:
            found[key].chats += 1
    return sorted(found.values(), key=lambda sender: (-sender.messages, sender.sender))


def chats_of(sessions: Iterable[Session]) -> list[Chat]:
    """Every conversation, the longest first."""
    found = []
    for session in sessions:
        times = [message.time for message in session.messages if message.time is not None]
        since, until = min(times, default=None), max(times, default=None)
        people = sorted(session.people)
        found.append(Chat(session.id, session.kind, session.title, people, len(session.messages), since, until))
    return sorted(found, key=lambda chat: (-chat.messages, chat.id))
