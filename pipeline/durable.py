"""Files that are whole or not there: the only place that creates or renames a file in a run directory.

Temporary file in the same directory, mode 0600 from the start, fsync, rename, fsync of the directory. On macOS fsync
does not reach the platter, so F_FULLFSYNC is used there (Apple, fsync(2)).
"""

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from pipeline import failpoints
from pipeline.errors import InputError, StateDamaged

TEMPORARY = ".tmp"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}
_FULLFSYNC_UNSUPPORTED = {errno.ENOTSUP, errno.EINVAL, errno.ENOTTY}
DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG})
"""Of a disk that is full or broken, whatever was to be written to it."""

_MEND = {
    errno.EISDIR: "Move that directory away",
    errno.ENOTDIR: "Move the file that stands in the place of a directory away",
    errno.EEXIST: "Move it away",
    errno.ENOTEMPTY: "Move it away",
    errno.ELOOP: "Remove the link",
    errno.EACCES: "Make it yours to read and write",
    errno.EPERM: "Make it yours to read and write",
    errno.EROFS: "Make it writable",
    errno.ENOSPC: "Free some space",
    errno.EDQUOT: "Free some space",
    errno.EINVAL: "Put a file in its place",
    errno.EMFILE: "Allow more open files (ulimit -n)",
    errno.ENAMETOOLONG: "Choose a shorter path",
}


class Artifact(msgspec.Struct, frozen=True):
    """A file that a step made, as the state records it.

    Attributes:
        path: relative to the run directory, with forward slashes.
        sha256: of the content, in hex; of a folder, over the sorted relative names and contents of its files.
        size: in bytes; of a folder, the sum over its files.
    """

    path: str
    sha256: str
    size: int


class HashingWriter:
    """A binary file that knows the sha256 and size of what went through it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | bytearray) -> None:
        """Append `data`."""
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        """Hex digest of everything written so far."""
        return self._digest.hexdigest()

    def artifact(self, path: str) -> Artifact:
        """What was written so far, as the state records it under `path`."""
        return Artifact(path, self.sha256, self.size)


def make_private_dir(path: Path) -> Path:
    """Create `path` and its missing parents with mode 0700; an existing directory is left as it is.

    Raises:
        OSError: one of them cannot be made; NotADirectoryError: something else stands in its place.
    """
    for parent in [*reversed(path.parents), path]:
        if not parent.is_dir():
            try:
                parent.mkdir(mode=0o700)
            except FileExistsError:
                if not parent.is_dir():
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(parent)) from None
    return path


def expand_home(text: str, where: str) -> Path:
    """`text` as a path, a leading ~ or ~USER written out.

    Raises:
        InputError: nobody of that name has a home here, or no path may be as long; `where` says who named it.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # as pathlib puts it
        raise InputError(
            where, "this machine knows no such home directory", got=text, fix="Write the whole path."
        ) from None
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        try:
            path.lstat()
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise InputError(where, "longer than a path can be", got=text, fix="Choose a shorter one.") from None
    return path


def make_private(directory: Path) -> None:
    """Take from others what lies in `directory`: modes 0600 and 0700, where they are wider. Links are left alone."""
    with contextlib.suppress(OSError), os.scandir(directory) as entries:  # of a disk that is read-only
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_IMODE(mode) & 0o077 and (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                Path(entry.path).chmod(0o700 if stat.S_ISDIR(mode) else 0o600)


def open_file(path: Path, flags: int) -> int:
    """Open a file by name and nothing else: a pipe would be waited on for ever, a device may do anything.

    Raises:
        OSError: it cannot be opened, or is no file; IsADirectoryError for a directory.
    """
    no_file = OSError(errno.EINVAL, "Not a file", str(path))
    try:
        fd = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise (no_file if error.errno == errno.ENXIO else error) from None  # a socket, or a pipe that nobody reads
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path)) if stat.S_ISDIR(mode) else no_file


def reading(path: Path, *, follow: bool = True) -> io.BufferedReader:
    """A file to read, through a link only if `follow`; see `open_file`."""
    return os.fdopen(open_file(path, os.O_RDONLY if follow else os.O_RDONLY | os.O_NOFOLLOW), "rb")


def read_file(path: Path) -> bytes:
    """What is in a file; see `open_file`."""
    with reading(path) as file:
        return file.read()


def unusable(error: OSError, where: str = "the disk") -> StateDamaged:
    """The error to show for a file or directory that the system refuses; `where` is to blame if it names no path."""
    reason = error.strerror or str(error) or type(error).__name__
    mend = _MEND.get(error.errno or 0, "Mend that")
    path = Path(str(error.filename2 or error.filename or where))
    if path.name.endswith(TEMPORARY):  # a name that nobody has seen
        path = path.parent
    return StateDamaged(str(path), f"cannot be used ({reason})", fix=f"{mend}, then run again.")


@contextlib.contextmanager
def atomic_writer(target: Path) -> Iterator[HashingWriter]:
    """Write `target` whole or not at all.

    On leaving the block the bytes are durable under their final name; on an exception nothing is left behind and an
    earlier `target` stays untouched.
    """
    failpoints.hit("write.begin")
    fd, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=TEMPORARY, dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(fd, "wb") as file:
            failpoints.hit("write.created")
            yield HashingWriter(file)
            file.flush()
            failpoints.hit("write.written")
            sync_fd(file.fileno())
            failpoints.hit("write.synced")
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    failpoints.hit("write.renamed")
    sync_directory(target.parent)
    failpoints.hit("write.done")


def write_atomically(target: Path, data: bytes) -> None:
    """Make `target` hold exactly `data`, durably, or leave it as it was."""
    with atomic_writer(target) as file:
        file.write(data)


def publish(temporary: Path, target: Path) -> None:
    """Move a finished file or folder that someone else wrote (SQLite, a download) to its final name, durably.

    `temporary` must be on the same file system. An existing file `target` is replaced in one rename.
    """
    for path in [temporary, *sorted(temporary.rglob("*"))] if temporary.is_dir() else [temporary]:
        if path.is_dir():
            path.chmod(0o700)
            continue
        path.chmod(0o600)
        with path.open("rb") as file:
            sync_fd(file.fileno())
    rename(temporary, target)


def rename(source: Path, target: Path) -> None:
    """Give what is durable already another name in the same directory, durably; a file `target` is replaced."""
    failpoints.hit("publish.synced")
    source.replace(target)
    failpoints.hit("publish.renamed")
    sync_directory(target.parent)


def keep_as(source: Path, target: Path) -> None:
    """Give a durable file a second name, which stays when `source` is replaced; an earlier `target` is given up.

    Durable with the next write in that directory. A file system without hard links gets a copy.
    """
    temporary = target.with_name(f".{target.name}{TEMPORARY}")
    temporary.unlink(missing_ok=True)
    try:
        temporary.hardlink_to(source)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        write_atomically(target, source.read_bytes())
        return
    temporary.replace(target)
    failpoints.hit("kept")


def sweep_temporaries(directory: Path) -> None:
    """Remove what a killed `atomic_writer` or `nameless` left in `directory`; nobody else may be writing there."""
    for left in directory.glob(f".*{TEMPORARY}"):
        left.unlink(missing_ok=True)


@contextlib.contextmanager
def nameless(directory: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A file that vanishes with this process however that ends, and a path by which it can be opened meanwhile."""
    with tempfile.TemporaryFile(dir=directory, prefix=".unpacked.", suffix=TEMPORARY) as file:
        yield cast(BinaryIO, file), Path(f"/dev/fd/{file.fileno()}")


def sync_fd(fd: int) -> None:
    """Make an open file's content durable."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        try:
            fcntl.fcntl(fd, full)
            return
        except OSError as error:
            if error.errno not in _FULLFSYNC_UNSUPPORTED:
                raise
    os.fsync(fd)


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable; file systems that cannot (EINVAL) are tolerated."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(fd)


def describe_artifact(root: Path, relative: str) -> Artifact:
    """Hash what lies at `root / relative`, a file or a folder.

    Raises:
        FileNotFoundError: nothing lies there.
    """
    path = root / relative
    if not path.is_dir():
        return Artifact(relative, *_hash_file(path))
    digest, size = hashlib.sha256(), 0
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        sha256, file_size = _hash_file(file)
        name = file.relative_to(path).as_posix().encode(errors="surrogateescape")  # as it is on the disk
        digest.update(name + f"\0{sha256}\n".encode())
        size += file_size
    return Artifact(relative, digest.hexdigest(), size)


def _hash_file(path: Path) -> tuple[str, int]:
    with reading(path) as file:
        digest = hashlib.file_digest(file, "sha256")
        return digest.hexdigest(), file.tell()
