"""Copies of archives that lie on this machine, a live chat.db among them."""

import errno
import os
import shutil
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from pipeline.archives import sqlite
from pipeline.errors import FinetuneError, InputError, TryLater
from pipeline.fetch.copying import copy_file, copy_folder

_PAGES_AT_A_TIME = 4096
_WAL_MODE = 2  # the byte at offset 18 (SQLite, database file format)
_TERMINALS = {"Apple_Terminal": "Terminal", "iTerm.app": "iTerm", "vscode": "Visual Studio Code"}


def copy_local(
    source: Path,
    target: Path,
    *,
    timeout_s: float,
    progress: Callable[[int, int | None], None],
    note: Callable[[str], None] = lambda _: None,
) -> None:
    """Copy a file or a folder to `target`, which is not there yet.

    A SQLite database is copied by SQLite's backup API out of one read transaction: whole and consistent, rows that are
    still in its -wal included, whoever writes to it meanwhile.

    Args:
        note: told what of a folder is left out.

    Raises:
        InputError: nothing is there, or it may not be read.
        OSError: `target` cannot be written.
        TryLater: the database stays locked for `timeout_s` seconds.
    """
    try:
        mode = source.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(str(source), "no such file or folder", fix="Check `download.source`.") from None
    except OSError as error:
        raise explain(source, error) from None
    if stat.S_ISDIR(mode):
        _require_outside(source, target)
        copy_folder(source, target, explain, note)
    elif not stat.S_ISREG(mode):
        raise InputError(str(source), "neither a file nor a folder", fix="Check `download.source`.")
    elif _head_of(source) == sqlite.HEADER:
        try:
            _copy_database(source, target, timeout_s, progress)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            require_room(error, target)
            raise explain(source, error) from None
    else:
        copy_file(source, target, explain)
        progress(target.stat().st_size, target.stat().st_size)


def require_room(error: Exception, target: Path) -> None:
    """Find out whether SQLite failed for want of a disk to write `target` on.

    SQLite itself says "database or disk is full" of one, and "disk I/O error" or "unable to open database file" of
    either side.

    Raises:
        OSError: it did.
    """
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from None
    with tempfile.TemporaryFile(dir=target.parent) as file:
        file.write(b"\0" * _PAGES_AT_A_TIME)
        file.flush()
        os.fsync(file.fileno())


def leave_wal_mode(path: Path) -> None:
    """Make a database that is ours alone one file in every respect; anything else is left as it is."""
    if path.is_file() and _is_in_wal_mode(path):
        with suppress(sqlite3.Error, UnicodeDecodeError), sqlite.opened(path, writable=True) as db:
            db.execute("COMMIT")
            sqlite.first_row(db, "PRAGMA journal_mode = DELETE")


def missing_log(path: Path) -> tuple[str, str] | None:
    """What a user's own copy of a database lacks if its -wal was left behind, and what mends that; None if nothing.

    SQLite keeps there what was written last (its documentation, "Write-Ahead Logging"). Who closes a database properly
    leaves none: so the copy may be whole.
    """
    if not path.is_file() or not _is_in_wal_mode(path) or _is_of_messages(path):
        return None
    log, index = (_beside(path.resolve(), each) for each in ("-wal", "-shm"))
    if log.exists():
        return None
    return (
        f"its newest messages may be missing: there is no {log.name} beside it",
        f"Copy it again, together with {log.name} and {index.name} if they lie beside the original.",
    )


def explain(source: Path, error: Exception) -> FinetuneError:
    """The error to show when `source` cannot be read because of `error`."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    if isinstance(error, sqlite3.OperationalError) and "locked" in reason:
        return TryLater(
            str(source), "another program keeps it locked", fix="Quit that program, or try again in a moment."
        )
    refused = isinstance(error, PermissionError) or "unable to open" in reason
    if "authorization denied" in reason or (refused and _is_of_messages(source)):
        program = os.environ.get("TERM_PROGRAM", "")
        terminal = _TERMINALS.get(program, program) or "your terminal"
        return InputError(
            str(source),
            f"macOS does not let this program read it ({reason})",
            fix="Open System Settings > Privacy & Security > Full Disk Access and switch on both "
            f"{terminal} and {sys.executable} (off and on again after an update), then start {terminal} anew.",
        )
    return InputError(
        str(source), f"cannot be read ({reason})", fix="Check that it is yours to read and that it is whole."
    )


def _is_of_messages(path: Path) -> bool:
    """Whether macOS guards `path` as Messages' own."""
    with suppress(RuntimeError):  # nobody's home
        return path.absolute().is_relative_to(Path.home() / "Library" / "Messages")
    return False


def _head(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _is_in_wal_mode(path: Path) -> bool:
    head = _head(path, 20)
    return head.startswith(sqlite.HEADER) and head[18:19] == bytes([_WAL_MODE])


def _head_of(source: Path) -> bytes:
    try:
        return _head(source, len(sqlite.HEADER))
    except OSError as error:
        raise explain(source, error) from None


def _require_outside(source: Path, target: Path) -> None:
    if target.resolve().is_relative_to(source.resolve()):
        raise InputError(
            str(source), "holds the run directory itself", fix="Point `download.source` at the archive's own folder."
        )


def _copy_database(source: Path, target: Path, timeout_s: float, progress: Callable[[int, int | None], None]) -> None:
    """Back up where the database lies, or out of a copy if that is refused or would leave files beside it.

    A read-only connection to a database in WAL mode that nobody has open would create its -wal or -shm and leave it;
    then the files are at rest and may as well be copied. Messages' own database is never taken for one at rest; but
    some macOS releases deny SQLite what they allow plain reads (openclaw/imsg, issue 83), and the check comes after.
    """
    real = source.resolve()
    in_use = _beside(real, "-wal").exists() and _beside(real, "-shm").exists()
    at_rest = _is_in_wal_mode(real) and not in_use and not _is_of_messages(source)
    if not at_rest:
        try:
            _back_up(source, target, timeout_s, progress)
            return
        except sqlite3.DatabaseError as error:
            if not any(text in str(error) for text in ("authorization denied", "unable to open", "readonly")):
                raise
    folder = _beside(target, ".copy")
    folder.mkdir(mode=0o700)
    copy = folder / "copy.db"
    for end in ("", "-wal", "-journal"):
        if end == "" or _beside(real, end).exists():
            copy_file(_beside(real, end), _beside(copy, end), explain)
    _back_up(copy, target, timeout_s, progress, True)
    shutil.rmtree(folder)


def _back_up(
    path: Path,
    target: Path,
    timeout_s: float,
    progress: Callable[[int, int | None], None],
    writable: bool = False,
) -> None:
    target.touch(mode=0o600)
    with (
        sqlite.opened(path, timeout_s=timeout_s, writable=writable) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        (page_size,) = source.execute("PRAGMA page_size").fetchone()

        def report(_: int, remaining: int, total: int) -> None:
            progress((total - remaining) * page_size, total * page_size)

        source.backup(copy, pages=_PAGES_AT_A_TIME, progress=report)
        copy.execute("PRAGMA journal_mode = DELETE")


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)
