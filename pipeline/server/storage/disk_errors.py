"""What a full or broken disk, or a machine that is short of something, does to the server: told apart from bugs."""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import StateDamaged

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BROKEN = frozenset({errno.EIO, errno.EROFS})
_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS})
_SHORT_SQLITE = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY})


def is_full(error: BaseException) -> bool:
    """Whether there was no space: on the disk, in a quota, or under a limit on the size of files.

    SQLite says SQLITE_FULL for ENOSPC and SQLITE_IOERR for all else (os_unix.c, seekAndWrite).
    """
    if isinstance(error, OSError):
        return error.errno in _FULL
    return _code(error) == sqlite3.SQLITE_FULL


def problem(error: BaseException) -> str | None:
    """What the disk did, in words that quote no path and no content; None if it was not the disk."""
    if is_full(error):
        return "the server's disk is full"
    if isinstance(error, OSError) and error.errno in _BROKEN:
        return f"the server's disk failed ({os.strerror(error.errno or 0)})"
    if _code(error) == sqlite3.SQLITE_IOERR:
        return "the server's disk failed (Input/output error)"
    return None


def shortage(error: BaseException) -> str | None:
    """What the machine was short of, for a while at least: descriptors, memory, processes; None if it was not that."""
    if isinstance(error, MemoryError):
        return "Cannot allocate memory"
    if isinstance(error, OSError) and error.errno in _SHORT:
        return os.strerror(error.errno or 0)
    return str(error) if _code(error) in _SHORT_SQLITE else None


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the disk does in the block into an error about `path`.

    Raises:
        StateDamaged: the disk is full or broken. Any other error passes.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if (what := problem(error)) is None:
            raise
        mend = "Free some space" if is_full(error) else "Mend the disk"
        fix = f"{mend} and start again: nothing that was accepted is lost."
        raise StateDamaged(str(path), what, fix=fix) from error


def _code(error: BaseException) -> int:
    """SQLite's primary result code; 0 for other errors, and for Python's own about misuse."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF if isinstance(error, sqlite3.Error) else 0
