"""Who talks in an archive, how much, and who of them is likely its owner."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.chats.session import OWNER, Session


class People(NamedTuple):
    """What is said of an archive before anything is done with it.

    Attributes:
        counts: messages by sender, OWNER where the archive marks its owner.
        sessions: how many.
        characters: of all messages.
        first, last: days such as "2023-08-28"; None where the archive has no times.
        in_sessions: sessions by sender.
    """

    counts: Counter[str]
    sessions: int
    characters: int
    first: str | None
    last: str | None
    in_sessions: Counter[str]

    @property
    def messages(self) -> int:
        """How many messages there are."""
        return self.counts.total()


def survey(sessions: Iterable[Session]) -> People:
    """Count who talks."""
    counts: Counter[str] = Counter()
    in_sessions: Counter[str] = Counter()
    number = characters = 0
    first = last = None
    for session in sessions:
        number += 1
        senders = Counter(message.sender for message in session.messages)
        counts.update(senders)
        in_sessions.update(senders.keys())
        for message in session.messages:
            characters += len(message.content)
            if message.time is not None:
                first = min(first or message.time, message.time)
                last = max(last or message.time, message.time)
    return People(counts, number, characters, first and first[:10], last and last[:10], in_sessions)


def likely_owner(people: People, name: str) -> str | None:
    """Who exported the archive: marked there, or in all its conversations, or whom its name does not name.

    Args:
        name: the file's or folder's; phones call an export after the other person.
    """
    if OWNER in people.counts:
        return OWNER
    everywhere = [sender for sender, number in people.in_sessions.items() if number == people.sessions]
    if people.sessions > 1 and len(everywhere) == 1:
        return everywhere[0]
    others = [sender for sender in people.counts if sender not in name]
    return others[0] if len(others) == 1 and len(people.counts) == 2 else None
