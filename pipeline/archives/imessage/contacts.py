"""Names from the Mac's Contacts: ~/Library/Application Support/AddressBook, read only where it is asked for.

Each account has a database of its own under Sources. Columns from ReagentX/imessage-exporter (contacts.rs); where a
number is on several cards, the one with the longest name is taken, as it was most likely written by hand.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.archives.addresses import exact_address, is_same_address, normal_address
from pipeline.archives.sqlite import opened
from pipeline.errors import InputError

_DATABASE = "AddressBook-v22.abcddb"
_ACCESS = "This Mac's own needs Full Disk Access."
_QUERY = (
    "SELECT ZABCDRECORD.Z_PK, ZFIRSTNAME, ZLASTNAME, {address} FROM {table} "
    "JOIN ZABCDRECORD ON ZABCDRECORD.Z_PK = {table}.ZOWNER WHERE {address} <> ''"
)
_ADDRESSES = (("ZABCDPHONENUMBER", "ZFULLNUMBER"), ("ZABCDEMAILADDRESS", "ZADDRESSNORMALIZED"))


class Card(NamedTuple):
    """Whose an address is; two addresses of one person have equal cards."""

    name: str
    source: str
    number: int


class Cards:
    """The cards by their addresses, however these are written.

    A number without its country's code stands for those with a code that end so; numbers of two countries are two.
    """

    def __init__(self) -> None:
        self._by_end: defaultdict[str, list[tuple[str, Card]]] = defaultdict(list)

    def add(self, address: str, card: Card) -> None:
        """Note that this card has this address."""
        self._by_end[normal_address(address)].append((address, card))

    def of(self, address: str) -> Card | None:
        """Whose an address is; of several cards the one with the longest name."""
        found = [each for each in self._by_end.get(normal_address(address), ()) if is_same_address(each[0], address)]
        exact = [each for each in found if exact_address(each[0]) == exact_address(address)]
        return max((card for _, card in exact or found), key=lambda card: len(card.name), default=None)


def read_contacts(path: Path) -> Cards:
    """Return the cards of an address book.

    Args:
        path: an AddressBook folder, or one AddressBook-v22.abcddb.

    Raises:
        InputError: there is no such database, or it cannot be read.
    """
    databases = sorted(path.rglob(_DATABASE)) if path.is_dir() else [path]
    cards = Cards()
    try:
        for database in databases:
            for address, card in _cards(database):
                cards.add(address, card)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise InputError(
            str(database),
            f"no readable Contacts database ({error})",
            fix=f"Point `load.contacts` at an AddressBook folder or {_DATABASE}. {_ACCESS}",
        ) from None
    if not databases:
        raise InputError(
            str(path),
            f"holds no {_DATABASE}",
            fix=f"Point `load.contacts` at an AddressBook folder. {_ACCESS}",
        )
    return cards


def _cards(path: Path) -> Iterator[tuple[str, Card]]:
    with opened(path, ("ZABCDRECORD", *(table for table, _ in _ADDRESSES))) as db:
        for table, column in _ADDRESSES:
            for number, first, last, address in db.execute(_QUERY.format(table=table, address=column)):
                name = " ".join(str(part).strip() for part in (first, last) if part)
                if name and isinstance(address, str):
                    yield address, Card(name, str(path), number)
