"""What training data call people, and how an archive's people are told apart."""

from collections.abc import Iterator
from typing import Literal

from pipeline.archives.addresses import is_address
from pipeline.sessions.session import OWNER, Message, Person
from pipeline.sessions.stream import Stream

Names = Literal["pseudonyms", "contacts", "addresses"]


class Pseudonyms:
    """Friend-1, Friend-2 and so on, in the order in which people are first asked for.

    Args:
        names: "pseudonyms" for everybody who is known by an address, "contacts" for those without a card, "addresses"
            for nobody. A name that is no address is never replaced: the archive, or its owner, chose it.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._given: dict[str, str] = {}

    def name(self, address: str, *, card: str | None = None) -> str:
        """What to call somebody; the same for the same address.

        Args:
            address: or whatever else they are called in the archive.
            card: their name in Contacts.
        """
        if self._names == "contacts" and card is not None:
            return card
        if self._names == "addresses" or not is_address(address):
            return address
        return self._given.setdefault(address, f"Friend-{len(self._given) + 1}")


class Senders:
    """One sender for each id of an archive, by the name that the archive shows: two of one name stay two people."""

    def __init__(self) -> None:
        self._senders: dict[str, str] = {}
        self._ids: dict[str, str] = {OWNER: OWNER}  # whoever is called so is not
        self._others: dict[str, tuple[str, ...]] = {}

    def of(self, identity: str, name: str | None, *others: str) -> str:
        """The sender who has this id; their first name in the archive, with the id if somebody else has that name.

        Args:
            others: what else they are called, such as an account's name beside the one that is shown.
        """
        sender = self._senders.get(identity)
        if sender is None:
            # Names stand in prompts, in which a line break would begin a line of somebody else.
            known = " ".join(identity.split())
            sender = " ".join((name or "").split()) or known
            while sender in self._ids:
                sender = f"{sender} ({known})"
            self._senders[identity] = sender
            self._ids[sender] = identity
            self._others[sender] = others
        return sender

    def addresses(self, sender: str) -> list[str]:
        """Their id and other names, where these say more than the name: filters find people by them."""
        names = (self._ids.get(sender, sender), *self._others.get(sender, ()))
        # Half characters, which JSON can hold and no file of text, become question marks.
        return [name.encode("utf-8", "replace").decode() for name in dict.fromkeys(names) if name and name != sender]


def introduced(stream: Stream, pseudonyms: Pseudonyms, senders: Senders | None = None) -> Stream:
    """A stream whose session knows each person who has said something by the time when that is read."""
    session = stream.session

    def met() -> Iterator[list[Message]]:
        for block in stream.blocks:
            for message in block:
                if not message.is_me and message.sender not in session.people:
                    addresses = [] if senders is None else senders.addresses(message.sender)
                    session.people[message.sender] = Person(pseudonyms.name(message.sender), addresses)
            yield block

    return Stream(session, met())
