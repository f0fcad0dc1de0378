"""JSON, one object a line: read line by line, whatever editor or shell saved it."""

import codecs
import io
import json
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from pipeline.archives.members import Member
from pipeline.archives.told import writable
from pipeline.errors import InputError

LONGEST_LINE = 16_000_000
"""Characters. A longer line is no message, and is not held."""

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

T = TypeVar("T")


def lines(member: Member) -> Iterator[tuple[int, bytes | None]]:
    """The lines that are not blank, each with its number from 1, in UTF-8; None stands for one that is too long.

    Raises:
        InputError: it begins like UTF-16 and is none.
    """
    number = 1
    is_too_long = False
    for chunk in _chunks(member):
        is_end = chunk.endswith(b"\n") or len(chunk) < LONGEST_LINE
        if not is_end:
            is_too_long = True
            continue
        if is_too_long:
            yield number, None
        elif line := chunk.strip():
            yield number, line
        is_too_long = False
        number += 1
    if is_too_long:
        yield number, None


def _chunks(member: Member) -> Iterator[bytes]:
    """Lines, those that are too long in pieces."""
    begin = member.head(len(codecs.BOM_UTF8))
    with member.open() as file:
        if not begin.startswith(_UTF_16):
            file.read(len(codecs.BOM_UTF8) if begin == codecs.BOM_UTF8 else 0)
            while chunk := file.readline(LONGEST_LINE):
                yield chunk
            return
        try:
            with io.TextIOWrapper(file, encoding="utf-16", newline="\n") as text:
                while line := text.readline(LONGEST_LINE):
                    yield line.encode("utf-8", "replace")
        except UnicodeError:
            raise InputError(
                str(member), "begins like UTF-16 text and is none", fix="Export it again, as UTF-8."
            ) from None


def first_line(member: Member) -> bytes:
    """The first line that is not blank, as far as the beginning of the file holds it; see `lines`."""
    head = member.head()
    encoding = "utf-16" if head.startswith(_UTF_16) else "utf-8-sig"
    text = head.decode(encoding, "ignore").lstrip()
    return text.partition("\n")[0].encode("utf-8", "replace")


def decoded(line: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    """A line as what the decoder knows; half characters, which JSON can hold, become question marks.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: it is none of that.
    """
    try:
        return decoder.decode(line)
    except RecursionError:
        raise msgspec.DecodeError("JSON is nested too deeply") from None
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if b"\\u" not in line:
            raise
        try:
            loose = json.loads(line)
        except (ValueError, RecursionError):
            loose = None
        if loose is None:
            raise
        try:
            return decoder.decode(writable(json.dumps(loose, ensure_ascii=False)))
        except RecursionError:
            raise msgspec.DecodeError("JSON is nested too deeply") from None
