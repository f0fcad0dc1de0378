"""Edited messages of Instagram: both versions are in the export, the later with "(edited)" behind it.

Nothing says which message the later one replaces, so it is found: somebody's own, said before within the time in which
Instagram lets them edit, and alike (mlomb/chat-analytics#114).
"""

import difflib
from collections.abc import Iterator

from pipeline.archives.in_order import Row
from pipeline.archives.messenger.own_words import MENDED
from pipeline.archives.told import Told
from pipeline.sessions.session import Message

EARLIER = "earlier version of an edited message"

WITHIN_MS = 16 * 60 * 1000
"""Instagram allows a quarter of an hour."""

_ALIKE = 0.5
_COMPARED = 200
_LOOKED_BACK = 50
"""Messages of the same sender that are compared with an edited one; with all of them time would be quadratic."""


def with_last_versions(portions: Iterator[list[Row]], told: Told) -> Iterator[list[Row]]:
    """Rows in order of time without the earlier versions: the last one stands where the first stood."""
    held: list[Row] = []
    for portion in portions:
        rows = _mended(held + portion, told)
        edge = rows[-1][0] - WITHIN_MS if rows else 0
        cut = next((at for at in range(len(rows), 0, -1) if rows[at - 1][0] < edge), 0)
        held = rows[cut:]
        yield rows[:cut]
    yield held


def _mended(rows: list[Row], told: Told) -> list[Row]:
    gone: set[int] = set()
    said: dict[str, list[Row]] = {}
    for at, row in enumerate(rows):
        message = row[3]
        before = said.setdefault(message.sender, [])
        if message.content.endswith(")") and (mark := MENDED.search(message.content)) and mark.start():
            message.content = message.content[: mark.start()]
            first = _earlier(before[-_LOOKED_BACK:], row)
            if first is not None:
                told.drop(EARLIER, first.sender, first.time, first.content, is_me=first.is_me)
                first.content = message.content
                gone.add(at)
                continue
        before.append(row)
    return [row for at, row in enumerate(rows) if at not in gone] if gone else rows


def _earlier(rows: list[Row], row: Row) -> Message | None:
    """Which of somebody's messages is an earlier version of that one; the most alike, and of these the last."""
    when, _, _, said = row
    best, found = _ALIKE, None
    later = _compared(said)
    matcher = difflib.SequenceMatcher(None, "", later, autojunk=False)
    for before, _, _, message in reversed(rows):
        if when - before > WITHIN_MS:
            break
        if (alike := _alike(_compared(message), later, matcher, best)) > best:
            best, found = alike, message
    return found


def _alike(first: str, second: str, matcher: "difflib.SequenceMatcher[str]", best: float) -> float:
    """From 0 to 1; a text that the other begins or ends with is as good as the same. 0 if it cannot exceed the best."""
    short, long = sorted((first, second), key=len)
    if len(short) > 1 and (long.startswith(short) or long.endswith(short)):
        return 0.95
    matcher.set_seq1(first)
    # The exact ratio takes time in the product of both lengths; these bounds above it are cheap.
    if matcher.real_quick_ratio() <= best or matcher.quick_ratio() <= best:
        return 0
    return matcher.ratio()


def _compared(message: Message) -> str:
    return message.content[:_COMPARED].casefold()
