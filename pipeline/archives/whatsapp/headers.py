r"""The headers of messages: date, time and what stands around them, in the form of the phone's language.

    [15/08/2023, 09:12:43] Hare: Speed is key!        iPhone
    15/08/2013 09:12:43: Hare: Speed is key!          iPhone, before 2017
    15.08.23, 09:12 - Hare: Speed is key!             Android
    8/15/23, 9:12 AM - Hare: Speed is key!            U+202F before AM since 2023
    2023. 8. 15. 오후 9:12 - Hare: Speed is key!
    21:12, 15/8/23 - Hare: Speed is key!
    ١٥‏/٨‏/٢٠٢٣، ٩:١٢ م - Hare: Speed is key!

One file has one shape of header: the same brackets, separators, spaces, widths of numbers and digits throughout. Any
other line that looks like a header is somebody's text, pasted from elsewhere.
"""

import functools
import re
import unicodedata
from typing import NamedTuple

from pipeline.archives.whatsapp.halves import half_in

MARKS = "\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff"
"""Marks of direction, for a class in a pattern; the last is a byte order mark that a tool has left."""

_SPACE = " \u00a0\u2009\u202f"
_AROUND = rf"[{_SPACE}{MARKS}]*"
_DATE = (
    rf"(?P<a>\d{{1,4}})(?P<s1>{_AROUND}[./\-‐–年년]{_AROUND})"
    rf"(?P<b>\d{{1,2}})(?P<s2>{_AROUND}[./\-‐–月월]{_AROUND})(?P<c>\d{{1,4}})"
)
_TIME = (
    rf"(?P<hour>\d{{1,2}})(?P<t1>[:.]|[{_SPACE}]h[{_SPACE}])(?P<minute>\d\d)"
    rf"(?:(?P<t2>[:.]|[{_SPACE}]min[{_SPACE}])(?P<second>\d\d))?"
)
_OPEN = rf"[{MARKS}]*(?P<bracket>\[[{MARKS}]*)?"
_MIDDLE = r"(?P<middle>[^\d\[\]<>:\n\0]{1,24})"  # without the mark of a cut
_AFTER = r"(?P<after>[^\d\[\]<>:\n\0]{0,24}?)"
_CLOSE = rf"(?P<close>\](?:[{_SPACE}]|$)|:(?=[{_SPACE}])|[{_SPACE}][{MARKS}]*[-–—](?:[{_SPACE}]|$))"
_DATE_FIRST = re.compile(_OPEN + _DATE + _MIDDLE + _TIME + _AFTER + _CLOSE)
_TIME_FIRST = re.compile(_OPEN + _TIME + _MIDDLE + _DATE + _AFTER + _CLOSE)
_BEGINS = frozenset("[0123456789")


class Shape(NamedTuple):
    """What all headers of a file have in common, but for how numbers below ten are written.

    Attributes:
        parts: the text around the numbers, with its marks and spaces: the bracket, two separators of the date, two of
            the time, what stands between both, what stands after, and the closing. Where the hours are twelve, one
            part has a cut for morning or afternoon.
        half: which part that is, -1 where the hours are twenty-four.
        style: how morning is spelt, but for the letter that tells it from afternoon.
        wide: which of the three numbers of the date have more than two digits, as many as they have, 0 otherwise.
        zero: the digit nought of the script.
    """

    is_ios: bool
    time_first: bool
    parts: tuple[str, ...]
    half: int
    style: str
    wide: tuple[int, int, int]
    has_seconds: bool
    zero: str


class Padding(NamedTuple):
    """Whether numbers below ten have a nought in front; None where that is not known, or may be either.

    Attributes:
        date: of the three numbers of the date.
    """

    date: tuple[bool | None, bool | None, bool | None] = (None, None, None)
    hour: bool | None = None


def may_begin(first: str) -> bool:
    """Whether a header can begin with this character; a look at it costs less than a pattern."""
    return first in _BEGINS or first > "~"


def looks_like_header(line: str) -> re.Match[str] | None:
    """What matches at the beginning of a line, if it is a header of any shape."""
    if not may_begin(line[:1]):
        return None
    return _DATE_FIRST.match(line) or _TIME_FIRST.match(line)


def shape_of(header: re.Match[str]) -> Shape:
    """The shape of a header that `looks_like_header` has found."""
    (a, b, c), time_first = header.group("a", "b", "c"), header.re is _TIME_FIRST
    middle, half, style = _without_half(header["middle"])
    after, other, other_style = _without_half(header["after"]) if not half else (header["after"], False, "")
    date = (header["s1"], header["s2"])
    time = (header["t1"], header["t2"] or "")
    bracket = "[" if header["bracket"] else ""
    return Shape(
        is_ios=bool(bracket) or header["close"] == ":",
        time_first=time_first,
        parts=(bracket, *date, *time, middle, after, header["close"].rstrip(_SPACE)),
        half=_PART_MIDDLE if half else _PART_AFTER if other else -1,
        style=style or other_style,
        wide=(_wide(a), _wide(b), _wide(c)),
        has_seconds=header["second"] is not None,
        zero=chr(ord(a[0]) - unicodedata.decimal(a[0])),
    )


_PART_MIDDLE, _PART_AFTER = 5, 6
_CUT = "\0"  # where morning or afternoon stands in a part


def _wide(number: str) -> int:
    return len(number) if len(number) > 2 else 0


@functools.lru_cache(maxsize=4096)
def _without_half(text: str) -> tuple[str, bool, str]:
    """A part with a cut where it says morning or afternoon; whether it does; and how that is spelt."""
    found = half_in(text)
    if found is None:
        return text, False, ""
    return f"{text[: found.begin]}{_CUT}{text[found.end :]}", True, found.style


def compiled(shape: Shape, padding: Padding) -> re.Pattern[str]:
    """A pattern for headers of this shape; its groups are mark, date, a, b, c, hour, minute, second and half.

    `half` is still to be looked up: it may be any word.
    """
    bracket, s1, s2, t1, t2, middle, after, close = shape.parts
    digit = f"[{shape.zero}-{chr(ord(shape.zero) + 9)}]"
    names = ("a", "b", "c")
    numbers = [_number(*each, shape.zero, digit) for each in zip(names, shape.wide, padding.date, strict=True)]
    date = f"(?P<date>{numbers[0]}{re.escape(s1)}{numbers[1]}{re.escape(s2)}{numbers[2]})"
    time = f"{_number('hour', 0, padding.hour, shape.zero, digit)}{re.escape(t1)}(?P<minute>{digit}{digit})"
    time += f"{re.escape(t2)}(?P<second>{digit}{digit})" if shape.has_seconds else "(?P<second>)"
    first, second = (time, date) if shape.time_first else (date, time)
    opening = rf"(?P<mark>[{MARKS}]*)" + (rf"\[[{MARKS}]*" if bracket else "")
    pattern = f"{opening}{first}{_part(middle)}{second}{_part(after)}{re.escape(close)}(?:[{_SPACE}]|$)"
    return re.compile(pattern if shape.half >= 0 else f"{pattern}(?P<half>)")


def _number(name: str, wide: int, padded: bool | None, zero: str, digit: str) -> str:
    if wide:
        return f"(?P<{name}>{digit}{{{wide}}})"
    if padded is None:
        return f"(?P<{name}>{digit}{{1,2}})"
    return f"(?P<{name}>{digit}{digit})" if padded else f"(?P<{name}>(?!{zero}{digit}){digit}{{1,2}})"


def _part(text: str) -> str:
    return re.escape(text).replace(re.escape(_CUT), r"(?P<half>[^\d\[\]<>:\n]{1,20}?)")
