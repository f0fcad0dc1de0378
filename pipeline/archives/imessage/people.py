"""Who is who, and which chats are one conversation.

One person has several handles: a phone number for iMessage, the same for SMS and for RCS, an email address. One
conversation with them may lie in several chats. Handles are one person's if they share `person_centric_id`, or the
address once it is brought to one form. A conversation is the set of people in it; for groups, and of the group's id.

Sources: ReagentX/imessage-exporter (docs/tables/duplicates.md), imessage-chatdb (chat.style), and reports that
`message.account` alone misses the owner's phone number.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.archives.addresses import Numbers, exact_address, is_service
from pipeline.archives.imessage.contacts import Cards
from pipeline.archives.imessage.database import Chat, Database
from pipeline.archives.imessage.owner import own_people
from pipeline.archives.pseudonyms import Names, Pseudonyms
from pipeline.sessions.session import OWNER, Person

UNKNOWN_SENDER = "unknown"
"""Sender of a message that came in without a handle."""

GROUP, DIRECT = 43, 45
"""Values of chat.style."""


class Conversation(NamedTuple):
    """What is said between the same people.

    Attributes:
        chats: ROWIDs, ascending.
        guid: of the first chat.
        style: GROUP, DIRECT, or None where the database does not say.
        people: who else is in it, as far as it says.
        why_not: the reason to leave all of it out, or None.
        is_filtered: Messages keeps it apart, as from unknown senders.
    """

    chats: list[int]
    guid: str
    style: int | None
    title: str | None
    people: frozenset[str]
    why_not: str | None
    is_filtered: bool


class People:
    """The people behind the handles.

    Args:
        handles: ROWID, address and person_centric_id of each.
        cards: those of an address book.
        names: what training data call people.

    Attributes:
        senders: the sender's name by handle ROWID: the address of that person's first handle, or their card's name.
        known: everybody, by sender.
    """

    def __init__(
        self,
        handles: Iterable[tuple[int, str, str]],
        cards: Cards | None = None,
        names: Names = "pseudonyms",
    ) -> None:
        self._numbers = Numbers()
        self._parents: dict[str, str] = {}
        self._people: dict[int, str] = {}
        self._senders: dict[str, str] = {}
        self.senders: dict[object, str] = {}
        self.known: dict[str, Person] = {}
        cards, pseudonyms, taken = cards or Cards(), Pseudonyms(names), {OWNER, UNKNOWN_SENDER}
        listed: set[tuple[str, str]] = set()  # senders and their addresses
        handles = [each for each in handles if each[1]]
        # Numbers with their country's code first: one without belongs to the only one of these that ends so.
        for _, address, _ in sorted(handles, key=lambda each: not exact_address(each[1]).startswith("+")):
            self._numbers.of(address)
        known = [(rowid, address, self._numbers.of(address), person) for rowid, address, person in handles]
        for _, address, node, person in known:
            card = cards.of(address)
            for sign in ([f"person {person}"] if person else []) + ([f"card {card}"] if card else []):
                self._parents[self._root(sign)] = self._root(node)
        for rowid, address, node, _ in known:
            root = self._people[rowid] = self._root(node)
            if root not in self._senders:
                card = cards.of(address)
                sender = address if card is None else card.name
                while sender in taken:
                    sender = f"{sender} ({address})"
                self._senders[root] = sender
                taken.add(sender)
                called = pseudonyms.name(address, card=None if card is None else sender)
                self.known[sender] = Person(called)
            sender = self.senders[rowid] = self._senders[root]
            if (sender, address) not in listed:
                listed.add((sender, address))
                self.known[sender].addresses.append(address)

    def of_handle(self, rowid: int) -> str | None:
        """The person behind a handle."""
        return self._people.get(rowid)

    def sender(self, person: str) -> str | None:
        """The sender's name of a person, None if they have no handle."""
        return self._senders.get(person)

    def of_address(self, address: str) -> str:
        """The person behind an address, with or without a handle."""
        return self._root(self._numbers.of(address))

    def _root(self, node: str) -> str:
        parents = self._parents
        while (parent := parents.get(node, node)) != node:
            # each step halves the way for the next caller: thousands of handles of one person would be one long chain
            parents[node] = node = parents.get(parent, parent)
        return node


def conversations(database: Database, people: People) -> list[Conversation]:
    """Put the chats of the same people together; in the order of their first chats."""
    members: dict[int, set[str]] = defaultdict(set)
    for chat_id, handle in database.members():
        if person := people.of_handle(handle):
            members[chat_id].add(person)
    together: dict[object, list[tuple[Chat, frozenset[str]]]] = defaultdict(list)
    for chat in database.chats():
        present = frozenset(members.get(chat.rowid) or _named(chat, people))
        together[_key(chat, present)].append((chat, present))
    own = own_people(database, people.of_address, [pair for chats in together.values() for pair in chats])
    return [_conversation([chat for chat, _ in chats], chats[0][1], own) for chats in together.values()]


def _named(chat: Chat, people: People) -> list[str]:
    """The other person of a chat that lists no members, from its own identifier."""
    return [people.of_address(chat.identifier)] if chat.style == DIRECT and chat.identifier else []


def _key(chat: Chat, present: frozenset[str]) -> object:
    if not present or chat.style not in (GROUP, DIRECT):
        return chat.rowid
    return present if chat.style == DIRECT else (present, chat.group or chat.title)


def _conversation(chats: list[Chat], present: frozenset[str], own: frozenset[str]) -> Conversation:
    first = chats[0]
    why_not = None
    if first.style == DIRECT and present:
        if present <= own:
            why_not = "note to self"
        elif all(map(is_service, present)):
            why_not = "from a service"
    title = next((chat.title for chat in chats if chat.title), None)
    filtered = all(chat.is_filtered for chat in chats)
    return Conversation([chat.rowid for chat in chats], first.guid, first.style, title, present, why_not, filtered)
