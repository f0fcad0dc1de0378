"""SQLite databases that others made, opened in one place: to be read, within bounds, and open to signals meanwhile.

A database is a program as well: a view or a virtual table may never come to an end, and a column that is computed may
take for ever over one row. So what is read must be plain tables, and reading takes time as the file's size does.

SQLite itself only lets Python act on a signal where it calls Python back. It does so every few thousand instructions;
but a check of the whole file is one instruction, and waiting for a lock is none.
"""

import contextlib
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.durable import reading
from pipeline.errors import InputError
from pipeline.process.signals import this_process

HEADER = b"SQLite format 3\0"

_EVERY = 10_000  # instructions of SQLite between two looks at what has arrived: well below a millisecond
_MOST, _PER_BYTE = 1_000_000_000, 1_000  # instructions; reading an honest archive takes some 10 for each byte
_LOCKED_S, _AGAIN_S = 0.2, 0.05
_BESIDE = ("-wal", "-shm", "-journal")
_GENERATED = (2, 3)  # values of `hidden` in PRAGMA table_xinfo: virtual and stored


@contextlib.contextmanager
def opened(
    path: Path, tables: Sequence[str] = (), *, where: str | None = None, timeout_s: float = 5.0, writable: bool = False
) -> Iterator[sqlite3.Connection]:
    """A database to read, with all that its -wal beside it holds, in one transaction: one moment of it throughout.

    Args:
        tables: what is to be read of it, as far as it is there.
        where: what to call it in errors; its path if None.
        timeout_s: how long to wait for another program that keeps it locked.
        writable: it is ours; SQLite may bring it up to date with its -wal.

    Raises:
        InputError: what is to be read is no plain table, or reading takes far too long.
        sqlite3.Error: no database, damaged, locked, or not to be read.
    """
    _require_file(path)
    uri = f"{path.absolute().as_uri()}?mode={'rw' if writable else 'ro'}"
    db = sqlite3.connect(
        uri, uri=True, timeout=min(timeout_s, _LOCKED_S), isolation_level=None, check_same_thread=False
    )
    watch = _Watch(_MOST + _PER_BYTE * path.stat().st_size)
    with contextlib.closing(db):
        try:
            db.set_progress_handler(watch, _EVERY)
            db.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1)  # one row may take a longer one for ever
            for pragma in ("trusted_schema = 0", "ignore_check_constraints = 1", "temp_store = MEMORY"):
                db.execute(f"PRAGMA {pragma}")
            _begin(db, timeout_s)
            _require_plain(db, tables, where or str(path))
            yield db
        except sqlite3.OperationalError:
            this_process.stop_if_asked()  # SQLite drops what is raised in a call of its own, and is interrupted
            if watch.left > 0:
                raise
            raise _no_apps_own(where or str(path), "takes far longer to read than its size explains") from None
        except MemoryError:  # as sqlite3 has it where a schema contradicts itself
            raise sqlite3.DatabaseError("its schema is damaged") from None


class _Watch:
    """Has SQLite call Python, which then acts on signals, and ends what takes too long."""

    def __init__(self, most: int) -> None:
        self.left = most

    def __call__(self) -> bool:
        self.left -= _EVERY
        return self.left <= 0


def first_row(db: sqlite3.Connection, query: str) -> Any:
    """The first row of an answer that SQLite may take minutes for at one go, such as a check; signals act meanwhile."""
    answers: list[object] = []

    def ask() -> None:
        try:
            answers.append(db.execute(query).fetchone())
        except Exception as error:  # noqa: BLE001  it is raised again where the answer is awaited
            answers.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    try:
        asking.join()
    except BaseException:
        db.interrupt()
        asking.join()
        raise
    (answer,) = answers
    if isinstance(answer, Exception):
        raise answer
    return answer


def _require_file(path: Path) -> None:
    """A pipe or a device would be waited for, by SQLite beyond the reach of signals.

    Raises:
        sqlite3.Error: `path`, or what SQLite would open beside it, is no file; or no database.
    """
    real = path.resolve()
    for each in (real.with_name(real.name + end) for end in _BESIDE):
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(each.stat().st_mode):
                raise sqlite3.OperationalError(f"{each.name} beside it is not a file")
    try:
        with reading(path) as file:
            head = file.read(len(HEADER))
    except OSError as error:
        if path.exists() and not path.is_file():
            raise sqlite3.OperationalError("not a file") from None
        raise sqlite3.OperationalError("unable to open database file") from error
    if head != HEADER:
        raise sqlite3.DatabaseError("file is not a database")


def _begin(db: sqlite3.Connection, timeout_s: float) -> None:
    """Begin to read: without this, each commit of a writer would show."""
    until = time.monotonic() + timeout_s
    while True:
        try:
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= until:
                raise
            if db.in_transaction:
                db.execute("ROLLBACK")
            time.sleep(_AGAIN_S)


def _require_plain(db: sqlite3.Connection, tables: Sequence[str], where: str) -> None:
    """Check that what is to be read is stored as it is read; nothing is read of any table meanwhile."""
    if not tables:
        return
    places = ", ".join("?" * len(tables))
    query = f"SELECT name, type, rootpage FROM sqlite_master WHERE name COLLATE NOCASE IN ({places})"
    for name, kind, root in db.execute(query, tables).fetchall():
        if kind != "table" or not root:
            raise _no_apps_own(where, f"its table {name} is computed")
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0").fetchall():
        quoted = '"' + name.replace('"', '""') + '"'
        if any(hidden in _GENERATED for *_, hidden in db.execute(f"PRAGMA main.table_xinfo({quoted})")):
            raise _no_apps_own(where, f"its table {name[:40]} has columns that are computed")


def _no_apps_own(where: str, what: str) -> InputError:
    return InputError(
        where, f"not a database as an app wrote it: {what}", fix="Get it again from the app itself, and give that."
    )
