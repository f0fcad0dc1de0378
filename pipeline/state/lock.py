"""The lock of a run directory: flock on a file that is never unlinked, signed by its holder."""

import contextlib
import errno
import fcntl
import os
import socket
import stat
import time
import uuid
from pathlib import Path

from pipeline.durable import read_file, unusable
from pipeline.errors import InputError, Locked

LOCK = "state.lock"
GLANCE_S = 0.05  # longer than `holder` looks


def lineage_of_lock(run_dir: Path) -> str | None:
    """The lock outlives the state file, so the directory's lineage is written there too."""
    with contextlib.suppress(OSError, ValueError, IndexError):  # of a file that is cut, or says something else
        words = read_file(run_dir / LOCK).decode().split()
        return str(uuid.UUID(words[words.index("lineage") + 1]))
    return None


def open_lock(path: Path) -> int:
    """The lock's descriptor; for reading only where the disk is full or read-only.

    Raises:
        InputError: something else than a file stands there.
        StateDamaged: it cannot be opened or made.
    """
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        fd = os.open(path, flags | os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        if error.errno in (errno.EISDIR, errno.ELOOP, errno.ENXIO):
            raise InputError(
                str(path), f"cannot be opened ({error.strerror})", fix="It must be a file of yours; remove it."
            ) from None
        try:
            fd = os.open(path, flags | os.O_RDONLY)  # enough for a run that finds everything done
        except OSError:
            raise unusable(error) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise InputError(str(path), "is not a file", fix="It must be a file of yours; remove it.")
    return fd


def holder(run_dir: Path) -> str | None:
    """Who is at work in the directory, such as "process 12 on host"; None if nobody is. Writes nothing."""
    try:
        fd = os.open(run_dir / LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _signed(fd)
    except OSError:
        return None
    finally:
        os.close(fd)
    return None


def _signed(fd: int) -> str:
    return os.pread(fd, 200, 0).decode(errors="replace").partition(" lineage ")[0].strip() or "an unknown process"


def taken_at(run_dir: Path) -> int:
    """When the lock was last taken, in ns: each holder writes its name. 0 where there is none.

    Process ids come again, in a container at every start.
    """
    try:
        return (run_dir / LOCK).stat().st_mtime_ns
    except OSError:
        return 0


def signature() -> str:
    """How this process signs what it holds."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def take(fd: int, run_dir: Path) -> None:
    """Lock an open lock file at once.

    Raises:
        Locked: another process holds it.
        InputError: the file system cannot lock.
    """
    for _ in range(2):  # it may have been `holder`, looking
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(GLANCE_S)
        except OSError as error:
            raise InputError(
                str(run_dir),
                f"this file system cannot lock ({error.strerror}), and two runs at once would pay twice",
                fix="Work on a local disk.",
            ) from None
    holder = _signed(fd)
    busy = Locked(str(run_dir), f"another run is at work here: {holder}", fix="Wait for it or stop it, then try again.")
    busy.holder = holder
    raise busy
