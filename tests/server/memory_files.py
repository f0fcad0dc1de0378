"""Files and uploads in memory; see memory_store.py."""

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from pipeline.server import responses
from pipeline.server.records import NewFile, NewUpload, Page
from pipeline.server.upload_rules import LASTS_S, UploadRefused, beyond, check_hash, check_parts, has_ended


class _Named(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Named)


def page_of(
    items: Iterable[T], wanted: Callable[[T], bool], *, after: str | None, limit: int, oldest_first: bool = False
) -> Page[T]:
    """A page of `items`, oldest first, of which those that are not wanted (any more) still have a place."""
    ordered = list(items) if oldest_first else list(items)[::-1]
    if after is not None:
        places = [number for number, item in enumerate(ordered) if item.id == after]
        ordered = ordered[places[0] + 1 :] if places else []
    found = [item for item in ordered if wanted(item)]
    return Page(found[:limit], has_more=len(found) > limit)


class MemoryFiles:
    def __init__(self, lock: threading.RLock, now: Callable[[], int]) -> None:
        self._lock, self._now = lock, now
        self._files: dict[str, responses.File] = {}  # those that are gone, too: a listing may go on after them
        self.contents: dict[str, bytes] = {}

    def _is_there(self, file: responses.File) -> bool:
        expired = file.expires_at is not UNSET and file.expires_at <= self._now()
        return file.id in self.contents and not expired

    def keep(self, content: bytes, new: NewFile) -> responses.File:
        now = self._now()
        file = responses.File(
            id=responses.new_id("file-"),
            bytes=len(content),
            created_at=now,
            filename=new.filename,
            purpose=new.purpose,
            status="processed" if new.fault is None else "error",
            expires_at=UNSET if new.lasts_s is None else now + new.lasts_s,
            status_details=UNSET if new.fault is None else new.fault,
        )
        with self._lock:
            self._files[file.id], self.contents[file.id] = file, content
        return file

    def add(self, incoming: Path, new: NewFile) -> responses.File:
        file = self.keep(incoming.read_bytes(), new)
        incoming.unlink()
        return file

    def get(self, file_id: str) -> responses.File | None:
        with self._lock:
            file = self._files.get(file_id)
            return file if file is not None and self._is_there(file) else None

    def open(self, file_id: str) -> BinaryIO:
        with self._lock:
            if file_id not in self.contents:
                raise FileNotFoundError(file_id)
            return BytesIO(self.contents[file_id])

    def page(self, *, purpose: str | None, after: str | None, limit: int, oldest_first: bool) -> Page[responses.File]:
        def is_wanted(file: responses.File) -> bool:
            return self._is_there(file) and purpose in (None, file.purpose)

        with self._lock:
            return page_of(self._files.values(), is_wanted, after=after, limit=limit, oldest_first=oldest_first)

    def delete(self, file_id: str) -> bool:
        with self._lock:
            if self.get(file_id) is None:
                return False
            del self.contents[file_id]
            return True

    def expire(self) -> None:
        with self._lock:
            self.contents = {name: self.contents[name] for name in self.contents if self._is_there(self._files[name])}


class MemoryUploads:
    def __init__(self, lock: threading.RLock, now: Callable[[], int], files: MemoryFiles) -> None:
        self._lock, self._now, self._files = lock, now, files
        self._asked: dict[str, NewUpload] = {}
        self._uploads: dict[str, responses.Upload] = {}
        self._parts: dict[str, dict[str, tuple[responses.UploadPart, bytes]]] = {}

    def begin(self, new: NewUpload) -> responses.Upload:
        upload_id, now = responses.new_id("upload_"), self._now()
        upload = responses.Upload(
            upload_id, new.bytes, now, now + LASTS_S, new.file.filename, new.file.purpose, "pending"
        )
        with self._lock:
            self._asked[upload_id], self._uploads[upload_id], self._parts[upload_id] = new, upload, {}
        return upload

    def get(self, upload_id: str) -> responses.Upload | None:
        with self._lock:
            upload = self._uploads.get(upload_id)
            if upload is not None and upload.status == "pending" and upload.expires_at <= self._now():
                upload = self._end(upload, "expired")
            if upload is not None and upload.file is not UNSET and self._files.get(upload.file.id) is None:
                upload = replace(upload, file=UNSET)
            return upload

    def _end(self, upload: responses.Upload, status: Literal["cancelled", "expired", "completed"]) -> responses.Upload:
        self._parts[upload.id] = {}
        self._uploads[upload.id] = ended = replace(upload, status=status)
        return ended

    def _pending(self, upload_id: str) -> responses.Upload | None:
        upload = self.get(upload_id)
        return upload if upload is not None and upload.status == "pending" else None

    def room(self, upload_id: str) -> int:
        with self._lock:
            return self._uploads[upload_id].bytes - sum(len(data) for _, data in self._parts[upload_id].values())

    def add_part(self, upload_id: str, incoming: Path, *, again: bool = False) -> responses.UploadPart | None:
        content = incoming.read_bytes()
        with self._lock:
            upload, parts = self._pending(upload_id), self._parts[upload_id]
            if upload is None:
                return None
            if again and (same := [part for part, data in parts.values() if data == content]):
                return same[0]
            if len(content) > self.room(upload_id):
                raise UploadRefused(beyond(upload.bytes, self.room(upload_id)), "data")
            part = responses.UploadPart(responses.new_id("part_"), self._now(), upload_id)
            parts[part.id] = (part, content)
        incoming.unlink()
        return part

    def complete(
        self, upload_id: str, part_ids: Sequence[str], md5: str | None, *, fault: str | None = None
    ) -> responses.Upload:
        with self._lock:
            upload, parts = self._pending(upload_id), self._parts[upload_id]
            if upload is None:
                raise has_ended()
            check_parts(upload.bytes, {name: len(data) for name, (_, data) in parts.items()}, part_ids)
            content = b"".join(parts[name][1] for name in part_ids)
            check_hash(md5, hashlib.md5(content, usedforsecurity=False).hexdigest())
            file = self._files.keep(content, replace(self._asked[upload_id].file, fault=fault))
            self._uploads[upload_id] = done = replace(self._end(upload, "completed"), file=file)
            return done

    def cancel(self, upload_id: str) -> bool:
        with self._lock:
            upload = self._pending(upload_id)
            return upload is not None and self._end(upload, "cancelled").status == "cancelled"

    def expire(self) -> None:
        with self._lock:
            for upload_id in self._uploads:
                self.get(upload_id)
