"""The server's SQLite file: its schema, opening, lock and identity. The rows themselves are store.py's business."""

import contextlib
import fcntl
import os
import secrets
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from pipeline import durable
from pipeline.errors import Locked, StateDamaged
from pipeline.server import disk_errors
from pipeline.server.records import Page
from pipeline.server.storage.sqlite_errors import translated

DATABASE = "store.db"
LOCK = "server.lock"
LOCK_WAIT_S = 10.0

T = TypeVar("T")

_VERSION_1 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE files (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL,
    filename TEXT NOT NULL, purpose TEXT NOT NULL, bytes INTEGER NOT NULL,
    status TEXT NOT NULL, status_details TEXT,
    deleted INTEGER NOT NULL DEFAULT 0 -- the row stays: jobs name it, and a listing may go on after it
) STRICT;
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL,
    status TEXT NOT NULL, model TEXT NOT NULL, model_name TEXT NOT NULL UNIQUE,
    training_file TEXT NOT NULL REFERENCES files(id), validation_file TEXT REFERENCES files(id),
    result_file TEXT REFERENCES files(id),
    seed INTEGER NOT NULL, suffix TEXT, metadata TEXT, -- JSON
    asked TEXT NOT NULL, used TEXT, -- JSON: hyperparameters
    error TEXT, -- JSON
    finished_at INTEGER, trained_tokens INTEGER, estimated_finish INTEGER,
    validated INTEGER NOT NULL DEFAULT 0,
    crashes TEXT NOT NULL DEFAULT '[]', -- JSON: how each lost worker died
    idempotency_key TEXT UNIQUE, idempotency_digest TEXT
) STRICT;
CREATE INDEX jobs_by_status ON jobs(status, seq);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, job_id TEXT NOT NULL REFERENCES jobs(id),
    created_at INTEGER NOT NULL, level TEXT NOT NULL, message TEXT NOT NULL, type TEXT NOT NULL, data TEXT
) STRICT;
CREATE INDEX events_by_job ON events(job_id, seq);
CREATE TABLE metrics (
    job_id TEXT NOT NULL REFERENCES jobs(id), step INTEGER NOT NULL, values_json TEXT NOT NULL,
    PRIMARY KEY (job_id, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoints (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, job_id TEXT NOT NULL REFERENCES jobs(id),
    step INTEGER NOT NULL, created_at INTEGER NOT NULL, model_name TEXT NOT NULL, metrics TEXT NOT NULL,
    UNIQUE (job_id, step)
) STRICT;
CREATE TABLE models (
    name TEXT PRIMARY KEY, job_id TEXT NOT NULL REFERENCES jobs(id), base_model TEXT NOT NULL,
    folder TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL, is_checkpoint INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX models_by_job ON models(job_id);
"""
_VERSION_2 = """
ALTER TABLE files ADD COLUMN expires_at INTEGER;
CREATE INDEX files_by_end ON files(expires_at) WHERE expires_at IS NOT NULL AND deleted = 0;
ALTER TABLE jobs ADD COLUMN method TEXT NOT NULL DEFAULT 'supervised';
CREATE TABLE uploads (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL, filename TEXT NOT NULL, purpose TEXT NOT NULL, bytes INTEGER NOT NULL,
    status TEXT NOT NULL, file_lasts_s INTEGER, file_id TEXT REFERENCES files(id)
) STRICT;
CREATE INDEX uploads_by_end ON uploads(expires_at) WHERE status = 'pending';
CREATE TABLE upload_parts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL,
    upload_id TEXT NOT NULL REFERENCES uploads(id), bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX parts_by_upload ON upload_parts(upload_id, seq);
"""
# What each version adds to the one before: a new store goes through all of them, an old one through those it lacks.
_VERSIONS = (_VERSION_1, _VERSION_2)
SCHEMA_VERSION = len(_VERSIONS)
_SWEPT = ("files", "uploads", "jobs", "models")
"""Folders beside the database, from which each start removes what no row names."""


def read_store_id(data_dir: Path) -> str | None:
    """The identity of the store in `data_dir`, a UUID made with it; None when there is no store yet.

    Starts no server and takes no lock.

    Raises:
        StateDamaged: what lies there cannot be read as a store.
    """
    path = data_dir / DATABASE
    if not path.exists():
        return None
    if not path.is_file():
        raise StateDamaged(str(path), "is not a file", fix="Remove it.")
    with _explained(path):
        try:
            return _read_store_id(path, "mode=rw")
        except sqlite3.OperationalError:
            # On a disk that is full or read-only SQLite cannot make the -shm that WAL mode needs. What has been
            # written back into the file itself can be read all the same.
            wal = path.with_name(f"{DATABASE}-wal")
            if wal.exists() and wal.stat().st_size:
                raise
            return _read_store_id(path, "mode=ro&immutable=1")


def _read_store_id(path: Path, how: str) -> str | None:
    with contextlib.closing(_connect(path, how)) as db:
        if db.execute("PRAGMA user_version").fetchone() == (0,):
            return None
        row = db.execute("SELECT value FROM meta WHERE name = 'store_id'").fetchone()
        if row is None:
            raise disk_errors.unreadable(path, "no store_id")
        return str(row[0])


class Database:
    """The open store of one server; makes it on first use. Safe to call from any thread.

    Raises:
        StateDamaged: not a store, one made by a newer version, or one that is gone while what it knew of is there.

    Attributes:
        is_new: it was made just now.
    """

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / DATABASE
        # The mode is set before anything is in it; SQLite gives its -wal and -shm files the same.
        os.close(durable.open_file(path, os.O_CREAT | os.O_WRONLY))
        self._lock = threading.RLock()
        self._db = _connect(path)
        try:
            with _explained(path):
                self.is_new = _prepare(self._db, path)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close it; nothing may be called afterwards."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction: on disk when the block ends, undone if it raises.

        Raises:
            StorageError: SQLite failed, in the block as well.
        """
        with self._lock, translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """What a query finds.

        Raises:
            StorageError: SQLite failed.
        """
        with self._lock, translated():
            cursor = self._db.execute(sql, values)
            cursor.row_factory = sqlite3.Row
            return cursor.fetchall()

    def page(
        self,
        table: str,
        read: Callable[[sqlite3.Row], T],
        where: Iterable[tuple[str, Sequence[object]]],
        *,
        after: str | None,
        limit: int,
        oldest_first: bool = False,
    ) -> Page[T]:
        """Rows of `table` that meet every condition, newest first.

        Args:
            where: conditions in SQL, each with its values.
            after: the id of the last item of the page before; one that never was gives an empty page.
        """
        conditions = list(where)
        if after is not None:
            comparison = ">" if oldest_first else "<"
            conditions.append((f"seq {comparison} (SELECT seq FROM {table} WHERE id = ?)", (after,)))
        sql = f"SELECT * FROM {table} WHERE {' AND '.join(text for text, _ in conditions) or 'TRUE'}"
        values = [value for _, parts in conditions for value in parts]
        rows = self.rows(f"{sql} ORDER BY seq {'ASC' if oldest_first else 'DESC'} LIMIT ?", [*values, limit + 1])
        return Page([read(row) for row in rows[:limit]], has_more=len(rows) > limit)


def _connect(path: Path, how: str = "mode=rw") -> sqlite3.Connection:
    # mode=rw and not ro: a store in WAL mode whose server was killed cannot be read without recovering it.
    uri = f"{path.absolute().as_uri()}?{how}"
    db = sqlite3.connect(uri, uri=True, timeout=10.0, isolation_level=None, check_same_thread=False)
    db.text_factory = partial(str, encoding="utf-8", errors="replace")  # one damaged name must not hide all other rows
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> bool:
    """Bring a store up to this version; whether there was none."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == 0:
        _refuse_orphans(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    if version > SCHEMA_VERSION:
        raise StateDamaged(
            str(path),
            "this store was made by a newer version of finetune",
            got=f"schema {version}",
            fix=f"Use the version that made it; this one reads schemas up to {SCHEMA_VERSION}.",
        )
    if version == SCHEMA_VERSION:
        with contextlib.closing(sqlite3.connect(":memory:")) as whole:
            whole.executescript("".join(_VERSIONS))
            missing = _columns(whole) - _columns(db)
        if missing:
            raise disk_errors.unreadable(path, f"no {min(missing)}")
        return False
    identity = {"store_id": str(uuid.uuid4()), "org_id": f"org-{secrets.token_hex(12)}"} if version == 0 else {}
    db.executescript(
        f"BEGIN IMMEDIATE; {''.join(_VERSIONS[version:])} PRAGMA user_version = {SCHEMA_VERSION};"
        + "".join(f"INSERT INTO meta VALUES ('{name}', '{value}');" for name, value in identity.items())
        + "COMMIT;"
    )
    durable.sync_directory(path.parent)
    return bool(version == 0)


def _columns(db: sqlite3.Connection) -> set[str]:
    sql = (
        "SELECT tables.name || '.' || columns.name"
        " FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'"
    )
    return {name for (name,) in db.execute(sql)}


def _refuse_orphans(path: Path) -> None:
    """See that nothing lies where an empty store would sweep it away: trained models, say, whose database was lost."""
    for name in _SWEPT:
        folder = path.parent / name
        if folder.is_dir() and any(not found.name.startswith(".") for found in folder.iterdir()):
            raise StateDamaged(
                str(path),
                f"the database of this store is gone, but there is still something in its folder {name}",
                fix=f"Put back {path.name}, or move the whole folder away to start with an empty store.",
            )


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    with disk_errors.explained(path), translated():
        yield


def is_free(lock: Path) -> bool:
    """Whether no server holds the lock file of a store; False if there is none, or it cannot be asked."""
    try:
        fd = durable.open_file(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


class StoreLock:
    """The right to serve a data directory: held until `release`, and never longer than the process lives.

    The file is never unlinked, which would split waiters over two inodes.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def acquire(
        cls,
        data_dir: Path,
        *,
        wait_s: float = LOCK_WAIT_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> "StoreLock":
        """Lock `data_dir`, waiting up to `wait_s` seconds: a predecessor may still be dying.

        Raises:
            Locked: another server holds it.
        """
        fd = durable.open_file(data_dir / LOCK, os.O_CREAT | os.O_RDWR)
        deadline = clock() + wait_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return cls(fd)
            except BlockingIOError:
                if clock() >= deadline:
                    os.close(fd)
                    raise Locked(
                        str(data_dir),
                        "another server holds this data directory",
                        fix="Stop it, or give this one its own --data-dir.",
                    ) from None
            sleep(0.05)

    def release(self) -> None:
        """Let another server in."""
        os.close(self._fd)
