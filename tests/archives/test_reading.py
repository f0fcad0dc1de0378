import io
import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from pipeline.archives.pseudonyms import Names, Pseudonyms, Senders
from pipeline.archives.reading import Loaded, Reading, load_archive, read_archive, reading_of
from pipeline.config.settings import Load
from pipeline.errors import InputError
from pipeline.sessions.session import Message, Person, Session
from pipeline.sessions.stream import whole
from tests.archives.imessage.test_contacts import write_contacts
from tests.archives.phone import Phone, Value, second

HARE, MAIL, OWL = "+15550100100", "hare@garden.example", "+15550100101"


@pytest.fixture
def archive(phone: Phone) -> Path:
    """Hare by phone and by mail, Owl, and a group of them with a Tortoise that has no address."""
    handles = {address: phone.handle(address) for address in (HARE, MAIL, OWL, "Tortoise")}
    for address in (HARE, MAIL, OWL):
        chat = phone.chat(f"any;-;{address}", members=(handles[address],))
        phone.message(chat, {"text": f"by {address}", "handle_id": handles[address]})
    race = phone.chat("any;+;1", 43, "Race", members=tuple(handles.values()))
    phone.message(race, {"text": "No", "handle_id": handles["Tortoise"]})
    return phone.save()


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "AddressBook"
    write_contacts(path / "AddressBook-v22.abcddb", [("March", "Hare", [HARE], [MAIL])])
    return path


def load(settings: Load, path: Path) -> tuple[list[Session], Counter[str]]:
    loaded = Loaded()
    sessions = [whole(stream) for stream in read_archive(reading_of(settings, path), loaded)]
    return [session for session in sessions if session.messages], loaded.dropped


@pytest.mark.parametrize(
    ("names", "hare", "owl"),
    [
        ("pseudonyms", "Friend-1", "Friend-2"),
        ("contacts", "March Hare", "Friend-1"),
        ("addresses", HARE, OWL),
    ],
)
def test_people_have_a_name_for_training_and_keep_their_addresses(
    archive: Path, book: Path, names: Names, hare: str, owl: str
) -> None:
    sessions, _ = load(Load(contacts=str(book), names=names), archive)
    assert [session.people for session in sessions] == [
        {"March Hare": Person(hare, [HARE, MAIL])},
        {OWL: Person(owl, [OWL])},
        {
            OWL: Person(owl, [OWL]),
            "March Hare": Person(hare, [HARE, MAIL]),
            "Tortoise": Person("Tortoise", ["Tortoise"]),
        },
    ]
    assert [message.sender for message in sessions[0].messages] == ["March Hare", "March Hare"]
    assert [sessions[2].name_of(sender) for sender in ("March Hare", "Tortoise", "me")] == [hare, "Tortoise", "me"]


def test_filters_find_people_by_their_card_or_any_address_and_rows_still_add_up(archive: Path, book: Path) -> None:
    for name in ("March Hare", HARE, MAIL):
        sessions, dropped = load(Load(contacts=str(book), exclude_people=[name]), archive)
        assert [session.messages for session in sessions] == [
            [Message(OWL, False, second(3), f"by {OWL}")],
            [Message("Tortoise", False, second(4), "No")],
        ]
        assert dropped == {"by or with exclude_people": 2}


def test_filters_hold_for_archives_of_other_apps(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_text("[8/15/23, 9:12:43 AM] +1 555 010 0100: Slow\n[8/15/23, 9:12:44 AM] Owl: Hoo\n")
    settings = Load(source="langchain", loader="whatsapp")
    (session,), _ = load(settings, path)
    assert session.people == {"+1 555 010 0100": Person("Friend-1"), "Owl": Person("Owl")}
    excluding = settings.model_copy(update={"exclude_people": [HARE]})
    assert load(excluding, path) == ([], {"by or with exclude_people": 2})


def test_a_name_that_stands_for_nobody_is_a_mistake(archive: Path) -> None:
    with pytest.raises(InputError, match=r"^load\.exclude_people: nobody in the archive"):
        load(Load(exclude_people=["Snail"]), archive)


def test_contacts_lie_in_the_macs_own_place_or_where_the_config_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/hare")
    path = Path("chat.db")
    assert reading_of(Load(), path).contacts is None
    assert reading_of(Load(contacts=True), path).contacts == "/home/hare/Library/Application Support/AddressBook"
    assert reading_of(Load(contacts="~/book"), path).contacts == "/home/hare/book"


def test_pseudonyms_are_given_in_order_and_only_to_addresses() -> None:
    pseudonyms = Pseudonyms("pseudonyms")
    asked = [HARE, "Tortoise", OWL, HARE, "22395", "urn:biz:1", "Number 5"]
    assert [pseudonyms.name(each) for each in asked] == [
        "Friend-1", "Tortoise", "Friend-2", "Friend-1", "22395", "Friend-3", "Number 5",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["me", "unknown"])
def test_a_contact_or_handle_that_is_called_as_the_owner_is_nobody_else(
    phone: Phone, tmp_path: Path, name: str
) -> None:
    book = tmp_path / "Cards"
    write_contacts(book / "AddressBook-v22.abcddb", [(name, None, ["+15550100100"], [])])
    for address in ("+15550100100", name):
        handle = phone.handle(address)
        row: dict[str, Value] = {"text": "hi", "handle_id": handle, "is_from_me": 0}
        phone.message(phone.chat(f"any;-;{address}", members=(handle,)), row)
    sessions, _ = load(Load(source="imessage", contacts=str(book)), phone.save())
    said = [(message.sender, message.is_me) for session in sessions for message in session.messages]
    assert said == [(f"{name} (+15550100100)", False), (f"{name} ({name})", False)]
    assert [sorted(session.people) for session in sessions] == [[sender] for sender, _ in said]


def test_nobody_with_an_id_is_called_as_the_owner_is() -> None:
    senders = Senders()
    assert [senders.of(*each) for each in [("1", "me"), ("2", "me"), ("me", None), ("3", "Ann"), ("4", "Ann")]] == [
        "me (1)", "me (2)", "me (me)", "Ann", "Ann (4)",
    ]  # fmt: skip


def test_somebody_whom_an_archive_calls_as_we_call_its_owner_is_not_taken_for_them(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_text("".join(f"[01.08.23, 10:00:0{n}] {who}: hi\n" for n, who in enumerate(["Ann", "me", "Ann"])))
    sessions, _ = load(Load(source="whatsapp"), path)
    (session,) = sessions
    assert [message.sender for message in session.messages] == ["Ann", "me (not the archive's owner)", "Ann"]
    assert sorted(session.people) == ["Ann", "me (not the archive's owner)"]


HALF = "half \ud83d"


def test_half_characters_can_be_anywhere(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "type": "message", "date": "2023-08-01T10:00:00", "from": HALF, "from_id": HALF, "text": HALF},
        {"id": 2, "type": "message", "date": "2023-08-01T10:01:00", "from": "Ann", "from_id": "user2", "text": "Yes",
         "reply_to_message_id": 1},
    ]  # fmt: skip
    chat = {"name": HALF, "type": "private_group", "id": HALF, "messages": rows}
    path = tmp_path / "result.json"
    path.write_text(json.dumps(chat))
    written = io.BytesIO()
    load_archive(Reading(str(path), "telegram"), written, tmp_path)
    session = msgspec.json.decode(written.getvalue(), type=Session)
    assert (session.id, session.title) == ("telegram-chathalf ?", "half ?")
    assert session.people == {"half ?": Person("half ?", []), "Ann": Person("Ann", ["user2"])}
    assert [(each.sender, each.content, each.reply_to) for each in session.messages] == [
        ("half ?", "half ?", msgspec.UNSET),
        ("Ann", "Yes", "half ?"),
    ]
