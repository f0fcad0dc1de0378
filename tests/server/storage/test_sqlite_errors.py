"""What SQLite raises, as the rest of the server knows it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.server.interfaces import StorageBroken, StorageBusy, StorageError, StorageFull
from pipeline.server.storage.database import Database
from pipeline.server.storage.sqlite_errors import translated


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path)
    yield opened
    opened.close()


def _failed(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("words of SQLite")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (sqlite3.SQLITE_FULL, StorageFull, "words of SQLite"),
        (sqlite3.SQLITE_IOERR, StorageBroken, "Input/output error"),
        (sqlite3.SQLITE_IOERR_FSYNC, StorageBroken, "Input/output error"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StorageBusy, "words of SQLite"),
        (sqlite3.SQLITE_CANTOPEN, StorageBusy, "words of SQLite"),
        (sqlite3.SQLITE_NOMEM, StorageBusy, "words of SQLite"),
        (sqlite3.SQLITE_CORRUPT, StorageError, "words of SQLite"),
    ],
)
def test_an_error_of_sqlite_is_one_of_the_interface(code: int, kind: type[StorageError], text: str) -> None:
    cause = _failed(code)

    with pytest.raises(StorageError) as raised, translated():
        raise cause

    assert (type(raised.value), str(raised.value), raised.value.__cause__) == (kind, text, cause)


def test_a_misuse_that_has_no_code_is_translated_too(database: Database) -> None:
    with pytest.raises(StorageError), database.change() as db:
        db.execute("SELECT ?", ())


def test_a_store_that_cannot_grow_is_full_and_goes_on(database: Database) -> None:
    (pages,) = database.rows("PRAGMA page_count")[0]
    database.rows(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StorageFull), database.change() as db:
        db.execute("INSERT INTO meta VALUES ('large', hex(zeroblob(100000)))")

    assert [row["name"] for row in database.rows("SELECT name FROM meta ORDER BY name")] == ["org_id", "store_id"]


def test_what_cannot_be_asked_is_translated(database: Database) -> None:
    with pytest.raises(StorageError) as raised:
        database.rows("SELECT * FROM no_such_table")

    assert isinstance(raised.value.__cause__, sqlite3.OperationalError)
