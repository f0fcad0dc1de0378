"""Headers that somebody pasted into a message, where they have the shape of the file's own and lines all end alike.

They stand out by time: a few lines are earlier than all around them, or later. That alone happens to real messages too,
which arrive late. So they are text only if nobody else in the chat has the names in them, if the very lines stand
further up, or if the line above announces them with a colon.
"""

import re
import zlib
from collections import Counter, deque
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from pipeline.archives.members import Member
from pipeline.archives.whatsapp.dates import day_of
from pipeline.archives.whatsapp.headers import may_begin
from pipeline.archives.whatsapp.survey import Layout, clock
from pipeline.archives.whatsapp.text import lines

_TOLERATED = 15 * 60  # seconds by which a message may come late
_COLONS = (":", "：")
_PAIR = 2
_MOST = 200  # headers that somebody pastes at once
_MOST_REPEATED = 30  # more lines that stand twice are two exports in one file
_DAY = 24 * 60 * 60
_BITS = 1 << 24


class _Header(NamedTuple):
    number: int
    time: int
    sender: str | None
    is_repeated: bool
    is_announced: bool


class _Block(NamedTuple):
    """Headers that may be pasted.

    Attributes:
        depth: seconds by which they are earlier than what is above them, or later than what is below.
        is_ahead: whether they are later.
    """

    headers: list[_Header]
    depth: int
    is_ahead: bool = False

    @property
    def senders(self) -> Counter[str]:
        """Who is named, and how often."""
        return Counter(each.sender for each in self.headers if each.sender is not None)


def without_pasted(member: Member, layout: Layout) -> Layout:
    """What is known of a file, with the headers that are text, and the people without those who are only in these."""
    if not layout.goes_back or layout.form.after_crlf:
        return layout
    blocks = _blocks(_headers(member, layout))
    speakers = layout.roster.speakers
    pasted = []
    for is_ahead in (False, True):
        within: Counter[str] = Counter()
        for block in blocks:
            if block.is_ahead == is_ahead:
                within += block.senders
        strangers = {sender for sender, count in within.items() if speakers[sender] <= count}
        is_small = len(speakers.keys() - strangers) <= _PAIR
        pasted += [
            each for each in blocks if each.is_ahead == is_ahead and _is_text(each, strangers, is_small=is_small)
        ]
    numbers = {header.number: header for block in pasted for header in block.headers}
    named = Counter(header.sender for header in numbers.values() if header.sender is not None)
    return layout._replace(pasted=frozenset(numbers), roster=layout.roster._replace(speakers=Counter(speakers) - named))


def _is_text(block: _Block, strangers: set[str], *, is_small: bool) -> bool:
    """Whether a block was pasted.

    Args:
        is_small: whether no more than two people are in the chat but for strangers, so that nobody new can speak up.
    """
    senders = block.senders
    is_deep = block.depth > _TOLERATED
    if not senders or not (is_deep or is_small):
        return False
    if strangers.issuperset(senders):
        return True
    is_announced = block.headers[0].is_announced and not block.is_ahead
    is_repeated = all(each.is_repeated for each in block.headers)
    return is_deep and (is_announced or is_repeated) and len(block.headers) <= _MOST_REPEATED


def _blocks(headers: Iterator[_Header]) -> list[_Block]:
    """Runs of headers that are out of order; where either of two runs may be, both."""
    found: list[_Block] = []
    before: deque[_Header] = deque(maxlen=_MOST)
    dip: list[_Header] = []
    level = 0
    for header in headers:
        if header.time < level:
            dip.append(header)
            if len(dip) > _MOST:
                found.extend(_ahead(before, dip))
                level = max(each.time for each in dip)
                before, dip = deque(dip, maxlen=_MOST), []
            continue
        if dip:
            found.append(_Block(dip, level - min(each.time for each in dip)))
            dip = []
        level = max(level, header.time)
        before.append(header)
    if dip:
        found.extend(_ahead(before, dip))
        found.append(_Block(dip, level - min(each.time for each in dip)))
    return found


def _ahead(before: deque[_Header], dip: list[_Header]) -> list[_Block]:
    """The headers above a dip that are later than it, if time went on below them as it had above."""
    ahead: list[_Header] = []
    for header in reversed(before):
        if header.time <= dip[0].time:
            is_less = 0 < len(ahead) < len(dip)
            return [_Block(ahead[::-1], ahead[0].time - dip[0].time, is_ahead=True)] if is_less else []
        ahead.append(header)
    return []


def _headers(member: Member, layout: Layout) -> Iterator[_Header]:
    match = layout.form.matcher()
    seen = bytearray(_BITS // 8)
    days: dict[str, int | None] = {}
    number, begins, is_announced = -1, True, False
    for line in lines(member, layout.encoding):
        header = match(line) if begins and may_begin(line[0]) else None
        begins = line[-1] in "\r\n"
        if header is None:
            is_announced = line.rstrip().endswith(_COLONS)
            continue
        number += 1
        day = header["date"]
        if day not in days:
            days[day] = _ordinal(header, layout.order.order)
        bit = zlib.crc32(line.strip().encode("utf-8", "replace")) % _BITS
        is_repeated = bool(seen[bit >> 3] & (1 << (bit & 7)))
        seen[bit >> 3] |= 1 << (bit & 7)
        said = layout.roster.split(line[header.end() :].rstrip("\r\n"))
        if (ordinal := days[day]) is not None:
            time = ordinal * _DAY + clock(*header.group("hour", "minute", "second", "half"))
            yield _Header(number, time, said[0] if said else None, is_repeated, is_announced)
        is_announced = said is not None and said[1].rstrip().endswith(_COLONS)


def _ordinal(header: re.Match[str], order: str) -> int | None:
    day = day_of((int(header["a"]), int(header["b"]), int(header["c"])), order)
    return None if day is None else date.fromisoformat(day).toordinal()
