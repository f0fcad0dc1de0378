"""Copies of files and folders that tell a source that cannot be read from a disk of ours that cannot be written to.

What cannot be read becomes the reader's own complaint; an OSError that comes out of here is about the copy.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.durable import reading
from pipeline.errors import FinetuneError, InputError
from pipeline.wording import counted

MOST_ENTRIES = 200_000
"""Files and folders of an archive. Exports with years of photos have some ten thousand."""

_AT_A_TIME = 1 << 20
_LINKS = ("link", "links")
_SPECIAL = ("device, pipe or socket", "devices, pipes or sockets")
_GONE = ("file that went away meanwhile", "files that went away meanwhile")

Complaint = Callable[[Path, OSError], FinetuneError]
"""The error to show where a path cannot be read."""


def copy_file(source: Path, target: Path, complaint: Complaint) -> None:
    """Copy what a regular file holds when it is opened; `target` is new, and its owner's alone.

    Raises:
        FinetuneError: the `complaint` about `source`.
        OSError: `target` cannot be written.
    """
    try:
        file = reading(source)
    except OSError as error:
        raise complaint(source, error) from None
    with file:
        _copy(file, source, target, complaint)


def _copy(file: BinaryIO, source: Path, target: Path, complaint: Complaint) -> None:
    left = os.fstat(file.fileno()).st_size  # one that grows meanwhile would perhaps never end
    with open(target, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as copy:
        while left > 0:
            try:
                chunk = file.read(min(left, _AT_A_TIME))
            except OSError as error:
                raise complaint(source, error) from None
            if not chunk:
                return
            copy.write(chunk)
            left -= len(chunk)


def copy_folder(source: Path, target: Path, complaint: Complaint, note: Callable[[str], None]) -> None:
    """Copy the files and folders in a folder. Links are not followed: they may lead out of it.

    Args:
        note: told what is left out.

    Raises:
        InputError: it holds more than MOST_ENTRIES.
        FinetuneError: the `complaint` about what cannot be read in it.
        OSError: `target` cannot be written.
    """
    left_out: Counter[tuple[str, str]] = Counter()
    target.mkdir(mode=0o700)
    for number, entry in enumerate(_entries(source, complaint)):
        if number == MOST_ENTRIES:
            raise InputError(
                str(source),
                f"holds more than {MOST_ENTRIES:,} files and folders",
                fix="Point `download.source` at the archive's own folder.",
            )
        path = Path(entry.path)
        copy = target / path.relative_to(source)
        if entry.is_symlink():
            left_out[_LINKS] += 1
        elif entry.is_dir(follow_symlinks=False):
            copy.mkdir(mode=0o700)
        elif not entry.is_file(follow_symlinks=False):
            left_out[_SPECIAL] += 1
        elif not _copied(path, copy, complaint):
            left_out[_GONE] += 1
    for what, count in sorted(left_out.items()):
        note(f"{counted(count, *what)} in the folder {'is' if count == 1 else 'are'} left out")


def _copied(path: Path, copy: Path, complaint: Complaint) -> bool:
    """Whether the file was still there."""
    try:
        file = reading(path, follow=False)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise complaint(path, error) from None
    with file:
        _copy(file, path, copy, complaint)
    return True


def _entries(folder: Path, complaint: Complaint) -> Iterator["os.DirEntry[str]"]:
    """All that is in a folder, each folder before what is in it."""
    waiting = [folder]
    while waiting:
        at = waiting.pop()
        try:
            with os.scandir(at) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except FileNotFoundError:
            if at == folder:
                raise
            continue
        except OSError as error:
            raise complaint(at, error) from None
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
