"""The messages of one exported file, in order of time."""

import heapq
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from pipeline.archives.members import Member
from pipeline.archives.told import Told
from pipeline.archives.whatsapp.dates import day_of
from pipeline.archives.whatsapp.halves import half_of
from pipeline.archives.whatsapp.headers import may_begin
from pipeline.archives.whatsapp.own_words import SYSTEM, OwnWords
from pipeline.archives.whatsapp.survey import Layout
from pipeline.archives.whatsapp.text import lines
from pipeline.sessions.session import ENDLESS, LONGEST, QUOTED, Message

_WINDOW = 50_000
"""Messages among which those that came late are put in order."""
_HOUR = slice(len("2023-08-15T"), len("2023-08-15T21"))
_HOURS_OF_NIGHT = frozenset(("23", "00", "01", "02", "03"))

GUESSED_ORDER = "whose day and month no date in the chat tells apart: they are read as most people there write them"
GUESSED_ENCODING = "in a file that is not UTF-8, read as Windows-1252"
BAD_ENCODING = "in a file with bytes that are no text, which became question marks"


_Piece = tuple[str | None, bool, list[str], int]
"""Of a header and all up to the next: its time, whether U+200E stands before it, its lines, and how long they are."""


def messages(
    member: Member, layout: Layout, told: Told, edited: set[tuple[str | None, str]] | None = None
) -> Iterator[Message]:
    """What was said, in order of time; all else is told.

    Args:
        edited: gets time and sender of each message that was edited after it had been sent.
    """
    said = _in_file(member, layout, told, set() if edited is None else edited)
    return _in_order(said) if layout.goes_back else said


def _in_file(member: Member, layout: Layout, told: Told, edited: set[tuple[str | None, str]]) -> Iterator[Message]:
    is_ios = layout.form.shape.is_ios
    words = OwnWords(is_ios=is_ios, has_marks=layout.has_marks, repeated=layout.repeated, notes=layout.notes)
    split, said = layout.roster.split, words.said
    rows = kept = 0
    try:
        for time, is_marked, pieces, size in _records(member, layout):
            rows += 1
            found = split(pieces[0])
            sender, begin = found or ("WhatsApp", pieces[0])
            if size > LONGEST:
                told.drop(ENDLESS, sender[:QUOTED], time, begin[:QUOTED])
                continue
            body = begin if len(pieces) == 1 else "\n".join((begin, *pieces[1:]))
            if found is None:
                told.drop(SYSTEM, sender, time, body.strip())
                continue
            text, reason, is_edited = said(body, is_marked)
            if not text:
                told.drop(reason, sender, time, body.strip())
                continue
            if is_edited:
                edited.add((time, sender))
            kept += 1
            yield Message(sender, False, time, text)
    finally:
        told.rows = (told.rows or 0) + rows
        _note(layout, told, kept)


def _note(layout: Layout, told: Told, kept: int) -> None:
    if kept and not layout.order.is_certain:
        told.noted[GUESSED_ORDER] += kept
    if kept and layout.encoding.is_guessed:
        told.noted[GUESSED_ENCODING] += kept
    elif kept and layout.encoding.is_damaged:
        told.noted[BAD_ENCODING] += kept


def _records(member: Member, layout: Layout) -> Iterator[_Piece]:
    match, only_crlf, pasted = layout.form.matcher(), layout.form.after_crlf, layout.pasted
    time_of = _Clock(layout).time
    pieces: list[str] = []
    time: str | None = None
    is_marked, size, number = False, 0, -1
    begins = True  # the line before is at its end: none is so long that this goes on with it
    for line in lines(member, layout.encoding):
        header = match(line) if begins and may_begin(line[0]) else None
        begins = line.endswith("\r\n") if only_crlf else line[-1] in "\r\n"
        if header is not None and pasted:
            number += 1
            header = None if number in pasted else header
        text = line.rstrip("\r\n")
        if header is not None:
            if pieces:
                yield time, is_marked, pieces, size
            text = text[header.end() :]
            time, is_marked, pieces, size = time_of(header), "\u200e" in header["mark"], [text], len(text)
        elif pieces:
            if size <= LONGEST:
                pieces.append(text)
            size += len(text) + 1
    if pieces:
        yield time, is_marked, pieces, size


class _Clock:
    """Times as sessions have them, of the words in headers."""

    def __init__(self, layout: Layout) -> None:
        self._order = layout.order.order
        self._is_ascii = layout.form.shape.zero == "0"
        self._hours: dict[tuple[str, str, str], str | None] = {}

    def time(self, header: re.Match[str]) -> str | None:
        """Such as "2023-08-15T21:12:43Z"; None for a time that does not exist."""
        date, hour, half, minute, second = header.group("date", "hour", "half", "minute", "second")
        key = date, hour, half
        if key not in self._hours:
            a, b, c = header.group("a", "b", "c")
            day, hours = day_of((int(a), int(b), int(c)), self._order), _hour(hour, half)
            self._hours[key] = None if day is None or hours is None else f"{day}T{hours}"
        begin = self._hours[key]
        if not self._is_ascii:
            minute, second = f"{int(minute):02}", f"{int(second):02}" if second else ""
        if begin is None or minute > "59" or second > "59":
            return None
        return f"{begin}:{minute}:{second or '00'}Z"


def _hour(hour: str, half: str) -> str | None:
    hours = int(hour)
    if half and (found := half_of(half)):
        hours = hours % 12 + 12 * found[0]
    return f"{hours:02}" if hours < 24 else None


def _in_order(found: Iterator[Message]) -> Iterator[Message]:
    """By time, those of one time as they stand; what has no time stays behind what it follows."""
    waiting: list[tuple[str, int, Message]] = []
    for number, (time, message) in enumerate(places(found)):
        heapq.heappush(waiting, (time, number, message))
        if len(waiting) > _WINDOW:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def places(found: Iterable[Message]) -> Iterator[tuple[str, Message]]:
    """Each message with the time by which it is put in order.

    That is its own, or that of the message above where it has none. In autumn the clock goes back, and an hour of the
    night comes twice: by their times its messages would be mixed, so they keep their places.
    """
    again: list[tuple[str, Message]] = []
    highest = last = ""
    for message in found:
        time = message.time or last
        if again and last <= time < highest and len(again) < _WINDOW:
            again.append((time, message))
        elif last == highest and _may_be_again(time, highest):
            again = [(time, message)]
        else:
            if again:
                yield from _placed(again, highest if time >= highest else None)
                again = []
            highest = max(highest, time)
            yield time, message
        last = time
    yield from _placed(again, highest)


def _placed(found: list[tuple[str, Message]], time: str | None) -> Iterator[tuple[str, Message]]:
    return ((time or own, message) for own, message in found)


def _may_be_again(time: str, highest: str) -> bool:
    """Whether the clock was put back by an hour, from the one time to the other; that is done at night."""
    if not time < highest or highest[_HOUR] not in _HOURS_OF_NIGHT:
        return False
    after, before = (datetime.fromisoformat(each.removesuffix("Z")) for each in (time, highest))
    return before - after <= timedelta(hours=1)
