"""Uploads: files that come in parts. Each part is a blob of its own until all are joined."""

import contextlib
import filecmp
import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline import durable
from pipeline.server import responses
from pipeline.server.records import NewFile, NewUpload
from pipeline.server.storage.database import Database
from pipeline.server.storage.file_store import FileStore
from pipeline.server.storage.rows import read_upload
from pipeline.server.storage.sweeping import remove
from pipeline.server.upload_rules import LASTS_S, UploadRefused, beyond, check_hash, check_parts, has_ended

_BUFFER_BYTES = 1024 * 1024


class UploadStore:
    """Every upload of one server. Safe to call from any thread."""

    def __init__(self, database: Database, data_dir: Path, files: FileStore, now: Callable[[], int]) -> None:
        self._db = database
        self._incoming = data_dir / "incoming"
        self._folder = durable.make_private_dir(data_dir / "uploads")
        self._files = files
        self._now = now

    def begin(self, new: NewUpload) -> responses.Upload:
        """Add a pending upload."""
        upload_id, now = responses.new_id("upload_"), self._now()
        with self._db.change() as db:
            db.execute(
                "INSERT INTO uploads (id, created_at, expires_at, filename, purpose, bytes, status, file_lasts_s)"
                " VALUES (?, ?, ?, ?, ?, ?, 'pending', ?)",
                (
                    upload_id,
                    now,
                    now + LASTS_S,
                    new.file.filename,
                    new.file.purpose,
                    new.bytes,
                    new.file.lasts_s,
                ),
            )
        return self._read(upload_id)

    def get(self, upload_id: str) -> responses.Upload | None:
        """One upload; one whose hour is over is `expired`."""
        self.expire()
        rows = self._db.rows("SELECT 1 FROM uploads WHERE id = ?", (upload_id,))
        return self._read(upload_id) if rows else None

    def room(self, upload_id: str) -> int:
        """How many bytes an upload still takes: those it was created for, less its parts."""
        sql = "SELECT bytes - (SELECT coalesce(sum(bytes), 0) FROM upload_parts WHERE upload_id = uploads.id)"
        return int(self._db.rows(f"{sql} FROM uploads WHERE id = ?", (upload_id,))[0][0])

    def add_part(self, upload_id: str, incoming: Path, *, again: bool = False) -> responses.UploadPart | None:
        """Take over one part of an upload that there is; None, and nothing is kept, once it is no longer pending.

        Args:
            again: the client asks once more because it got no answer. A part with the same bytes is answered again.

        Raises:
            UploadRefused: with it the upload would hold more bytes than it was created for.
        """
        part_id, now, size = responses.new_id("part_"), self._now(), incoming.stat().st_size
        if again and (kept := self._equal_part(upload_id, incoming)):
            return kept
        folder = durable.make_private_dir(self._folder / upload_id)
        try:
            durable.publish(incoming, folder / part_id)
        except FileNotFoundError:
            return None  # the folder: another request has ended the upload meanwhile
        with self._db.change() as db:
            added = db.execute(
                "INSERT INTO upload_parts (id, created_at, upload_id, bytes)"
                " SELECT ?, ?, id, ? FROM uploads WHERE id = ? AND status = 'pending' AND expires_at > ?"
                " AND (SELECT coalesce(sum(bytes), 0) FROM upload_parts WHERE upload_id = uploads.id) + ? <= bytes",
                (part_id, now, size, upload_id, now, size),
            ).rowcount
        if added:
            return responses.UploadPart(part_id, now, upload_id)
        upload = self.get(upload_id)
        if upload is not None and upload.status == "pending":
            (folder / part_id).unlink(missing_ok=True)
            raise UploadRefused(beyond(upload.bytes, self.room(upload_id)), "data")
        shutil.rmtree(folder, ignore_errors=True)
        return None

    def _equal_part(self, upload_id: str, incoming: Path) -> responses.UploadPart | None:
        for part in self._db.rows(
            "SELECT id, created_at FROM upload_parts WHERE upload_id = ? AND bytes = ?",
            (upload_id, incoming.stat().st_size),
        ):
            with contextlib.suppress(FileNotFoundError):  # the upload has ended meanwhile
                if filecmp.cmp(self._folder / upload_id / part["id"], incoming, shallow=False):
                    return responses.UploadPart(part["id"], part["created_at"], upload_id)
        return None

    def complete(
        self, upload_id: str, part_ids: Sequence[str], md5: str | None, *, fault: str | None = None
    ) -> responses.Upload:
        """Join the parts, in the order given, to a file. Constant memory; nothing changes unless all is well.

        Args:
            md5: what the file's bytes must hash to, in hexadecimal.
            fault: see NewFile.

        Raises:
            UploadRefused: a part is unknown, the sizes or the hash do not agree, or the upload is no longer pending.
        """
        joined = self._incoming / responses.new_id("joined-")
        try:
            self._join(upload_id, part_ids, md5, joined)
            row = self._db.rows("SELECT filename, purpose, file_lasts_s FROM uploads WHERE id = ?", (upload_id,))[0]
            new = NewFile(row["filename"], row["purpose"], row["file_lasts_s"], fault)
            with self._files.publishing(joined, new) as file, self._db.change() as db:
                self._files.insert(db, file)
                done = db.execute(
                    "UPDATE uploads SET status = 'completed', file_id = ? WHERE id = ? AND status = 'pending'",
                    (file.id, upload_id),
                ).rowcount
                if not done:
                    raise has_ended()
        finally:
            with contextlib.suppress(FileNotFoundError):
                joined.unlink()
        shutil.rmtree(self._folder / upload_id, ignore_errors=True)
        return self._read(upload_id)

    def _join(self, upload_id: str, part_ids: Sequence[str], md5: str | None, target: Path) -> None:
        upload = self._read(upload_id)
        rows = self._db.rows("SELECT id, bytes FROM upload_parts WHERE upload_id = ?", (upload_id,))
        check_parts(upload.bytes, {row["id"]: row["bytes"] for row in rows}, part_ids)
        digest = hashlib.md5(usedforsecurity=False)
        try:
            fd = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                for part_id in part_ids:
                    with (self._folder / upload_id / part_id).open("rb") as part:
                        while block := part.read(_BUFFER_BYTES):
                            digest.update(block)
                            file.write(block)
        except FileNotFoundError:
            raise has_ended() from None
        check_hash(md5, digest.hexdigest())

    def cancel(self, upload_id: str) -> bool:
        """Give an upload up and remove its parts; False if it is not pending."""
        with self._db.change() as db:
            sql = "UPDATE uploads SET status = 'cancelled' WHERE id = ? AND status = 'pending' AND expires_at > ?"
            done = db.execute(sql, (upload_id, self._now())).rowcount == 1
        if done:
            shutil.rmtree(self._folder / upload_id, ignore_errors=True)
        return done

    def expire(self) -> None:
        """End the uploads whose hour is over, and give back their space."""
        for (upload_id,) in self._db.rows(
            "SELECT id FROM uploads WHERE status = 'pending' AND expires_at <= ?", (self._now(),)
        ):
            with self._db.change() as db:
                db.execute("UPDATE uploads SET status = 'expired' WHERE id = ? AND status = 'pending'", (upload_id,))
            shutil.rmtree(self._folder / upload_id, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what a killed server left: parts that no row names, and those of uploads that have ended."""
        self.expire()
        rows = self._db.rows(
            "SELECT upload_id, upload_parts.id FROM upload_parts"
            " JOIN uploads ON uploads.id = upload_id WHERE status = 'pending'"
        )
        wanted = {(upload_id, part_id) for upload_id, part_id in rows}
        for folder in self._folder.iterdir():
            if folder.is_symlink() or not folder.is_dir():  # macOS leaves a .DS_Store wherever somebody has looked
                remove(folder)
                continue
            for part in folder.iterdir():
                if (folder.name, part.name) not in wanted:
                    remove(part)
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()

    def _read(self, upload_id: str) -> responses.Upload:
        row = self._db.rows("SELECT * FROM uploads WHERE id = ?", (upload_id,))[0]
        return read_upload(row, None if row["file_id"] is None else self._files.get(row["file_id"]))
