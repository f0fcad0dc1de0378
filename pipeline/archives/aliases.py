"""One name for a person whom archives call by several, and who of them is the owner: the `load.people` of a config."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set

from msgspec import UNSET

from pipeline.archives.addresses import exact_address, is_address, is_same_address
from pipeline.errors import InputError
from pipeline.sessions.session import OWNER, Message, Person
from pipeline.sessions.stream import Stream

People = tuple[tuple[str, tuple[str, ...]], ...]
"""Names, each with what archives call that person: a sender, or any of their addresses in any spelling."""


NAMESAKE = (
    "by somebody else who has a name in `load.people.me`: this archive says who its owner is, so that only a phone "
    "number or an email address can add to it"
)
"""What is noted of messages that stay another person's."""


class Aliases:
    """Calls people by the names that the config gives them.

    Args:
        knows_owner: whether the app always says which messages are the owner's. Where an archive says so, another
            person of the owner's name stays another person.
        noted: counts what was kept and may be worth a word.

    Attributes:
        found: what archives call somebody, of all that was asked for, as far as it has been met.
    """

    def __init__(self, people: People, *, knows_owner: bool = False, noted: Counter[str] | None = None) -> None:
        self._names = {exact_address(alias): name for name, aliases in people for alias in aliases}
        self._addresses = [alias for alias in self._names if is_address(alias)]
        self._knows_owner = knows_owner
        self._owner_by_name = any(name == OWNER and not is_address(alias) for alias, name in self._names.items())
        self._noted: Counter[str] = Counter() if noted is None else noted
        self.found: set[str] = set()

    def of(self, stream: Stream) -> Stream:
        """The same conversation; who is called OWNER is the archive's owner."""
        session, blocks = stream
        knows_owner = self._knows_owner or session.owner is not UNSET
        if isinstance(session.owner, str) and (alias := exact_address(session.owner)) in self._names:
            self.found.add(alias)
        if self._owner_by_name and not knows_owner:
            # Whether the owner's messages are marked may show only at the end, and what a name means depends on it.
            held = list(blocks)
            knows_owner = any(message.is_me for block in held for message in block)
            blocks = iter(held)
        known: dict[str, str] = {}
        namesakes: set[str] = set()

        def name_of(sender: str, person: Person) -> str:
            name, is_namesake = self._name(sender, person, knows_owner=knows_owner)
            if is_namesake:
                namesakes.add(sender)
            return name

        meet = {sender: name_of(sender, person) for sender, person in session.people.items()}
        session.people = _people(session.people, meet)

        def called() -> Iterator[list[Message]]:
            for block in blocks:
                for message in block:
                    if message.is_me:
                        continue
                    name = meet.get(message.sender)
                    if name is None:
                        person = session.people.get(message.sender) or Person(message.sender)
                        name = meet[message.sender] = name_of(message.sender, person)
                    if message.sender in namesakes:
                        self._noted[NAMESAKE] += 1
                    if name != message.sender:
                        known.setdefault(message.sender, name)
                        message.sender, message.is_me = name, name == OWNER
                session.people = _people(session.people, known)
                yield block

        return Stream(session, called())

    def _name(self, sender: str, person: Person, *, knows_owner: bool) -> tuple[str, bool]:
        """What to call somebody, and whether they only have the owner's name."""
        called, is_namesake = sender, False
        for alias in (alias for each in (sender, *person.addresses) for alias in self._meant(each)):
            name = self._names[alias]
            if name == OWNER and knows_owner and not is_address(alias):
                self.found.add(alias)
                is_namesake = True
            elif called in (sender, name):
                self.found.add(alias)
                called = name
        return called, is_namesake and called == sender

    def _meant(self, written: str) -> list[str]:
        """The aliases that stand for what an archive calls somebody."""
        exact = exact_address(written)
        if exact in self._names:
            return [exact]
        return [alias for alias in self._addresses if is_same_address(alias, exact)] if is_address(exact) else []


def _people(people: Mapping[str, Person], names: Mapping[str, str]) -> dict[str, Person]:
    """Who is in a conversation, under their new names, with what they were called as addresses."""
    renamed: dict[str, Person] = {}
    for sender, person in people.items():
        name = names.get(sender, sender)
        if name == sender:
            renamed.setdefault(sender, person)
        elif name != OWNER:
            addresses = renamed[name].addresses if name in renamed else []
            renamed[name] = Person(name, list(dict.fromkeys([*addresses, sender, *person.addresses])))
    return renamed


def require_all_met(people: Sequence[tuple[str, Sequence[str]]], found: Set[str]) -> None:
    """Check, once everything is read, that every name stands for somebody.

    Raises:
        InputError: one stands for nobody in the archives.
    """
    for name, aliases in people:
        for alias in aliases:
            if exact_address(alias) not in found:
                raise InputError(
                    f"load.people.{name}",
                    "nobody in the archives has this name or address",
                    got=alias,
                    fix="Take it out or correct it; `finetune senders CONFIG` lists who is there.",
                )
