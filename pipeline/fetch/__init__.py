"""Gets an archive onto this disk: from a sample, a path, a URL or a Google Drive share link.

What arrives lies beside its destination under a hidden name until it has been checked; only then does it take its
place, in one rename. So a good archive is never replaced by half of one, or by a web page.
"""

import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import httpx

from pipeline.durable import expand_home, publish, rename
from pipeline.errors import InputError
from pipeline.fetch.check import check_any, check_by_content, check_sqlite
from pipeline.fetch.drive import GOOGLE, DriveHosts
from pipeline.fetch.http import download
from pipeline.fetch.local import copy_local, leave_wal_mode
from pipeline.network import is_host
from pipeline.samples import sample_path

__all__ = [
    "GOOGLE",
    "DriveHosts",
    "archive_suffix",
    "check_any",
    "check_by_content",
    "check_sqlite",
    "fetch_archive",
    "file_name",
]

_SAMPLE = "sample:"


def fetch_archive(
    source: str,
    target: Path,
    *,
    check: Callable[[Path], None],
    sha256: str | None,
    timeout_s: float,
    attempts: int,
    progress: Callable[[int, int | None], None],
    note: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
    drive: DriveHosts = GOOGLE,
) -> Path:
    """Bring what `source` names to `target`, whole and checked, or leave `target` as it was.

    A download that is cut off, or whose process is killed, goes on where it stopped: what has come so far waits as
    `.NAME.part`. A SQLite database is copied by SQLite itself, with the rows of its -wal, even while it is written to.

    Args:
        source: `sample:NAME`, an http(s) URL, a Google Drive share link, or the path of a file or folder.
        target: where it shall lie; its folder exists.
        check: is given what arrived, under a hidden name with the suffix of `target`; raises if that is no good.
        sha256: of the bytes at the source, in hex; None to accept any.
        timeout_s: of each connection, each read, and of waiting for a locked database.
        attempts: how often a download is tried before giving up.
        progress: called with the bytes that are here and the bytes in all, where that is known.
        note: told what of a folder is left out, and why a download waits.
        drive: where Google Drive is.

    Returns:
        `target`.

    Raises:
        InputError: there is no such source, it may not be read, or it is not what `check` and `sha256` expect.
        TryLater: the host does not answer, or the database stays locked.
    """
    arrived = target.with_name(f".new-{target.name}")
    aside = target.with_name(f".old-{target.name}")
    if aside.exists() and not target.exists():  # killed between the two renames of a folder
        rename(aside, target)
    _remove(arrived)
    try:
        if _is_url(source):
            download(
                source,
                arrived,
                part=_part(target),
                drive=drive,
                timeout_s=timeout_s,
                attempts=attempts,
                progress=progress,
                sleep=sleep,
                note=note,
            )
            original = arrived
        else:
            original = sample_path(source.removeprefix(_SAMPLE)) if source.startswith(_SAMPLE) else _path(source)
            copy_local(original, arrived, timeout_s=timeout_s, progress=progress, note=note)
        digest = None if sha256 is None else _hash(original)
        leave_wal_mode(arrived)
        check(arrived)
        if sha256 is not None and digest != sha256.lower():
            raise InputError(
                "download.sha256",
                "the archive is another than expected",
                got=digest,
                fix="If it is the one you want, set `download.sha256` to this; else get the right one.",
            )
        _take_place(arrived, target, aside)
    finally:
        _remove(arrived)
    _remove(_part(target))
    return target


def archive_suffix(source: str) -> str:
    """The suffix that tells a file's kind, such as ".zip"; "" for a folder and where `source` does not say."""
    if source.startswith(_SAMPLE):
        return sample_path(source.removeprefix(_SAMPLE)).suffix
    if _is_url(source):
        return PurePosixPath(httpx.URL(source).path).suffix
    path = _path(source)
    return "" if path.is_dir() else path.suffix


def file_name(source: str) -> str:
    """What the file at `source` is called; "" for a folder, a sample, and where `source` does not say."""
    if source.startswith(_SAMPLE):
        return ""
    if _is_url(source):
        there = PurePosixPath(httpx.URL(source).path)
        return there.name if there.suffix else ""
    path = _path(source)
    return "" if path.is_dir() else path.name


def _is_url(source: str) -> bool:
    """Whether `source` is a URL; refuses those that cannot be fetched."""
    scheme, separator, _ = source.partition("://")
    if not separator:
        return False
    try:
        usable = scheme.lower() in ("http", "https") and is_host(httpx.URL(source).host)
    except (httpx.InvalidURL, UnicodeError):
        usable = False
    if not usable:
        raise InputError(
            "download.source",
            "expected an http or https URL, a path or `sample:NAME`",
            got=f"{scheme}://…",
            fix="If this is the right address, download the archive by other means and give its path.",
        )
    return True


def _path(source: str) -> Path:
    return expand_home(source, "download.source")


def _part(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def _hash(path: Path) -> str:
    if path.is_dir():
        raise InputError(
            "download.sha256", "goes with a file, but `download.source` is a folder", fix="Take `download.sha256` out."
        )
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _take_place(arrived: Path, target: Path, aside: Path) -> None:
    """Publish `arrived`. Where a folder is involved, what is there cannot be replaced in one rename: it steps aside."""
    if not target.exists() or (target.is_file() and arrived.is_file()):
        publish(arrived, target)
        return
    _remove(aside)
    rename(target, aside)
    try:
        publish(arrived, target)
    except BaseException:
        rename(aside, target)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    """Remove a file or folder, if it is there, and what SQLite or a download keeps beside it."""
    for each in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal", ".copy", ".json"))):
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink(missing_ok=True)
