"""Archives in zips: how much may come out of one, and what is wrong with it where it cannot be read."""

import contextlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.durable import DISK_ERRORS
from pipeline.errors import InputError

MOST_TIMES = 100
"""How many times a chat may be larger than in its zip. Text is 3 to 20 times as large, what is made to harm 1,000."""

HARMLESS = 10_000_000
"""Bytes that may come out of any archive."""

ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, NotImplementedError, EOFError, OSError)
"""What zipfile raises for a zip that is damaged, locked with a password, or packed in an unknown way."""

OPENING_ERRORS = (*ZIP_ERRORS, ValueError, OverflowError, struct.error)
"""The same where a zip, or a file in one, is opened: names may not be of the encoding that they claim."""


class Packed(NamedTuple):
    """What is to be read out of a zip."""

    path: Path
    wanted: Sequence[zipfile.ZipInfo]


def require_sane(path: Path, zips: Sequence[Packed]) -> None:
    """Check that what is to be read out of zips is not much more than went into them, before it is: each, and all.

    A reader of zipfile never yields more than the size that a member states.

    Args:
        path: the archive: a folder that holds the zips, or the only one.

    Raises:
        InputError: it is.
    """
    for each in zips:
        _require_sane(each.path, [each])
    if len(zips) > 1:
        _require_sane(path, zips)


def _require_sane(path: Path, zips: Sequence[Packed]) -> None:
    members = [member for each in zips for member in each.wanted]
    out = sum(member.file_size for member in members)
    held = max(1, sum(map(_held, zips)))
    if out > HARMLESS and out > MOST_TIMES * held:
        largest = max(members, key=lambda member: member.file_size)
        is_one = len(zips) == 1
        most, whose = ("most of it", "its size") if is_one else ("the largest", f"the size of its {len(zips):,} zips")
        raise InputError(
            str(path),
            f"would unpack to {out / 1_000_000:,.0f} MB, {out // held:,} times {whose}, "
            f"{most} {largest.filename[:100]!r}; no chat grows more than {MOST_TIMES} times",
            fix="Export the chat again." if is_one else "Export the chats again.",
        )


def _held(packed: Packed) -> int:
    """Bytes; members may overlap."""
    return min(packed.path.stat().st_size, sum(member.compress_size for member in packed.wanted))


@contextlib.contextmanager
def opened(path: Path, fix: str) -> Iterator[zipfile.ZipFile]:
    """A zip to read from.

    Raises:
        InputError: it is damaged, or locked with a password, or packed in an unknown way.
    """
    try:
        archive = zipfile.ZipFile(path)
    except OPENING_ERRORS as error:
        raise damaged(path, error, fix) from None
    try:
        with archive:
            yield archive
    except ZIP_ERRORS as error:
        raise damaged(path, error, fix) from None


def damaged(path: Path, error: Exception, fix: str) -> InputError:
    """The error to show for one of OPENING_ERRORS.

    Raises:
        OSError: `error` itself, where the disk is to blame.
    """
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        raise error
    return InputError(str(path), f"a damaged or locked zip ({type(error).__name__})", fix=fix)
