"""Folders and files are copied as they are, and what goes wrong is blamed on the side that it is on."""

import errno
import os
import re
import resource
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from pipeline.durable import reading
from pipeline.errors import InputError
from pipeline.fetch import check_any, copying, fetch_archive
from pipeline.fetch.local import copy_local
from pipeline.samples.chatdb import create_chat_db, insert


def copy(source: Path, target: Path, notes: list[str] | None = None) -> None:
    said = [] if notes is None else notes
    copy_local(source, target, timeout_s=1, progress=lambda *_: None, note=said.append)


def contents(folder: Path) -> dict[str, str]:
    return {each.relative_to(folder).as_posix(): each.read_text() for each in folder.rglob("*") if each.is_file()}


def test_links_and_what_is_no_file_are_left_out_of_a_folder_and_said(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "diary.txt").write_text("mine")
    archive = tmp_path / "archive"
    (archive / "inbox").mkdir(parents=True)
    (archive / "inbox" / "chat.txt").write_text("Hi")
    (archive / "inbox" / "twice.txt").hardlink_to(archive / "inbox" / "chat.txt")
    (archive / "folder").symlink_to(tmp_path / "secret")
    (archive / "file.txt").symlink_to(tmp_path / "secret" / "diary.txt")
    (archive / "round").symlink_to(archive)
    os.mkfifo(archive / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(archive / "socket"))
    notes: list[str] = []
    copy(archive, tmp_path / "copy", notes)
    assert contents(tmp_path / "copy") == {"inbox/chat.txt": "Hi", "inbox/twice.txt": "Hi"}
    assert notes == [
        "2 devices, pipes or sockets in the folder are left out",
        "3 links in the folder are left out",
    ]


def test_one_link_and_one_pipe_are_told_of_in_the_singular(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "link").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "archive" / "pipe")
    notes: list[str] = []
    copy(tmp_path / "archive", tmp_path / "copy", notes)
    assert notes == ["1 device, pipe or socket in the folder is left out", "1 link in the folder is left out"]


class Watched:
    """A file, something happening before each read of it."""

    def __init__(self, file: BinaryIO, before: Callable[[], object]) -> None:
        self._file, self._before = file, before

    def __enter__(self) -> "Watched":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def fileno(self) -> int:
        return self._file.fileno()

    def read(self, size: int) -> bytes:
        self._before()
        return self._file.read(size)


def test_files_that_go_away_or_grow_meanwhile_do_not_stop_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    for name in "abc":
        (archive / name).write_text(name)

    def grow() -> None:
        with (archive / "c").open("a") as file:
            file.write("and more")

    def change(path: Path, *, follow: bool = True) -> Watched:
        if path.name == "b":
            path.unlink()
        return Watched(reading(path, follow=follow), grow if path.name == "c" else int)

    monkeypatch.setattr(copying, "reading", change)
    notes: list[str] = []
    copy(archive, tmp_path / "copy", notes)
    assert contents(tmp_path / "copy") == {"a": "a", "c": "c"}
    assert notes == ["1 file that went away meanwhile in the folder is left out"]


def test_a_folder_of_more_files_than_any_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "MOST_ENTRIES", 2)
    (tmp_path / "archive").mkdir()
    for name in "abc":
        (tmp_path / "archive" / name).touch()
    message = (
        f"{tmp_path}/archive: holds more than 2 files and folders. Point `download.source` at the archive's own folder."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        copy(tmp_path / "archive", tmp_path / "copy")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file may become larger, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def a_file(path: Path) -> None:
    path.write_bytes(b"x" * 300_000)


def a_folder(path: Path) -> None:
    path.mkdir()
    a_file(path / "chat.txt")


def a_database(path: Path) -> None:
    with closing(create_chat_db(path)) as db, db:
        insert(db, "message", {"guid": "big", "text": "x" * 300_000})


@pytest.mark.parametrize("make", [a_file, a_folder, a_database])
def test_a_disk_that_takes_no_more_is_blamed_and_not_the_source(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "source")
    (tmp_path / "run").mkdir()
    with files_of_at_most(3_000), pytest.raises(OSError, match=r"File too large|No space left"):
        fetch_archive(
            str(tmp_path / "source"),
            tmp_path / "run" / "01_archive",
            check=check_any,
            sha256=None,
            timeout_s=1,
            attempts=1,
            progress=lambda *_: None,
        )
    assert list((tmp_path / "run").iterdir()) == []


def test_a_full_disk_is_told_from_a_damaged_database_by_sqlites_own_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_database(tmp_path / "source")
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL

    def refuse(*_: object) -> None:
        raise full

    monkeypatch.setattr("pipeline.fetch.local._back_up", refuse)
    with pytest.raises(OSError, match="No space left on device") as caught:
        copy(tmp_path / "source", tmp_path / "copy")
    assert caught.value.errno == errno.ENOSPC


def test_a_file_that_cannot_be_read_to_its_end_is_the_sources_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_folder(tmp_path / "source")

    def refuse() -> None:
        raise OSError(errno.EIO, "Input/output error")

    def opened(path: Path, *, follow: bool = True) -> Watched:
        return Watched(reading(path, follow=follow), refuse)

    monkeypatch.setattr(copying, "reading", opened)
    reason = "cannot be read (Input/output error). Check that it is yours to read and that it is whole."
    for source, at in ((tmp_path / "source", "/chat.txt"), (tmp_path / "source" / "chat.txt", "")):
        message = f"{source}{at}: {reason}"
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            copy(source, tmp_path / f"copy{len(at)}")
