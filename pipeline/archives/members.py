"""The files of an archive, alike whether it is one file, a folder, a zip, or a folder that holds zips.

Readers open members and nothing else. So what is dangerous is decided here once: links lead nowhere, a zip that would
unpack to very much is refused before it does, nothing is ever unpacked to the disk, and there are not too many files.
"""

import io
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from pipeline.archives.files import files_in
from pipeline.archives.zips import HARMLESS, MOST_TIMES, OPENING_ERRORS, ZIP_ERRORS, damaged
from pipeline.durable import reading
from pipeline.errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MOST_FILES = 200_000
"""More than any export has; each costs memory and time before anything is read."""

HEAD = 64 * 1024
"""Bytes by which an archive is recognised."""

_ZIP = b"PK\x03\x04"
_EXPORT_AGAIN = "Export it again, and give it as it is."
_MACS_OWN = "__MACOSX"  # what macOS adds to zips: each file's attributes, under its name with "._" in front


class Member:
    """A file of an archive.

    Attributes:
        name: its path within the archive, such as "messages/inbox/ann_12/message_1.json"; "" never. A file of a zip in
            a folder has the zip's name in front, and an archive of one file has the file's own name.
        size: bytes.
    """

    def __init__(self, archive: "Members", path: Path, name: str, size: int, info: zipfile.ZipInfo | None) -> None:
        self.name = name
        self.size = size
        self._archive = archive
        self._path = path
        self._info = info

    def __str__(self) -> str:
        """Where it lies, for messages."""
        return str(self._path) if self._info is None else f"{self._path}, {self._info.filename[:200]}"

    @property
    def path(self) -> Path:
        """The file on the disk that holds it: itself, or its zip."""
        return self._path

    @property
    def is_file(self) -> bool:
        """Whether it lies on the disk as it is, and not in a zip."""
        return self._info is None

    @property
    def file_name(self) -> str:
        """What that file was called where the archive came from."""
        return self._archive.name if self._path == self._archive.path else self._path.name

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders that lead to it, and its own name."""
        return PurePosixPath(self.name).parts

    @property
    def suffix(self) -> str:
        """Such as ".json", in small letters."""
        return PurePosixPath(self.name).suffix.lower()

    def open(self) -> IO[bytes]:
        """The bytes, to be closed; read errors of a zip become InputError.

        Raises:
            InputError: a zip is damaged, locked with a password, or would unpack to very much.
        """
        if self._info is None:
            return reading(self._path, follow=self._path == self._archive.path)
        return self._archive.unpack(self._path, self._info)

    def head(self, size: int = HEAD) -> bytes:
        """The first bytes."""
        with self.open() as file:
            return file.read(size)

    def read(self) -> bytes:
        """All bytes, of a member that is known to be small: see `size`."""
        with self.open() as file:
            return file.read()


class Members:
    """An archive that is open: the files in it, in a fixed order.

    Args:
        path: a file, a folder or a zip.
        name: what the file was called before it was copied; "" where that is its own name.

    Raises:
        InputError: a zip is damaged, or there are more than MOST_FILES.
    """

    def __init__(self, path: Path, name: str = "") -> None:
        self.path = path
        self.name = name or path.name
        self._zip: zipfile.ZipFile | None = None
        self._unpacked: set[tuple[Path, int]] = set()
        self._out = 0
        self._held: dict[Path, int] = {}
        self.all: list[Member] = []
        is_folder = path.is_dir()
        for each, name in _names(path) if is_folder else [(path, self.name)]:
            is_zip = each.suffix.lower() == ".zip" or not is_folder
            is_zip = is_zip and _begins(each, b"PK") and zipfile.is_zipfile(each)
            self.all.extend(self._zipped(each, name) if is_zip else [_plain(self, each, name)])
            if len(self.all) > MOST_FILES:
                raise InputError(
                    str(path), f"holds more than {MOST_FILES:,} files", fix="Give the folder of the export alone."
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __iter__(self) -> Iterator[Member]:
        return iter(self.all)

    def close(self) -> None:
        """Close what is open."""
        if self._zip is not None:
            self._zip.close()
            self._zip = None

    @property
    def only(self) -> Member | None:
        """The member of an archive of one file."""
        return self.all[0] if len(self.all) == 1 else None

    def cut(self) -> list[str]:
        """The names of zips of which nothing can be read, since their end is missing: there stands what is in them.

        A zip within a zip, such as one that somebody sent, is no archive, and left alone.
        """
        files = (each for each in self.all if each.is_file and each.suffix == ".zip")
        return [each.name for each in files if each.head(len(_ZIP)) == _ZIP]

    def named(self, *names: str) -> list[Member]:
        """The members whose own name is one of these."""
        return [each for each in self.all if each.parts[-1] in names]

    def unpack(self, path: Path, info: zipfile.ZipInfo) -> IO[bytes]:
        """A file of a zip to read from; see `Member.open`.

        What has been opened counts together, each member once: no archive of chats grows more than MOST_TIMES times. A
        reader of zipfile never yields more bytes than the member states.
        """
        if (path, info.header_offset) not in self._unpacked:
            self._unpacked.add((path, info.header_offset))
            self._out += info.file_size
            self._held.setdefault(path, path.stat().st_size)
        held = max(1, sum(self._held.values())) if self._out > HARMLESS else self._out
        if self._out > MOST_TIMES * held:
            raise InputError(
                str(path),
                f"would unpack to {self._out / 1_000_000:,.0f} MB, {self._out // held:,} times its size, the last of "
                f"it {info.filename[:100]!r}; no chat grows more than {MOST_TIMES} times",
                fix="Export the chat again.",
            )
        try:
            return io.BufferedReader(_Unpacked(path, self._opened(path).open(info)), HEAD)
        except OPENING_ERRORS as error:
            raise damaged(path, error, _EXPORT_AGAIN) from None

    def _opened(self, path: Path) -> zipfile.ZipFile:
        """The zip; only the last that was asked for stays open: a folder may hold thousands."""
        if self._zip is None or self._zip.filename != str(path):
            self.close()
            self._zip = zipfile.ZipFile(path)
        return self._zip

    def _zipped(self, path: Path, name: str) -> list[Member]:
        try:
            infos = self._opened(path).infolist()
        except OPENING_ERRORS as error:
            raise damaged(path, error, _EXPORT_AGAIN) from None
        front = "" if path == self.path else f"{name}/"
        found = [
            Member(self, path, f"{front}{info.filename}", info.file_size, info)
            for info in infos
            if _is_ours(info.filename) and not info.is_dir() and _is_plain(info)  # a name may be empty
        ]
        return sorted(found, key=lambda member: member.name)


class _Unpacked(io.RawIOBase):
    """A file in a zip; what is wrong with the zip while it is read is said as damaged() says it."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._file.read(len(view))
        except ZIP_ERRORS as error:
            raise damaged(self._path, error, _EXPORT_AGAIN) from None
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _begins(path: Path, mark: bytes) -> bool:
    with reading(path) as file:
        return file.read(len(mark)) == mark


def _plain(archive: Members, path: Path, name: str) -> Member:
    return Member(archive, path, name, path.stat().st_size, None)


def _names(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in files_in(folder):
        # It may become the title or the id of a conversation, and so must be UTF-8, which names on a disk need not be.
        name = os.fsencode(path.relative_to(folder).as_posix()).decode(errors="backslashreplace")
        if _is_ours(name):
            yield path, name


def _is_plain(info: zipfile.ZipInfo) -> bool:
    """Whether it is a file, as far as the zip says: Unix keeps the file's mode in the upper half."""
    mode = info.external_attr >> 16
    return not mode or stat.S_ISREG(mode) or not stat.S_IFMT(mode)


def _is_ours(name: str) -> bool:
    """Whether it is a file of the archive, and none that macOS puts beside it."""
    parts = PurePosixPath(name).parts
    return bool(parts) and _MACS_OWN not in parts and not parts[-1].startswith("._")
