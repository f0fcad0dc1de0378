"""What is said of an archive before anything is done with it, and who is likely its owner."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipeline.sessions.senders import Sender, senders_of
from pipeline.sessions.session import OWNER, Message
from pipeline.sessions.stream import Stream

_MOST, _LONGEST = 400, 300
"""Messages of a sender that are kept, and characters of each."""


class People(NamedTuple):
    """Who talks in an archive.

    Attributes:
        counts: messages by sender, the most talkative first; OWNER where the archive marks its owner.
        everywhere: who talks in every conversation.
        sessions: how many conversations.
        characters: of all messages.
        first, last: days such as "2023-08-28"; None where the archive has no times.
        turns: what each sender said before another did, by sender: about as many replies can be learnt.
        said: some of what each sender said, from all over the archive; never shown.
        others: senders by what else they are called, in small letters: the owner's name, an account's beside the name
            that is shown, a number.
    """

    counts: dict[str, int]
    everywhere: list[str]
    sessions: int
    characters: int
    first: str | None
    last: str | None
    others: dict[str, str]
    turns: dict[str, int]
    said: dict[str, list[str]]

    def meant(self, said: str) -> str:
        """The sender who is meant if somebody is called so beside their name; else what was said."""
        return said if said in self.counts or said.isdecimal() else self.others.get(said.lower(), said)

    @property
    def messages(self) -> int:
        """How many messages there are."""
        return sum(self.counts.values())


def survey(streams: Iterable[Stream]) -> People:
    """Count who talks."""
    number = characters = 0
    others: dict[str, str] = {}
    turns, samples = Counter[str](), defaultdict[str, _Sample](_Sample)

    def blocks(stream: Stream) -> Iterator[list[Message]]:
        nonlocal characters
        before = None
        for block in stream.blocks:
            for message in block:
                characters += len(message.content)
                samples[message.sender].add(message.content)
                turns[message.sender] += message.sender != before
                before = message.sender
            yield block

    def counted() -> Iterator[Stream]:
        nonlocal number
        for stream in streams:
            number += 1
            yield Stream(stream.session, blocks(stream))
            for sender, person in stream.session.people.items():
                others.update({address.lower(): sender for address in person.addresses})
            if owner := stream.session.owner:
                others.update({owner.lower(): OWNER, owner.split()[0].lower(): OWNER})

    senders: list[Sender] = senders_of(counted())
    counts = {sender.sender: sender.messages for sender in senders}
    times = [time for sender in senders for time in (sender.since, sender.until) if time is not None]
    return People(
        counts=counts,
        everywhere=[sender.sender for sender in senders if sender.chats == number],
        sessions=number,
        characters=characters,
        first=min(times)[:10] if times else None,
        last=max(times)[:10] if times else None,
        others={name: sender for name, sender in others.items() if sender in counts},
        turns=dict(turns),
        said={sender: samples[sender].kept for sender in counts},
    )


class _Sample:
    """Some of many texts, evenly spread over all of them, whose number nobody knows beforehand."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self._every, self._seen = 1, 0

    def add(self, text: str) -> None:
        """One more."""
        if self._seen % self._every == 0:
            self.kept.append(text[:_LONGEST])
        self._seen += 1
        if len(self.kept) > _MOST:
            self.kept, self._every = self.kept[::2], 2 * self._every


def likely_owner(people: People, name: str) -> str | None:
    """Who exported the archive: marked there, or in all its conversations, or whom its name does not name.

    Args:
        name: the file's or folder's; phones call an export after the other person.
    """
    if OWNER in people.counts:
        return OWNER
    if people.sessions > 1 and len(people.everywhere) == 1:
        return people.everywhere[0]
    others = [sender for sender in people.counts if sender not in name]
    return others[0] if len(others) == 1 and len(people.counts) == 2 else None
