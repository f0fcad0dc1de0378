"""Archives in zips: how much may come out of one, and what is wrong with it where it cannot be read."""

import contextlib
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.durable import DISK_ERRORS
from pipeline.errors import InputError

MOST_TIMES = 100
"""How many times a chat may be larger than in its zip. Text is 3 to 20 times as large, what is made to harm 1,000."""

HARMLESS = 10_000_000
"""Bytes that may come out of any zip."""

ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, NotImplementedError, EOFError, OSError)
"""What zipfile raises for a zip that is damaged, locked with a password, or packed in an unknown way."""


def require_sane(path: Path, wanted: Sequence[zipfile.ZipInfo]) -> None:
    """Check that what is to be read out of a zip is not much more than went into it, before it is.

    A reader of zipfile never yields more than the size that a member states.

    Raises:
        InputError: it is.
    """
    out = sum(each.file_size for each in wanted)
    held = max(1, min(path.stat().st_size, sum(each.compress_size for each in wanted)))  # members may overlap
    if out > HARMLESS and out > MOST_TIMES * held:
        largest = max(wanted, key=lambda each: each.file_size)
        raise InputError(
            str(path),
            f"would unpack to {out / 1_000_000:,.0f} MB, {out // held:,} times its size, most of it "
            f"{largest.filename[:100]!r}; no chat grows more than {MOST_TIMES} times",
            fix="Export the chat again.",
        )


@contextlib.contextmanager
def opened(path: Path, fix: str) -> Iterator[zipfile.ZipFile]:
    """A zip to read from.

    Raises:
        InputError: it is damaged, or locked with a password, or packed in an unknown way.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except ZIP_ERRORS as error:
        raise damaged(path, error, fix) from None


def damaged(path: Path, error: Exception, fix: str) -> InputError:
    """The error to show for one of ZIP_ERRORS.

    Raises:
        OSError: `error` itself, where the disk is to blame.
    """
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        raise error
    return InputError(str(path), f"a damaged or locked zip ({type(error).__name__})", fix=fix)
