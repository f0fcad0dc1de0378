"""What training data call people who are known by an address."""

from collections.abc import Iterable, Iterator
from typing import Literal

from pipeline.archives.addresses import is_address
from pipeline.sessions.session import Person, Session

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


def introduced(sessions: Iterable[Session], names: Names, app: str) -> Iterator[Session]:
    """Complete sessions whose archive knows nothing of people but who speaks: `people`, and the app as `platform`."""
    pseudonyms = Pseudonyms(names)
    for session in sessions:
        senders = dict.fromkeys(message.sender for message in session.messages if not message.is_me)
        session.people = {sender: Person(pseudonyms.name(sender)) for sender in senders}
        session.platform = app
        yield session
