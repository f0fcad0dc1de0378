import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.archives.imessage import stream_imessage
from pipeline.errors import InputError
from pipeline.sessions.stream import whole
from tests.archives.phone import Phone, read, said

ACCESS = "This Mac's own needs Full Disk Access."
Card = tuple[str | None, str | None, list[str], list[str]]


def write_contacts(path: Path, cards: list[Card]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "CREATE TABLE ZABCDRECORD (Z_PK INTEGER PRIMARY KEY, ZFIRSTNAME TEXT, ZLASTNAME TEXT);"
            "CREATE TABLE ZABCDPHONENUMBER (ZOWNER INTEGER, ZFULLNUMBER TEXT);"
            "CREATE TABLE ZABCDEMAILADDRESS (ZOWNER INTEGER, ZADDRESSNORMALIZED TEXT);"
        )
        for number, (first, last, phones, mails) in enumerate(cards, start=1):
            db.execute("INSERT INTO ZABCDRECORD VALUES (?, ?, ?)", (number, first, last))
            db.executemany("INSERT INTO ZABCDPHONENUMBER VALUES (?, ?)", [(number, phone) for phone in phones])
            db.executemany("INSERT INTO ZABCDEMAILADDRESS VALUES (?, ?)", [(number, mail) for mail in mails])
        db.commit()


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return tmp_path / "AddressBook"


def read_with(phone: Phone, book: Path) -> list[list[tuple[str, str]]]:
    return said(list(map(whole, stream_imessage(phone.save(), Counter(), contacts=book))))


def talk(phone: Phone, *addresses: str) -> None:
    for address in addresses:
        handle = phone.handle(address)
        phone.message(phone.chat(f"any;-;{address}", members=(handle,)), {"text": address, "handle_id": handle})


def test_a_card_names_its_addresses_and_makes_them_one_person(phone: Phone, book: Path) -> None:
    card: Card = ("March", "Hare", ["(555) 010-0100"], ["hare@garden.example"])
    write_contacts(book / "Sources" / "A1" / "AddressBook-v22.abcddb", [card])
    talk(phone, "+15550100100", "Hare@garden.example", "+15550100101")
    assert read_with(phone, book) == [
        [("March Hare", "+15550100100"), ("March Hare", "Hare@garden.example")],
        [("+15550100101", "+15550100101")],
    ]


def test_a_number_of_another_country_that_ends_alike_is_somebody_else(phone: Phone, book: Path) -> None:
    write_contacts(
        book / "AddressBook-v22.abcddb",
        [("March", "Hare", ["+49 555 010 0100"], []), ("Mock", None, ["+1 (555) 010-0101"], [])],
    )
    talk(phone, "+15550100100", "+495550100100", "+15550100101")
    assert [session[0][0] for session in read_with(phone, book)] == ["+15550100100", "March Hare", "Mock"]


def test_a_card_of_the_very_number_counts_before_one_without_a_countrys_code(phone: Phone, book: Path) -> None:
    cards: list[Card] = [("The Mad Hatter", None, ["555 010 0100"], []), ("Al", None, ["+15550100100"], [])]
    write_contacts(book / "AddressBook-v22.abcddb", cards)
    talk(phone, "+15550100100")
    assert [session[0][0] for session in read_with(phone, book)] == ["Al"]


def test_without_contacts_addresses_stay_and_nothing_is_joined(phone: Phone) -> None:
    talk(phone, "+15550100100", "hare@garden.example")
    assert said(read(phone)[0]) == [[("+15550100100",) * 2], [("hare@garden.example",) * 2]]


def test_of_several_cards_the_fullest_name_counts_and_namesakes_are_told_apart(phone: Phone, book: Path) -> None:
    write_contacts(
        book / "AddressBook-v22.abcddb", [("Hare", None, ["+15550100100"], []), (None, None, ["+15550100103"], [])]
    )
    write_contacts(
        book / "Sources" / "B2" / "AddressBook-v22.abcddb",
        [("March", "Hare", ["+15550100100"], []), ("March", "Hare", ["+15550100102"], [])],
    )
    talk(phone, "+15550100100", "+15550100102", "+15550100103")
    assert [session[0][0] for session in read_with(phone, book)] == [
        "March Hare", "March Hare (+15550100102)", "+15550100103",
    ]  # fmt: skip


def test_a_folder_without_contacts_is_named(phone: Phone, book: Path) -> None:
    book.mkdir()
    message = f"{book}: holds no AddressBook-v22.abcddb. Point `load.contacts` at an AddressBook folder. {ACCESS}"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read_with(phone, book)


def test_contacts_that_cannot_be_read_are_one_clear_message(phone: Phone, book: Path) -> None:
    book.write_text("no database" * 100)
    message = (
        f"{book}: no readable Contacts database (file is not a database). "
        f"Point `load.contacts` at an AddressBook folder or AddressBook-v22.abcddb. {ACCESS}"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read_with(phone, book)
