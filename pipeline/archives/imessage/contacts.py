"""Names from the Mac's Contacts: ~/Library/Application Support/AddressBook, read only where it is asked for.

Each account has a database of its own under Sources. Columns from ReagentX/imessage-exporter (contacts.rs); where a
number is on several cards, the one with the longest name is taken, as it was most likely written by hand.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.archives.addresses import normal_address
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


def read_contacts(path: Path) -> dict[str, Card]:
    """Return the card of every address, by its normal form.

    Args:
        path: an AddressBook folder, or one AddressBook-v22.abcddb.

    Raises:
        InputError: there is no such database, or it cannot be read.
    """
    databases = sorted(path.rglob(_DATABASE)) if path.is_dir() else [path]
    cards: dict[str, Card] = {}
    try:
        for database in databases:
            for address, card in _cards(database):
                if address not in cards or len(card.name) > len(cards[address].name):
                    cards[address] = card
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
                    yield normal_address(address), Card(name, str(path), number)
