"""One name for a person whom archives call by several, and who of them is the owner: the `load.people` of a config."""

from collections.abc import Iterator, Mapping, Sequence, Set

from pipeline.archives.addresses import normal_address
from pipeline.errors import InputError
from pipeline.sessions.session import OWNER, Message, Person
from pipeline.sessions.stream import Stream

People = tuple[tuple[str, tuple[str, ...]], ...]
"""Names, each with what archives call that person: a sender, or any of their addresses in any spelling."""


class Aliases:
    """Calls people by the names that the config gives them.

    Attributes:
        found: what archives call somebody, of all that was asked for, as far as it has been met.
    """

    def __init__(self, people: People) -> None:
        self._names = {normal_address(alias): name for name, aliases in people for alias in aliases}
        self.found: set[str] = set()

    def of(self, stream: Stream) -> Stream:
        """The same conversation; who is called OWNER is the archive's owner."""
        session = stream.session
        known: dict[str, str] = {}
        meet = {sender: self._name(sender, person) for sender, person in session.people.items()}
        session.people = _people(session.people, meet)

        def called() -> Iterator[list[Message]]:
            for block in stream.blocks:
                for message in block:
                    if message.is_me:
                        continue
                    name = meet.get(message.sender)
                    if name is None:
                        person = session.people.get(message.sender) or Person(message.sender)
                        name = meet[message.sender] = self._name(message.sender, person)
                    if name != message.sender:
                        known.setdefault(message.sender, name)
                        message.sender, message.is_me = name, name == OWNER
                session.people = _people(session.people, known)
                yield block

        return Stream(session, called())

    def _name(self, sender: str, person: Person) -> str:
        for each in (sender, *person.addresses):
            alias = normal_address(each)
            if alias in self._names:
                self.found.add(alias)
                return self._names[alias]
        return sender


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
            if normal_address(alias) not in found:
                raise InputError(
                    f"load.people.{name}",
                    "nobody in the archives has this name or address",
                    got=alias,
                    fix="Take it out or correct it; `finetune senders CONFIG` lists who is there.",
                )
