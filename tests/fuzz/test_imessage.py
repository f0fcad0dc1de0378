"""Whatever a chat.db holds: sessions that can be written down, or one error that names the file."""

import contextlib
import itertools
import re
import sqlite3
import tracemalloc
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.archives.imessage import stream_imessage
from pipeline.archives.imessage.typedstream import decode_attributed_body
from pipeline.errors import FinetuneError, InputError
from pipeline.fetch.check import check_sqlite
from pipeline.fetch.local import copy_local, leave_wal_mode
from pipeline.samples.attributed_body import encode_attributed_body
from pipeline.samples.chatdb import create_chat_db
from pipeline.sessions.session import Session, read_sessions
from pipeline.sessions.stream import whole
from tests.fuzz.conftest import fuzz
from tests.fuzz.values import mutated
from tests.sessions.files import write_sessions

BODY = encode_attributed_body("Slow and steady, said the tortoise. " * 8)
DATES = [0, -1, 1, 700_000_000, 700_000_000 * 10**9, 2**63 - 1, -(2**63), 10**11, 10**11 + 1]
VALUES = st.one_of(
    st.none(),
    st.sampled_from([0, 1, 2, 43, 45, 1000, 2000, 3000, 4000, *DATES]),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.sampled_from(["", "\0", "SMS", "a\0b", "\ufffc", "Liked “x”", "Liked “" * 200, "x" * 70_000, "+15550100", "💥"]),
    st.text(max_size=8),
    st.sampled_from([b"", b"\0", b"\xff\xfe", b"\xff" * 100, b"bplist00" + b"\xff" * 40, BODY, BODY[:40]]),
    mutated(BODY),
)
TABLES = ("message", "chat", "handle", "chat_message_join", "chat_handle_join", "attachment", "message_attachment_join")

CHANGES = st.lists(
    st.tuples(
        st.integers(0, 2**20) | st.integers(0, 120) | st.integers(1, 40).map(lambda page: page * 1024),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=12,
)


def _columns() -> dict[str, list[str]]:
    with closing(create_chat_db(Path(":memory:"))) as db:
        return {t: [name for _, name, *_ in db.execute(f"PRAGMA table_info({t})") if name != "ROWID"] for t in TABLES}


COLUMNS = _columns()
_NEEDED = {"message": ["guid"], "chat": ["guid"], "handle": ["id", "service"], "attachment": ["guid", "original_guid"]}


def _row(table: str) -> st.SearchStrategy[dict[str, object]]:
    """A row with something odd in some of its columns; in a join, mostly with ids that are there."""
    if "join" in table:
        return st.fixed_dictionaries({name: st.integers(0, 4) | VALUES for name in COLUMNS[table]})
    needed = st.fixed_dictionaries(dict.fromkeys(_NEEDED[table], VALUES))
    odd = st.dictionaries(st.sampled_from(COLUMNS[table]), VALUES, max_size=8)
    return st.tuples(odd, needed).map(lambda both: {**both[0], **both[1]})


def read(path: Path) -> list[Session]:
    """Everything that an archive has, through a file and back."""
    sessions = list(map(whole, stream_imessage(path, Counter())))
    write_sessions(path.parent / "sessions.jsonl", sessions)
    assert list(read_sessions(path.parent / "sessions.jsonl")) == sessions
    return sessions


def read_or_refuse(path: Path) -> None:
    refused = None
    try:
        read(path)
    except InputError as error:
        refused = str(error)
    assert refused is None or str(path) in refused


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small database: a few messages, text in both places."""
    path = tmp_path_factory.mktemp("valid") / "chat.db"
    with closing(create_chat_db(path)) as db:
        db.execute("INSERT INTO handle (id, service) VALUES ('+15550100', 'iMessage')")
        db.execute("INSERT INTO chat (guid, style) VALUES ('any;-;+15550100', 45)")
        for number in range(1, 7):
            db.execute(
                "INSERT INTO message (guid, text, handle_id, is_from_me, date, attributedBody)"
                " VALUES (?, ?, 1, ?, ?, ?)",
                (f"g{number}", "Slow", number % 2, (700_000_000 + number) * 10**9, BODY if number % 3 else None),
            )
            db.execute("INSERT INTO chat_message_join (chat_id, message_id) VALUES (1, ?)", (number,))
        db.commit()
        db.execute("PRAGMA page_size = 1024")
        db.execute("VACUUM")
    return path


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Path]:
    numbers = itertools.count()

    def make() -> Path:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return folder / "chat.db"

    return make


def test_the_valid_database_is_valid(valid: Path, fresh: Callable[[], Path]) -> None:
    path = fresh()
    path.write_bytes(valid.read_bytes())
    assert [len(session.messages) for session in read(path)] == [6]


def test_a_database_cut_at_any_page_or_byte_is_read_or_refused(valid: Path, fresh: Callable[[], Path]) -> None:
    path, whole = fresh(), valid.read_bytes()
    for length in [*range(120), *range(120, len(whole), len(whole) // 150)]:
        path.write_bytes(whole[:length])
        read_or_refuse(path)


def _spoilt(valid: Path, changes: list[tuple[int, int]]) -> bytes:
    data = bytearray(valid.read_bytes())
    for at, byte in changes:
        data[at % len(data)] = byte
    return bytes(data)


def test_a_table_whose_name_is_no_text_is_refused(valid: Path, fresh: Callable[[], Path]) -> None:
    """SQLite's own error quotes it, and Python cannot decode that."""
    path = fresh()
    path.write_bytes(valid.read_bytes().replace(b"tablechatchat", b"table\xffhatchat", 1))

    with pytest.raises(InputError, match="not a readable iMessage database"):
        read(path)


@fuzz(250)
@given(changes=CHANGES)
def test_a_database_with_wrong_bytes_is_read_or_refused(
    valid: Path, fresh: Callable[[], Path], changes: list[tuple[int, int]]
) -> None:
    path = fresh()
    path.write_bytes(_spoilt(valid, changes))
    read_or_refuse(path)


@fuzz(100)
@given(changes=CHANGES)
def test_a_database_with_wrong_bytes_is_fetched_or_refused(
    valid: Path, fresh: Callable[[], Path], changes: list[tuple[int, int]]
) -> None:
    source, target = fresh(), fresh()
    source.write_bytes(_spoilt(valid, changes))
    with contextlib.suppress(FinetuneError):
        copy_local(source, target, timeout_s=5, progress=lambda *_: None)
        leave_wal_mode(target)
        check_sqlite(target)
    with contextlib.suppress(InputError):
        check_sqlite(source)


@fuzz(200)
@given(
    rows=st.fixed_dictionaries({table: st.lists(_row(table), max_size=3) for table in TABLES}),
    no_utf8=st.sampled_from([None, "text", "subject", "service", "guid", "balloon_bundle_id"]),
)
def test_rows_of_any_types_are_read_or_refused(
    fresh: Callable[[], Path], rows: dict[str, list[dict[str, object]]], no_utf8: str | None
) -> None:
    path = fresh()
    with closing(create_chat_db(path)) as db:
        for table, row in ((table, row) for table, several in rows.items() for row in several):
            names, places = ", ".join(row), ", ".join("?" for _ in row)
            db.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({places})", tuple(row.values()))
        if no_utf8:  # TEXT that is no UTF-8, as only SQL can write it
            db.execute(f"UPDATE OR IGNORE message SET {no_utf8} = CAST(x'ff00c3' AS TEXT)")
            db.execute("UPDATE OR IGNORE chat SET guid = CAST(x'edA080' AS TEXT), display_name = CAST(x'ff' AS TEXT)")
        db.commit()
    read_or_refuse(path)


@fuzz(80)
@given(tables=st.sets(st.sampled_from(TABLES), max_size=2), columns=st.sets(st.integers(0, 300), max_size=30))
def test_missing_tables_and_columns_are_missed_or_made_up_for(
    valid: Path, fresh: Callable[[], Path], tables: set[str], columns: set[int]
) -> None:
    path = fresh()
    path.write_bytes(valid.read_bytes())
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA foreign_keys = 0")
        # Renamed in the schema's text: so any column can go, whatever depends on it.
        db.execute("PRAGMA writable_schema = 1")
        every = [(t, c) for t in TABLES for _, c, *_ in db.execute(f"PRAGMA table_info({t})") if c != "ROWID"]
        for number in columns:
            table, column = every[number % len(every)]
            (sql,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            sql = re.sub(rf"\b{column}\b", f"x{number}", sql)
            db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (sql, table))
        for table in tables:
            db.execute("DELETE FROM sqlite_master WHERE tbl_name = ?", (table,))
        db.commit()
    read_or_refuse(path)


@fuzz(400)
@given(blob=mutated(BODY) | st.binary(max_size=200))
@example(b"\x84\x01+\x82\xff\xff\xff\xff" + b"x" * 100)
@example(b"\x84\x01+\x82\xff\xff\xff\x7f")
@example(b"\x84\x01+\x81\xff")
@example(b"\x84\x01+\x83" + b"\0" * 8)
@example(b"\xff\xfe\x00")
@example(b"\x84\x01+" * 1000)
def test_a_body_is_text_or_nothing(blob: bytes) -> None:
    tracemalloc.start()
    text = decode_attributed_body(blob)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert text is None or len(text) <= len(blob)
    assert peak < 100_000 + 10 * len(blob)
