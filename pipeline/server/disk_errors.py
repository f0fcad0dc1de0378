"""What a full or broken disk, or a machine that is short of something, does to the server: told apart from bugs."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import StateDamaged
from pipeline.server.interfaces import StorageBroken, StorageBusy, StorageError, StorageFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BROKEN = frozenset({errno.EIO, errno.EROFS})
_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS})


def is_full(error: BaseException) -> bool:
    """Whether there was no space: on the disk, in a quota, or under a limit on the size of files."""
    return isinstance(error, StorageFull) or (isinstance(error, OSError) and error.errno in _FULL)


def problem(error: BaseException) -> str | None:
    """What the disk did, in words that quote no path and no content; None if it was not the disk."""
    if is_full(error):
        return "the server's disk is full"
    if isinstance(error, OSError) and error.errno in _BROKEN:
        return f"the server's disk failed ({os.strerror(error.errno or 0)})"
    if isinstance(error, StorageBroken):
        return f"the server's disk failed ({error})"
    return None


def shortage(error: BaseException) -> str | None:
    """What the machine was short of, for a while at least: descriptors, memory, processes; None if it was not that."""
    if isinstance(error, MemoryError):
        return "Cannot allocate memory"
    if isinstance(error, OSError) and error.errno in _SHORT:
        return os.strerror(error.errno or 0)
    return str(error) if isinstance(error, StorageBusy) else None


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the disk or the store does in the block into an error about `path`.

    Raises:
        StateDamaged: the disk is full or broken, or the store is no good. Any other error passes.
    """
    try:
        yield
    except (OSError, StorageError) as error:
        if (what := problem(error)) is None:
            if isinstance(error, StorageError):
                raise unreadable(path, str(error.__cause__ or error)) from error
            raise
        mend = "Free some space" if is_full(error) else "Mend the disk"
        fix = f"{mend} and start again: nothing that was accepted is lost."
        raise StateDamaged(str(path), what, fix=fix) from error


def unreadable(path: Path, got: str) -> StateDamaged:
    """What is said of a store that cannot be read."""
    fix = "Put back a copy of this folder, or move it away to start with an empty store."
    return StateDamaged(str(path), "the server's store cannot be read", got=got, fix=fix)
