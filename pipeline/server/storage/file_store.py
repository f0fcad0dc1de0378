"""Files: a row in SQLite and a blob in a folder. The bytes are durable before the row is."""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from pipeline import durable
from pipeline.server import responses
from pipeline.server.interfaces import StorageDamaged
from pipeline.server.logs import logger
from pipeline.server.records import NewFile, Page
from pipeline.server.storage.database import Database
from pipeline.server.storage.rows import read_file
from pipeline.server.storage.sweeping import remove


class FileStore:
    """Every file of one server. Safe to call from any thread.

    Args:
        now: Unix seconds. A file whose `expires_at` is reached is answered as gone from that second on.
    """

    def __init__(self, database: Database, data_dir: Path, now: Callable[[], int]) -> None:
        self.blobs = durable.make_private_dir(data_dir / "files")
        self._db = database
        self._now = now

    def blob(self, file_id: str) -> Path:
        """Where the bytes of a file lie. Only for an id that a row has: never for what a request says."""
        return self.blobs / file_id

    def add(self, incoming: Path, new: NewFile) -> responses.File:
        """Take over a finished upload; on disk when this returns. If it raises, the space is free again."""
        with self.publishing(incoming, new) as file, self._db.change() as db:
            self.insert(db, file)
        return file

    @contextlib.contextmanager
    def publishing(self, incoming: Path, new: NewFile) -> Iterator[responses.File]:
        """Make the bytes durable as a new file's; the block must `insert` it, and if it raises the bytes are gone."""
        now = self._now()
        file = responses.File(
            id=responses.new_id("file-"),
            bytes=incoming.stat().st_size,
            created_at=now,
            filename=new.filename,
            purpose=new.purpose,
            status="processed" if new.fault is None else "error",
            expires_at=msgspec.UNSET if new.lasts_s is None else now + new.lasts_s,
            status_details=msgspec.UNSET if new.fault is None else new.fault,
        )
        try:
            durable.publish(incoming, self.blob(file.id))
            yield file
        except BaseException:
            # Should the row be there all the same after a crash, because only the last fsync of its commit had failed,
            # then the next start finds that it has no bytes.
            with contextlib.suppress(OSError):
                self.blob(file.id).unlink(missing_ok=True)
            raise

    def insert(self, db: sqlite3.Connection, file: responses.File) -> None:
        """Add the row of a file that is being published, in a transaction of the caller's."""
        values = {"expires_at": None, "status_details": None, **msgspec.structs.asdict(file)}
        db.execute(
            "INSERT INTO files (id, created_at, filename, purpose, bytes, status, status_details, expires_at)"
            " VALUES (:id, :created_at, :filename, :purpose, :bytes, :status, :status_details, :expires_at)",
            {name: None if value is msgspec.UNSET else value for name, value in values.items()},
        )

    def get(self, file_id: str) -> responses.File | None:
        """One file, unless it was deleted or has expired."""
        (condition, values) = self._alive()
        rows = self._db.rows(f"SELECT * FROM files WHERE id = ? AND {condition}", (file_id, *values))
        return read_file(rows[0]) if rows else None

    def open(self, file_id: str) -> BinaryIO:
        """The bytes of a file that a row has; FileNotFoundError if it was deleted meanwhile.

        Raises:
            StorageDamaged: they are more or fewer than the row says.
        """
        rows = self._db.rows("SELECT bytes FROM files WHERE id = ?", (file_id,))
        content = durable.reading(self.blob(file_id))
        size = os.fstat(content.fileno()).st_size
        if rows and size != rows[0]["bytes"]:
            content.close()
            raise StorageDamaged(f"of {file_id}, {rows[0]['bytes']} bytes were stored and {size} are there")
        return content

    def page(self, *, purpose: str | None, after: str | None, limit: int, oldest_first: bool) -> Page[responses.File]:
        """A page of the files there are."""
        where = [self._alive()]
        if purpose is not None:
            where.append(("purpose = ?", (purpose,)))
        return self._db.page("files", read_file, where, after=after, limit=limit, oldest_first=oldest_first)

    def delete(self, file_id: str) -> bool:
        """Forget a file and its bytes; False when there is none."""
        condition, values = self._alive()
        with self._db.change() as db:
            sql = f"UPDATE files SET deleted = 1 WHERE id = ? AND {condition}"
            gone = db.execute(sql, (file_id, *values)).rowcount == 1
        if gone:
            self.blob(file_id).unlink(missing_ok=True)
        return gone

    def expire(self) -> None:
        """Give back the space of files whose time is over."""
        over = "deleted = 0 AND expires_at <= ?"
        for (file_id,) in self._db.rows(f"SELECT id FROM files WHERE {over}", (self._now(),)):
            with self._db.change() as db:
                db.execute("UPDATE files SET deleted = 1 WHERE id = ?", (file_id,))
            self.blob(file_id).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what a killed server left: blobs that no row names, rows without a blob."""
        files = {row[0] for row in self._db.rows("SELECT id FROM files WHERE deleted = 0")}
        blobs = {path.name for path in self.blobs.iterdir()}
        if len(files) > 1 and not files & blobs:  # no crash does that, but a disk that is not there
            logger.warning("the folder files holds none of the files that the store knows of, and is left as it is")
            return
        for name in blobs - files:
            remove(self.blob(name))
        for name in files - blobs:
            logger.warning("%s has lost its bytes and is forgotten", name)
            with self._db.change() as db:
                db.execute("UPDATE files SET deleted = 1 WHERE id = ?", (name,))

    def _alive(self) -> tuple[str, Sequence[object]]:
        return "deleted = 0 AND (expires_at IS NULL OR expires_at > ?)", (self._now(),)
