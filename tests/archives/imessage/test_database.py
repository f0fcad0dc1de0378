"""Whole archives of every kind: old and new schemas, encodings, WAL, damage; and rows with anything in them."""

import contextlib
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.archives.imessage import require_balance, stream_imessage, utc_time
from pipeline.archives.imessage.speech import _plain_text
from pipeline.archives.imessage.times import when_expression
from pipeline.archives.imessage.typedstream import decode_attributed_body
from pipeline.errors import FinetuneError, InputError
from pipeline.samples.attributed_body import encode_attributed_body
from pipeline.samples.chatdb import create_chat_db
from pipeline.sessions.stream import whole
from tests.archives.phone import Phone, Value, read, read_file, said

# What each lacks of what the next has: shared/design of the schema names dated dumps; the boundaries are inferred.
NOT_BEFORE_27 = {"message": ["filter_action"]}
NOT_BEFORE_26 = {"message": ["is_time_sensitive", "ck_chat_id", "index_state"], "chat": ["is_pending_review"]}
NOT_BEFORE_15 = {"message": ["associated_message_emoji", "schedule_type", "schedule_state", "date_recovered"]}
NOT_BEFORE_13 = {"message": ["date_retracted", "date_edited", "part_count", "was_detonated"]}
NOT_BEFORE_11 = {"message": ["thread_originator_guid", "thread_originator_part", "reply_to_guid"]}
NOT_BEFORE_10_12 = {"chat_message_join": ["message_date"]}
NOT_BEFORE_IOS_7 = {
    "message": [
        "item_type", "associated_message_guid", "associated_message_type", "balloon_bundle_id", "is_spam",
        "message_summary_info", "is_audio_message", "is_corrupt", "destination_caller_id", "attributedBody",
    ],
    "chat": ["display_name", "group_id", "original_group_id", "is_filtered", "last_addressed_handle"],
    "handle": ["person_centric_id"],
}  # fmt: skip
LATER = [
    NOT_BEFORE_27, NOT_BEFORE_26, NOT_BEFORE_15, NOT_BEFORE_13, NOT_BEFORE_11, NOT_BEFORE_10_12, NOT_BEFORE_IOS_7,
]  # fmt: skip
SCHEMAS = ["macOS 27", "macOS 26", "macOS 15", "macOS 14", "macOS 12", "macOS 10.15", "macOS 10.11", "iOS 6"]
TABLES_OF_13 = ["chat_recoverable_message_join", "recoverable_message_part"]
TABLES_OF_15 = ["chat_lookup", "chat_service"]


def make_older(db: sqlite3.Connection, schema: str) -> None:
    db.execute("ALTER TABLE message ADD COLUMN filter_action INTEGER DEFAULT 0")
    number = SCHEMAS.index(schema)
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall():
        db.execute(f"DROP INDEX {name}")
    for lacking in LATER[:number]:
        for table, columns in lacking.items():
            for column in columns:
                db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    gone = (TABLES_OF_15 if number >= 3 else []) + (TABLES_OF_13 if number >= 4 else [])
    for table in gone:
        db.execute(f"DROP TABLE {table}")


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_schema_reads_alike(phone: Phone, schema: str) -> None:
    make_older(phone.db, schema)
    hare = phone.handle("+15550100100") if schema != "iOS 6" else 1
    if schema == "iOS 6":
        phone.db.execute("INSERT INTO handle (id, service) VALUES ('+15550100100', 'SMS')")
    chat = phone.db.execute("INSERT INTO chat (guid, style) VALUES ('c', 45)").lastrowid
    phone.db.execute("INSERT INTO chat_handle_join VALUES (?, ?)", (chat, hare))
    for number, date in enumerate([400_000_003 * 10**9, 400_000_002, 400_000_001], start=1):
        row: dict[str, Value] = {"text": str(date)[:9], "handle_id": hare, "date": date, "is_from_me": number % 2}
        message = phone.message(None, row)
        phone.db.execute("INSERT INTO chat_message_join (chat_id, message_id) VALUES (?, ?)", (chat, message))
    phone.message(None, {"text": "orphan"})
    sessions, dropped = read(phone)
    assert said(sessions) == [[("me", "400000001"), ("+15550100100", "400000002"), ("me", "400000003")]]
    assert dropped == {"not in any chat": 1}


@pytest.mark.parametrize(
    ("action", "dropped"),
    [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1)],
    ids=["none", "allowed", "junk", "ads", "bank"],
)
def test_macos_27_says_what_is_junk(phone: Phone, action: int, dropped: int) -> None:
    make_older(phone.db, "macOS 27")
    phone.message(phone.chat("c"), {"text": "Win a race!", "filter_action": action})
    assert read(phone)[1]["junk, promotion or transaction"] == dropped


def test_a_database_in_utf_16_reads_alike(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    with closing(create_chat_db(path)) as db:
        script = "\n".join(line for line in db.iterdump() if "sqlite_sequence" not in line)
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA encoding = 'UTF-16le'")
        db.executescript(script)
        db.execute("INSERT INTO chat (guid, display_name, style) VALUES ('c', 'Läufer', 43)")
        rows = [("Schnell 🐇", None, "SMS"), (None, encode_attributed_body("Langsam 🐢"), "iMessage")]
        for number, (text, body, service) in enumerate(rows, start=1):
            db.execute(
                "INSERT INTO message (guid, text, attributedBody, service, date, item_type) VALUES (?, ?, ?, ?, ?, 0)",
                (str(number), text, body, service, number),
            )
            db.execute("INSERT INTO chat_message_join (chat_id, message_id) VALUES (1, ?)", (number,))
        db.commit()
    sessions, _ = read_file(path)
    assert sessions[0].title == "Läufer"
    assert said(sessions) == [[("unknown", "Schnell 🐇"), ("unknown", "Langsam 🐢")]]


def test_what_is_in_the_write_ahead_log_alone_is_read(phone: Phone) -> None:
    phone.db.execute("PRAGMA journal_mode = WAL")
    phone.db.execute("PRAGMA wal_autocheckpoint = 0")
    phone.message(phone.chat("c"), {"text": "only in the log"})
    phone.save()
    assert phone.path.with_name("chat.db-wal").stat().st_size > 0
    assert said(read(phone)[0]) == [[("unknown", "only in the log")]]


def test_an_archive_is_read_as_it_was_when_reading_began(phone: Phone) -> None:
    phone.db.execute("PRAGMA journal_mode = WAL")
    for guid in ("a", "b"):
        phone.message(phone.chat(guid), {"text": guid})
    dropped: Counter[str] = Counter()
    sessions = map(whole, stream_imessage(phone.save(), dropped))
    assert next(sessions).id == "a"
    phone.message(2, {"text": "new"})
    phone.message(None, {"text": "new"})
    phone.save()
    assert [message.content for session in sessions for message in session.messages] == ["b"]
    assert dropped == {}


def test_rowids_need_not_be_in_order_of_time(phone: Phone) -> None:
    chat = phone.chat("c")
    for hour in (3, 1, 2):
        message = phone.message(None, {"text": str(hour), "date": (700_000_000 + hour * 3600) * 10**9})
        phone.join(chat, message)  # without its date, as after a restore
    assert [content for _, content in said(read(phone)[0])[0]] == ["1", "2", "3"]


def test_a_broken_body_costs_its_message_and_is_counted(phone: Phone) -> None:
    chat = phone.chat("c")
    phone.message(chat, {"attributedBody": b"\x04\x0bstreamtyped\x81\xe8\x03 broken"})
    phone.message(chat, {"attributedBody": encode_attributed_body("cut short")[:80]})
    phone.message(chat, {"attributedBody": encode_attributed_body("whole")})
    sessions, dropped = read(phone)
    assert said(sessions) == [[("unknown", "whole")]]
    assert dropped == {"unreadable body": 2}


def test_damage_in_the_middle_names_file_and_row(phone: Phone) -> None:
    chat = phone.chat("c")
    for number in range(2000):
        phone.message(chat, {"text": f"{number} " + "x" * 500})
    path = phone.save()
    (size,) = phone.db.execute("PRAGMA page_size").fetchone()
    phone.db.close()
    content = bytearray(path.read_bytes())
    place = content.index(b"1500 xxx") // size * size
    content[place : place + size] = b"\xff" * size
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(map(whole, stream_imessage(path, Counter())))
    match = re.fullmatch(re.escape(str(path)) + r", soon after message (\d+)", caught.value.where)
    assert match is not None
    last = int(match[1])
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(text) FROM message WHERE ROWID <= ?", (last,)).fetchone() == (last,)
        with pytest.raises(sqlite3.DatabaseError):
            db.execute("SELECT count(text) FROM message WHERE ROWID <= ?", (last + 2,)).fetchone()
    assert caught.value.what == "not a readable iMessage database (database disk image is malformed)"


DATES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(10**11) - 2, 10**11 + 2),
    st.sampled_from([0, 1, -1, 10**11, 10**11 + 1, 978_307_200, 978_307_201, 1_300_000_000]),
)


@given(DATES)
def test_sql_and_python_agree_about_dates(date: int) -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE message (date INTEGER)")
        db.execute("INSERT INTO message VALUES (?)", (date,))
        (when,) = db.execute(f"SELECT {when_expression('date')} FROM message").fetchone()
    if date >= 0:  # below, SQLite rounds towards zero
        assert utc_time(when * 1000 if abs(when) > 10**8 else when // 10**6) == utc_time(date)
    assert isinstance(when, int)


def test_the_oldest_sms_count_from_1970() -> None:
    assert utc_time(1_300_000_000) == "2011-03-13T07:06:40Z"


ANYTHING = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-2, 4100), st.floats(), st.text(max_size=9),
    st.binary(max_size=40), st.sampled_from([encode_attributed_body("body"), b"bplist00", "SMS", "\ufffc", 1000, 2, 1]),
)  # fmt: skip
COLUMNS = (
    "text", "attributedBody", "date", "handle_id", "is_from_me", "subject", "service", "associated_message_type",
    "item_type", "balloon_bundle_id", "is_system_message", "is_spam", "is_audio_message", "cache_has_attachments",
    "message_summary_info", "thread_originator_guid", "schedule_type", "is_sent", "date_retracted", "date_edited",
    "account", "destination_caller_id",
)  # fmt: skip


def loosened(path: Path) -> Phone:
    """A phone whose columns take values of any type, as SQLite lets them."""
    phone = Phone(path)
    for table in ("message", "chat", "handle", "chat_message_join", "chat_handle_join", "attachment"):
        names = ", ".join(name for _, name, *_ in phone.db.execute(f"PRAGMA table_info({table})") if name != "ROWID")
        keyed = "ROWID INTEGER PRIMARY KEY, " if "join" not in table else ""
        phone.db.execute(f"DROP TABLE {table}")
        phone.db.execute(f"CREATE TABLE {table} ({keyed}{names})")
    return phone


ROWS = st.lists(st.dictionaries(st.sampled_from(COLUMNS), ANYTHING, max_size=8), min_size=1, max_size=6)
PLACES = st.floats(0, 1, exclude_max=True)
OTHERS = st.lists(st.tuples(ANYTHING, ANYTHING), max_size=4)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS, OTHERS, OTHERS, OTHERS)
def test_no_value_in_any_column_stops_the_reading_or_loses_a_row(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Value]],
    joins: list[tuple[Value, Value]],
    chats: list[tuple[Value, Value]],
    attachments: list[tuple[Value, Value]],
) -> None:
    phone = loosened(tmp_path_factory.mktemp("any") / "chat.db")
    with closing(phone.db) as db:
        for number, row in enumerate(rows):
            phone.message(number % 2 + 1, row)
        for first, second in joins:
            db.execute("INSERT INTO chat_message_join (chat_id, message_id) VALUES (?, ?)", (first, second))
            db.execute("INSERT INTO chat_handle_join (chat_id, handle_id) VALUES (?, ?)", (first, second))
        for first, second in chats:
            db.execute("INSERT INTO chat (guid, style) VALUES (?, ?)", (first, second))
            db.execute("INSERT INTO handle (id, person_centric_id) VALUES (?, ?)", (first, second))
        for number, (first, second) in enumerate(attachments, start=1):
            db.execute("INSERT INTO attachment (mime_type, user_info) VALUES (?, ?)", (first, second))
            db.execute("INSERT INTO message_attachment_join VALUES (1, ?)", (number,))
        read(phone)
        read(phone, "tokens")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=60)), min_size=1, max_size=4)
)
def test_a_damaged_file_is_read_or_refused_in_our_own_words(
    sample: bytes, tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[float, bytes]]
) -> None:
    content = bytearray(sample)
    for place, noise in damage:
        at = int(place * len(content))
        content[at : at + len(noise)] = noise
    path = tmp_path_factory.mktemp("damaged") / "chat.db"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        list(map(whole, stream_imessage(path, Counter())))


@pytest.fixture(scope="session")
def sample() -> bytes:
    from pipeline.samples import sample_path

    return sample_path("tortoise-hare").read_bytes()


def test_the_funnel_balances_on_an_archive_like_a_real_one(tmp_path: Path, building: Callable[[Path], None]) -> None:
    building(tmp_path / "chat.db")
    sessions, dropped = read_file(tmp_path / "chat.db")
    assert len(sessions) > 10
    assert {"tapback, sticker or vote", "no text", "one-time code", "event", "not in any chat"} <= dropped.keys()


@pytest.fixture
def building() -> Callable[[Path], None]:
    from tests.bench.archive import build_archive

    return lambda path: build_archive(path, 3000, 20)


@given(
    st.text(st.characters(codec="utf-8") | st.sampled_from("\ufffc\ufffdE "), max_size=200),
    st.integers(1, 400),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=3),
)
def test_the_short_cut_to_a_bodys_text_leads_where_the_long_way_does(
    text: str, times: int, mutable: bool, damage: list[tuple[int, int]]
) -> None:
    body = bytearray(encode_attributed_body(text * times, mutable=mutable))
    for at, byte in damage:
        body[at % len(body)] = byte
    short = _plain_text(bytes(body), 0)
    assert short is None or short == (decode_attributed_body(bytes(body)) or "").strip()


def test_rows_that_do_not_add_up_are_a_mistake_of_ours_or_a_damaged_file(phone: Phone) -> None:
    phone.message(phone.chat("c"), {"text": "hi"})
    path = phone.save()
    require_balance(path, 1)
    with pytest.raises(FinetuneError) as caught:
        require_balance(path, 2)
    assert (type(caught.value), str(caught.value)) == (
        FinetuneError,
        f"{path}: has 1 messages, which did not add up, got 2 read or left out for a reason. "
        "This is a mistake in finetune, not in your archive: please report it with these numbers.",
    )
    phone.db.execute("PRAGMA writable_schema = 1")
    phone.db.execute("UPDATE sqlite_master SET sql = replace(sql, '(date)', '(text)') WHERE name = 'message_idx_date'")
    phone.save()
    with pytest.raises(InputError, match="its indexes contradict its tables"):
        require_balance(path, 2)
