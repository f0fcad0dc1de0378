"""Databases that never come to an end, and what is no database though it looks like one from outside."""

import os
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pipeline.archives import sqlite
from pipeline.archives.imessage import contacts, stream_imessage
from pipeline.errors import InputError
from pipeline.fetch import check_sqlite
from pipeline.process.signals import SignalStop, this_process
from tests.archives.phone import Phone

ENDLESS = "WITH RECURSIVE n (x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n) SELECT {} FROM n"
COUNT = ENDLESS.format("count(*)")
FIX = "Get it again from the app itself, and give that."


def columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})") if name != "ROWID"]


def as_view(db: sqlite3.Connection, table: str) -> None:
    found = ", ".join(f"1 AS {name}" for name in columns(db, table))
    db.execute(f"DROP TABLE {table}")
    db.execute(f"CREATE VIEW {table} AS {ENDLESS.format(f'x AS ROWID, {found}')}")


def as_virtual_table(db: sqlite3.Connection, table: str) -> None:
    """Such as full-text search over a view."""
    names = columns(db, table)
    as_view(db, table)
    db.execute("PRAGMA writable_schema = ON")
    db.execute(
        "UPDATE sqlite_master SET name = 'endless', tbl_name = 'endless', "
        f"sql = replace(sql, 'VIEW {table}', 'VIEW endless') WHERE name = '{table}'"
    )
    db.execute("PRAGMA writable_schema = RESET")
    db.execute(f"CREATE VIRTUAL TABLE {table} USING fts5({', '.join(names)}, content='endless')")


COMPUTED = [as_view, as_virtual_table]


@pytest.mark.parametrize("compute", COMPUTED)
@pytest.mark.parametrize("table", ["message", "handle", "chat", "attachment"])
def test_a_table_that_is_computed_is_not_read(
    phone: Phone, compute: Callable[[sqlite3.Connection, str], None], table: str
) -> None:
    compute(phone.db, table)
    with pytest.raises(InputError) as caught:
        list(stream_imessage(phone.save(), Counter()))
    said = f"{phone.path}: not a database as an app wrote it: its table {table} is computed. {FIX}"
    assert str(caught.value) == said


@pytest.mark.parametrize("compute", COMPUTED)
def test_a_download_whose_messages_are_computed_is_refused(
    phone: Phone, compute: Callable[[sqlite3.Connection, str], None]
) -> None:
    compute(phone.db, "message")
    with pytest.raises(InputError) as caught:
        check_sqlite(phone.save())
    said = f"download.source: not a database as an app wrote it: its table message is computed. {FIX}"
    assert str(caught.value) == said


def test_a_column_that_is_computed_is_refused_wherever_it_is(phone: Phone) -> None:
    phone.db.execute("CREATE TABLE 'a \"b' (y, x NOT NULL AS (hex(zeroblob(9)) LIKE '%0%1') VIRTUAL)")
    with pytest.raises(InputError) as caught:
        check_sqlite(phone.save())
    said = f'download.source: not a database as an app wrote it: its table a "b has columns that are computed. {FIX}'
    assert str(caught.value) == said


def test_contacts_that_are_computed_are_not_read(tmp_path: Path) -> None:
    book = tmp_path / "AddressBook-v22.abcddb"
    with closing(sqlite3.connect(book)) as db:
        db.execute(f"CREATE VIEW ZABCDPHONENUMBER AS {ENDLESS.format('x AS ZOWNER, 1 AS ZFULLNUMBER')}")
        db.execute("CREATE TABLE ZABCDRECORD (Z_PK, ZFIRSTNAME, ZLASTNAME)")
    with pytest.raises(InputError) as caught:
        contacts.read_contacts(book)
    assert str(caught.value) == (
        f"{book}: not a database as an app wrote it: its table ZABCDPHONENUMBER is computed. {FIX}"
    )


def test_a_question_without_end_is_given_up(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_MOST", 100_000)
    monkeypatch.setattr(sqlite, "_PER_BYTE", 1)
    for ask in (sqlite3.Connection.execute, sqlite.first_row):
        with pytest.raises(InputError) as caught, sqlite.opened(phone.save()) as db:
            ask(db, COUNT)
        assert str(caught.value) == (
            f"{phone.path}: not a database as an app wrote it: takes far longer to read than its size explains. {FIX}"
        )


@contextmanager
def stopped_meanwhile() -> Iterator[None]:
    later = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
    with pytest.raises(SignalStop), this_process.handled():
        later.start()
        try:
            yield
        finally:
            later.join()


@pytest.mark.parametrize("ask", [sqlite3.Connection.execute, sqlite.first_row])
def test_a_signal_ends_a_long_question(phone: Phone, ask: Callable[[sqlite3.Connection, str], object]) -> None:
    with stopped_meanwhile(), sqlite.opened(phone.save()) as db:
        ask(db, COUNT)


def test_a_signal_ends_the_wait_for_a_locked_database(phone: Phone) -> None:
    phone.save()
    phone.db.execute("BEGIN EXCLUSIVE")
    with stopped_meanwhile(), sqlite.opened(phone.path, timeout_s=1000):
        pass


@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("linked", [False, True], ids=["there", "linked"])
def test_a_pipe_is_not_waited_for(phone: Phone, tmp_path: Path, end: str, linked: bool) -> None:
    path = phone.save()
    place = path.with_name(path.name + end)
    place.unlink(missing_ok=True)
    pipe = tmp_path / "pipe" if linked else place
    os.mkfifo(pipe)
    if linked:
        place.symlink_to(pipe)
    said = f"chat.db{end} beside it is not a file" if end else "not a file"
    with pytest.raises(sqlite3.OperationalError, match=said), sqlite.opened(path):
        pass


def test_a_pipe_among_the_contacts_is_not_waited_for(tmp_path: Path) -> None:
    book = tmp_path / "Sources" / "AddressBook-v22.abcddb"
    book.parent.mkdir()
    os.mkfifo(book)
    for path in (book, tmp_path):
        with pytest.raises(InputError) as caught:
            contacts.read_contacts(path)
        assert str(caught.value) == (
            f"{book}: no readable Contacts database (not a file). Point `load.contacts` at an AddressBook folder or "
            "AddressBook-v22.abcddb. This Mac's own needs Full Disk Access."
        )
