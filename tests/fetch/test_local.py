import errno
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError, TryLater
from pipeline.fetch import check_sqlite, fetch_archive, local
from pipeline.fetch.local import copy_local, explain, missing_log
from pipeline.samples.chatdb import create_chat_db, insert
from tests.fetch.site import says


def fetch(source: Path | str, folder: Path, timeout_s: float = 5) -> Path:
    return fetch_archive(
        str(source),
        folder / "01_archive.db",
        check=check_sqlite,
        sha256=None,
        timeout_s=timeout_s,
        attempts=1,
        progress=lambda _done, _total: None,
    )


def say(db: sqlite3.Connection, text: str) -> None:
    with db:
        insert(db, "message", {"guid": text, "text": text})


def texts(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [text for (text,) in db.execute("SELECT text FROM message ORDER BY ROWID")]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that keeps `my chats? 100%/chat.db` open in WAL mode, as Messages does."""
    path = tmp_path / "my chats? 100%" / "chat.db"
    path.parent.mkdir()
    with closing(create_chat_db(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        say(db, "in the database")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        say(db, "in the log")
        yield db


def path_of(db: sqlite3.Connection) -> Path:
    return Path(db.execute("PRAGMA database_list").fetchone()[2])


def copy_of(live: sqlite3.Connection, folder: Path) -> Path:
    """A user's own copy of database and log."""
    folder.mkdir()
    for end in ("", "-wal"):
        shutil.copyfile(f"{path_of(live)}{end}", folder / f"chat.db{end}")
    return folder / "chat.db"


def test_a_live_database_is_copied_with_the_rows_of_its_log(live: sqlite3.Connection, folder: Path) -> None:
    copy = fetch(path_of(live), folder)
    assert texts(copy) == ["in the database", "in the log"]
    assert names(folder) == {"01_archive.db"}
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_writer_at_work_neither_stops_the_copy_nor_gets_into_it(live: sqlite3.Connection, folder: Path) -> None:
    with live:
        insert(live, "message", {"guid": "big", "text": "big", "payload_data": b"x" * 40_000_000})
    steps: list[tuple[int, int | None]] = []

    def write_meanwhile(done: int, total: int | None) -> None:
        steps.append((done, total))
        say(live, f"meanwhile {len(steps)}")

    target = folder / "copy.db"
    copy_local(path_of(live), target, timeout_s=5, progress=write_meanwhile)
    assert len(steps) == 3  # of 16 MiB each: it never began anew
    assert steps[-1][0] == steps[-1][1]
    assert texts(target) == ["in the database", "in the log", "big"]
    check_sqlite(target)


def test_a_copied_database_is_read_with_the_log_beside_it_and_left_as_it_was(
    live: sqlite3.Connection, folder: Path, tmp_path: Path
) -> None:
    mine = copy_of(live, tmp_path / "mine")
    assert texts(fetch(mine, folder)) == ["in the database", "in the log"]
    assert names(tmp_path / "mine") == {"chat.db", "chat.db-wal"}
    (tmp_path / "mine" / "chat.db-wal").unlink()
    assert texts(fetch(mine, folder)) == ["in the database"]
    assert names(tmp_path / "mine") == {"chat.db"}
    (tmp_path / "mine" / "chat.db-shm").touch()
    assert texts(fetch(mine, folder)) == ["in the database"]
    assert names(tmp_path / "mine") == {"chat.db", "chat.db-shm"}
    assert names(folder) == {"01_archive.db"}


def test_a_copy_whose_log_was_left_behind_may_lack_the_newest_messages(
    live: sqlite3.Connection, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = copy_of(live, tmp_path / "mine")
    assert missing_log(mine) is None
    mine.with_name("chat.db-wal").unlink()
    assert missing_log(mine) == (
        "its newest messages may be missing: there is no chat.db-wal beside it",
        "Copy it again, together with chat.db-wal and chat.db-shm if they lie beside the original.",
    )
    mine.with_name("link").symlink_to(mine)
    assert missing_log(mine.with_name("link")) == missing_log(mine)
    assert missing_log(fetch(mine, folder)) is None, "not in WAL mode"
    assert missing_log(tmp_path) is None
    monkeypatch.setenv("HOME", str(tmp_path))
    messages = tmp_path / "Library" / "Messages"
    messages.mkdir(parents=True)
    assert missing_log(Path(shutil.copy(mine, messages))) is None, "the original: SQLite has removed its log"


def test_a_database_left_in_the_middle_of_a_write_is_rolled_back_in_a_copy(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    mine = tmp_path / "mine" / "chat.db"
    with closing(create_chat_db(tmp_path / "chat.db")) as db:
        say(db, "before")
        db.execute("PRAGMA cache_size = 1")
        db.execute("UPDATE message SET text = 'half', payload_data = zeroblob(1000000)")
        for end in ("", "-journal"):  # as a crash leaves them
            shutil.copyfile(tmp_path / f"chat.db{end}", f"{mine}{end}")
        db.rollback()
    with (
        closing(sqlite3.connect(f"{mine.as_uri()}?mode=ro", uri=True)) as refused,
        pytest.raises(sqlite3.OperationalError, match=r"readonly|unable to open"),
    ):
        refused.execute("SELECT * FROM message")
    assert texts(fetch(mine, folder)) == ["before"]
    assert names(folder) == {"01_archive.db"}
    assert names(tmp_path / "mine") == {"chat.db", "chat.db-journal"}


def test_a_symbolic_link_leads_to_the_log_of_the_real_file(
    live: sqlite3.Connection, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "link.db").symlink_to(path_of(live))
    assert texts(fetch(tmp_path / "link.db", folder)) == ["in the database", "in the log"]


def test_a_locked_database_is_waited_for_and_then_later(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    with closing(create_chat_db(path)) as db:
        say(db, "hello")
        db.execute("BEGIN EXCLUSIVE")
        message = f"{path}: another program keeps it locked. Quit that program, or try again in a moment."
        with says(TryLater, message):
            fetch(path, folder, timeout_s=0.05)
        assert names(folder) == set()
        db.rollback()
        assert texts(fetch(path, folder)) == ["hello"]


def test_a_home_relative_path_is_expanded(
    live: sqlite3.Connection, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert texts(fetch(f"~/{path_of(live).relative_to(tmp_path)}", folder)) == ["in the database", "in the log"]


def test_messages_own_database_is_copied_where_it_lies(
    live: sqlite3.Connection, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    messages = tmp_path / "Library" / "Messages"
    messages.parent.mkdir()
    path_of(live).parent.rename(messages)
    assert texts(fetch("~/Library/Messages/chat.db", folder)) == ["in the database", "in the log"]


def test_a_database_that_macos_denies_to_sqlite_but_not_to_us_is_copied_first(
    live: sqlite3.Connection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = local._back_up
    denied: list[Path] = []

    def deny_once(path: Path, *rest: Any) -> None:
        if not denied:
            denied.append(path)
            raise sqlite3.DatabaseError("authorization denied")  # only macOS has a real one to offer
        really(path, *rest)

    monkeypatch.setattr(local, "_back_up", deny_once)
    assert texts(fetch(path_of(live), folder)) == ["in the database", "in the log"]
    assert denied == [path_of(live)]
    assert names(folder) == {"01_archive.db"}


FULL_DISK_ACCESS = (
    "Open System Settings > Privacy & Security > Full Disk Access and switch on both {terminal} and "
    f"{sys.executable} (off and on again after an update), then start {{terminal}} anew."
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(errno.EPERM, "Operation not permitted"), "Operation not permitted"),
        (sqlite3.OperationalError("unable to open database file"), "unable to open database file"),
        (sqlite3.DatabaseError("authorization denied"), "authorization denied"),
    ],
)
@pytest.mark.parametrize(
    ("program", "terminal"),
    [("Apple_Terminal", "Terminal"), ("iTerm.app", "iTerm"), ("ghostty", "ghostty"), ("", "your terminal")],
)
def test_a_refusal_under_messages_explains_full_disk_access(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str, program: str, terminal: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TERM_PROGRAM", program)
    path = tmp_path / "Library" / "Messages" / "chat.db"
    explained = explain(path, error)
    assert isinstance(explained, InputError)
    assert str(explained) == (
        f"{path}: macOS does not let this program read it ({reason}). {FULL_DISK_ACCESS.format(terminal=terminal)}"
    )


def test_a_damaged_database_under_messages_is_not_blamed_on_macos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "Library" / "Messages" / "chat.db"
    assert str(explain(path, sqlite3.DatabaseError("database disk image is malformed"))) == (
        f"{path}: cannot be read (database disk image is malformed). Check that it is yours to read and that it is "
        "whole."
    )


@contextmanager
def nobody(folder: Path) -> Iterator[None]:
    """Take away the right to look into `folder`, from root too."""
    folder.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o700)


def test_a_file_that_is_not_ours_to_read_is_said_to_be_so(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    path = private / "chat.txt"
    path.write_text("secret")
    message = f"{path}: cannot be read (Permission denied). Check that it is yours to read and that it is whole."
    with nobody(private), says(InputError, message):
        copy_local(path, tmp_path / "copy", timeout_s=1, progress=lambda _done, _total: None)


def missing(path: Path) -> str:
    return f"{path}: no such file or folder. Check `download.source`."


def special(path: Path) -> str:
    os.mkfifo(path)
    return f"{path}: neither a file nor a folder. Check `download.source`."


def garbled(path: Path) -> str:
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    return f"{path}: cannot be read (file is not a database). Check that it is yours to read and that it is whole."


@pytest.mark.parametrize("spoil", [missing, special, garbled])
def test_what_cannot_be_copied_is_one_clear_message_and_leaves_nothing(
    tmp_path: Path, folder: Path, spoil: Callable[[Path], str]
) -> None:
    path = tmp_path / "chat.db"
    with says(InputError, spoil(path)):
        fetch(path, folder)
    assert names(folder) == set()
