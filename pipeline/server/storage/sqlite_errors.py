"""SQLite's errors as those of the interface: no other room of the server knows SQLite's."""

import contextlib
import sqlite3
from collections.abc import Iterator

from pipeline.server.interfaces import StorageBroken, StorageBusy, StorageError, StorageFull

_BUSY = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY})


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what SQLite raises in the block into a StorageError whose cause it is."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translation(error) from error


def _translation(error: sqlite3.Error) -> StorageError:
    """SQLite says SQLITE_FULL for ENOSPC and SQLITE_IOERR for all else (os_unix.c, seekAndWrite)."""
    # The primary result code; 0 for Python's own errors about misuse, which have none.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageFull(str(error))
    if code == sqlite3.SQLITE_IOERR:
        return StorageBroken("Input/output error")
    return StorageBusy(str(error)) if code in _BUSY else StorageError(str(error))
