import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.archives.imessage import reader, speech, stream_imessage, utc_time
from pipeline.errors import InputError
from pipeline.samples.attributed_body import ONE_TIME_CODE, encode_attributed_body
from pipeline.samples.chatdb import GROUP
from pipeline.sessions.session import Message, Person, Session
from pipeline.sessions.stream import whole
from tests.archives.phone import Phone, Value, read, read_file, said, second


@pytest.mark.parametrize("handle_of_own_rows", ["friend", 0, None])
def test_is_from_me_alone_says_who_is_me(phone: Phone, handle_of_own_rows: str | int | None) -> None:
    friend = phone.handle("+15550100")
    chat = phone.chat("any;-;+15550100")
    own = friend if handle_of_own_rows == "friend" else handle_of_own_rows
    phone.message(chat, {"text": "hello", "handle_id": friend})
    phone.message(chat, {"text": "hi", "handle_id": own, "is_from_me": 1})
    assert read(phone) == (
        [
            Session(
                "any;-;+15550100",
                "direct",
                None,
                [Message("+15550100", False, second(1), "hello"), Message("me", True, second(2), "hi")],
                {"+15550100": Person("Friend-1", ["+15550100"])},
                "iMessage",
            )
        ],
        Counter(),
    )


def test_a_group_message_is_read_once_under_its_own_sender(phone: Phone) -> None:
    chat = phone.chat("any;+;chat1", GROUP, "Race")
    for address in ("Tortoise", "Hare", "Owl"):
        handle = phone.handle(address)
        phone.db.execute("INSERT INTO chat_handle_join VALUES (?, ?)", (chat, handle))
        phone.message(chat, {"text": f"{address} here", "handle_id": handle})
    sessions, _ = read(phone)
    assert (sessions[0].kind, sessions[0].title) == ("group", "Race")
    assert said(sessions) == [[("Tortoise", "Tortoise here"), ("Hare", "Hare here"), ("Owl", "Owl here")]]


@pytest.mark.parametrize("handle", [0, None, 999])
def test_a_message_of_an_unknown_handle_is_the_only_other_persons(phone: Phone, handle: int | None) -> None:
    hare, owl = phone.handle("Hare"), phone.handle("Owl")
    phone.message(phone.chat("one", members=(hare,)), {"text": "hi", "handle_id": handle})
    phone.message(phone.chat("many", GROUP, members=(hare, owl)), {"text": "hello", "handle_id": handle})
    phone.message(phone.chat("other", members=(hare,)), {"text": "me, too", "handle_id": owl})
    assert said(read(phone)[0]) == [[("Hare", "hi"), ("Owl", "me, too")], [("unknown", "hello")]]


def test_a_message_without_a_handle_has_an_unknown_sender(phone: Phone) -> None:
    phone.message(phone.chat("c"), {"text": "who am I?", "handle_id": 0})
    assert said(read(phone)[0]) == [[("unknown", "who am I?")]]


def test_messages_of_deleted_chats_are_left_out_and_counted(phone: Phone) -> None:
    phone.message(phone.chat("c"), {"text": "kept"})
    phone.message(None, {"text": "gone"})
    sessions, dropped = read(phone)
    assert said(sessions) == [[("unknown", "kept")]]
    assert dropped == {"not in any chat": 1}


def test_the_body_wins_over_the_text_column_which_is_the_fallback(phone: Phone) -> None:
    chat = phone.chat("c")
    phone.message(chat, {"attributedBody": encode_attributed_body("only in the body")})
    phone.message(chat, {"text": "in the text", "attributedBody": encode_attributed_body("in the body")})
    phone.message(chat, {"text": "body damaged", "attributedBody": b"\x04\x0bstreamtyped"})
    phone.message(chat, {"text": "no body"})
    contents = [content for _, content in said(read(phone)[0])[0]]
    assert contents == ["only in the body", "in the body", "body damaged", "no body"]


def test_a_subject_is_part_of_what_was_said(phone: Phone) -> None:
    phone.message(phone.chat("c"), {"subject": "The race", "text": "is on"})
    assert said(read(phone)[0]) == [[("unknown", "The race\nis on")]]


def test_placeholders_of_attachments_are_stripped_and_nothing_else_is_left_out(phone: Phone) -> None:
    chat = phone.chat("c")
    phone.message(chat, {"attributedBody": encode_attributed_body("\ufffc Look at\ufffd this\ufffc")})
    phone.message(chat, {"attributedBody": encode_attributed_body("\ufffc")})
    phone.message(chat, {"text": "\ufffd \ufffc"})
    phone.message(chat, {"text": None})
    sessions, dropped = read(phone)
    assert said(sessions) == [[("unknown", "Look at this")]]
    assert dropped == {"no text": 3}


@pytest.mark.parametrize(
    "kind", [1000, 2000, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 3000, 3001, 3002, 3003, 3004, 3005, 3006, 3007, 4000]
)
def test_tapbacks_stickers_and_votes_are_no_speech(phone: Phone, kind: int) -> None:
    chat = phone.chat("c")
    phone.message(chat, {"text": "Slow and steady"})
    phone.message(chat, {"text": "Loved “Slow and steady”", "associated_message_type": kind})
    sessions, dropped = read(phone)
    assert said(sessions) == [[("unknown", "Slow and steady")]]
    assert dropped == {"tapback, sticker or vote": 1}


@pytest.mark.parametrize("kind", [0, 2, 3, None])
def test_ordinary_associated_types_are_speech(phone: Phone, kind: int | None) -> None:
    phone.message(phone.chat("c"), {"text": "speech", "associated_message_type": kind})
    assert said(read(phone)[0]) == [[("unknown", "speech")]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        *(({"item_type": kind}, "event") for kind in (1, 2, 3, 4, 5, 6)),
        ({"is_system_message": 1}, "system message or automatic reply"),
        ({"is_service_message": 1}, "system message or automatic reply"),
        ({"is_auto_reply": 1}, "system message or automatic reply"),
        ({"is_corrupt": 1}, "system message or automatic reply"),
        ({"is_spam": 1}, "spam"),
        ({"balloon_bundle_id": "com.apple.messages.MSMessageExtensionBalloonPlugin:TEAM:game"}, "app message"),
        (
            {"attributedBody": encode_attributed_body("4711", runs=[(4, {ONE_TIME_CODE: "4711"})])},
            "one-time code",
        ),
    ],
)
def test_what_nobody_typed_is_dropped_with_its_reason(phone: Phone, row: dict[str, Value], reason: str) -> None:
    phone.message(phone.chat("c"), {"text": "not typed", **row})
    assert read(phone) == ([], Counter({reason: 1}))


def test_a_link_with_a_preview_keeps_its_text(phone: Phone) -> None:
    row = {"text": "https://example.test", "balloon_bundle_id": "com.apple.messages.URLBalloonProvider"}
    phone.message(phone.chat("c"), row)
    assert said(read(phone)[0]) == [[("unknown", "https://example.test")]]


@pytest.mark.parametrize(
    "tapback",
    [
        "Liked “See you at nine”",
        'Loved "See you at nine"',
        "Laughed at “See you at nine”",
        "Emphasised “See you at nine”",
        "Reacted 🐢 to “See you at nine”",
        "Removed a like from “See you at nine”",
        "Removed an exclamation mark from “See you at nine”",
        "Disliked an image",
    ],
)
def test_tapbacks_in_words_are_dropped_from_sms_and_rcs_only(phone: Phone, tapback: str) -> None:
    chat = phone.chat("c")
    phone.message(chat, {"text": "See you at nine", "service": "SMS"})
    for service in ("SMS", "RCS", "iMessage"):
        phone.message(chat, {"text": tapback, "service": service})
    sessions, dropped = read(phone)
    assert [content for _, content in said(sessions)[0]] == ["See you at nine", tapback]
    assert dropped == {"tapback in words": 2}


@pytest.mark.parametrize("speech", ["Liked “a thing nobody said”", "Loved it", "Liked “See you at nine” a lot"])
def test_speech_that_resembles_a_tapback_is_kept(phone: Phone, speech: str) -> None:
    chat = phone.chat("c")
    phone.message(chat, {"text": "See you at nine", "service": "SMS"})
    phone.message(chat, {"text": speech, "service": "SMS"})
    assert read(phone)[1] == {}


def test_seconds_and_nanoseconds_sort_together_and_ties_by_rowid(phone: Phone) -> None:
    chat = phone.chat("c")
    phone.message(chat, {"text": "third", "date": 500_000_001 * 10**9})
    phone.message(chat, {"text": "second, written in seconds", "date": 500_000_000})
    phone.message(chat, {"text": "fourth", "date": 500_000_001 * 10**9})
    phone.message(chat, {"text": "first, never dated", "date": 0})
    messages = read(phone)[0][0].messages
    assert [(message.content, message.time) for message in messages] == [
        ("first, never dated", None),
        ("second, written in seconds", "2016-11-05T00:53:20Z"),
        ("third", "2016-11-05T00:53:21Z"),
        ("fourth", "2016-11-05T00:53:21Z"),
    ]


@pytest.mark.parametrize(
    ("date", "time"),
    [
        (0, None),
        (714_875_523, "2023-08-28T00:32:03Z"),
        (714_875_523_999_999_999, "2023-08-28T00:32:03Z"),
        (-1, "2000-12-31T23:59:59Z"),
        (2**63 - 1, "2293-04-11T23:47:16Z"),
        (-(10**11), None),
    ],
)
def test_dates_become_utc_whatever_their_unit(date: int, time: str | None) -> None:
    assert utc_time(date) == time


def test_sessions_come_in_the_order_of_their_chats_and_empty_ones_not_at_all(phone: Phone) -> None:
    late, silent, early = phone.chat("a"), phone.chat("b"), phone.chat("c", None, "")
    phone.message(early, {"text": "early"})
    phone.message(silent, {"text": "\ufffc"})
    phone.message(late, {"text": "late"})
    sessions, dropped = read(phone)
    assert [(session.id, session.kind, session.title) for session in sessions] == [
        ("a", "direct", None),
        ("c", "direct", None),
    ]
    assert dropped == {"no text": 1}


def test_one_session_is_read_at_a_time(phone: Phone) -> None:
    for guid in ("a", "b"):
        phone.message(phone.chat(guid), {"text": guid})
        phone.message(phone.chat(guid + "2"), {"text": "\ufffc"})
    dropped: Counter[str] = Counter()
    sessions = map(whole, stream_imessage(phone.save(), dropped))
    assert next(sessions).id == "a"
    assert dropped == {}
    assert next(sessions).id == "b"
    assert dropped == {"no text": 1}


def test_a_database_without_messages_has_no_sessions(phone: Phone) -> None:
    assert read(phone) == ([], Counter())


def test_a_column_poor_database_is_read_by_name(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as db:
        db.executescript(
            """
            CREATE TABLE message (is_from_me INTEGER, date INTEGER, handle_id INTEGER, text TEXT);
            CREATE TABLE handle (service TEXT, id TEXT);
            CREATE TABLE chat_message_join (message_id INTEGER, chat_id INTEGER);
            INSERT INTO handle VALUES ('SMS', 'Hare'), ('SMS', 'Tortoise');
            INSERT INTO message VALUES (0, 700000001, 1, 'Hurry'), (0, 700000002, 2, 'No'), (1, 700000003, 1, 'Please');
            INSERT INTO chat_message_join VALUES (1, 7), (2, 7), (3, 7);
            """
        )
    db.close()
    assert read_file(path)[0] == [
        Session(
            "chat-7",
            "group",
            None,
            [
                Message("Hare", False, second(1), "Hurry"),
                Message("Tortoise", False, second(2), "No"),
                Message("me", True, second(3), "Please"),
            ],
            {name: Person(name, [name]) for name in ("Hare", "Tortoise")},
            "iMessage",
        )
    ]


def test_text_that_is_not_utf_8_does_not_stop_the_reading(phone: Phone) -> None:
    chat = phone.chat("c")
    rowid = phone.message(chat, {"text": "x"})
    phone.db.execute("UPDATE message SET text = CAST(x'6869ff' AS TEXT) WHERE ROWID = ?", (rowid,))
    assert said(read(phone)[0]) == [[("unknown", "hi")]]


def test_a_path_with_odd_characters_is_opened(phone: Phone, tmp_path: Path) -> None:
    phone.message(phone.chat("c"), {"text": "hi"})
    odd = tmp_path / "my chats? 100% #1.db"
    odd.write_bytes(phone.save().read_bytes())
    assert said(read_file(odd)[0]) == [[("unknown", "hi")]]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * len(content[8192:])
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda path: path.write_text("<html>hello" * 100), "file is not a database"),
        (Path.unlink, "unable to open database file"),
        (damage, "database disk image is malformed"),
    ],
    ids=["html", "missing", "damaged"],
)
def test_what_cannot_be_read_is_one_clear_message(phone: Phone, spoil: Callable[[Path], None], what: str) -> None:
    phone.message(phone.chat("c"), {"text": "hi"})
    path = phone.save()
    phone.db.close()
    spoil(path)
    message = (
        f"{path}: not a readable iMessage database ({what}). Point `download.source` at a chat.db, then run "
        "`finetune run CONFIG --from download`."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        list(map(whole, stream_imessage(path, Counter())))


def test_another_kind_of_database_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE message (text TEXT)")
    db.close()
    message = (
        f"{path}: not an iMessage database: it has no table handle and no table chat_message_join. Point "
        "`download.source` at a chat.db, or say with `load.source` and `load.loader` what it is."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        list(map(whole, stream_imessage(path, Counter())))


def test_an_unstyled_chat_of_two_is_direct(phone: Phone) -> None:
    chat = phone.chat("c", None)
    hare = phone.handle("Hare")
    phone.message(chat, {"text": "one", "handle_id": hare})
    phone.message(chat, {"text": "two", "is_from_me": 1})
    assert read(phone)[0][0].kind == "direct"


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Australia/Sydney"])
def test_times_are_utc_in_summer_and_winter_wherever_the_machine_is(
    phone: Phone, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = phone.chat("c")
    for second_of_2023 in (711_115_200, 694_224_000):  # noon of 15 July, the first of January
        phone.message(chat, {"text": "hi", "date": second_of_2023 * 10**9})
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        times = [message.time for message in read(phone)[0][0].messages]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert times == ["2023-01-01T00:00:00Z", "2023-07-15T12:00:00Z"]


def test_members_of_a_group_are_put_in_order_once_however_many_blocks_there_are(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def person(sender: str) -> Person:
        made.append(sender)
        return Person(sender)

    monkeypatch.setattr(speech, "_HELD", 10)
    monkeypatch.setattr(speech, "_RECENT", 5)
    monkeypatch.setattr(reader, "Person", person)
    chat = phone.chat("c", GROUP, members=(phone.handle("nobody"),))
    phone.message(chat, {"text": "who?", "handle_id": 1_000_000})
    for number in range(200):
        phone.message(chat, {"text": f"{number}", "handle_id": phone.handle(f"u{number}")})
    sessions, _ = read(phone)
    assert list(sessions[0].people) == sorted(["nobody", "unknown", *(f"u{number}" for number in range(200))])
    assert made == ["unknown"]
