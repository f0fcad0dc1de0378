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
_COMPARED = 500


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
    for at, (_, _, _, message) in enumerate(rows):
        if not message.content.endswith(")") or not (mark := MENDED.search(message.content)):
            continue
        if not mark.start():
            continue
        message.content = message.content[: mark.start()]
        earlier = _earlier(rows, at, gone)
        if earlier is not None:
            first = rows[earlier][3]
            told.drop(EARLIER, first.sender, first.time, first.content, is_me=first.is_me)
            first.content = message.content
            gone.add(at)
    return [row for at, row in enumerate(rows) if at not in gone] if gone else rows


def _earlier(rows: list[Row], at: int, gone: set[int]) -> int | None:
    """Which row is an earlier version of that one; the most alike, and of these the last."""
    when, _, _, said = rows[at]
    best, found = _ALIKE, None
    for before in range(at - 1, -1, -1):
        if when - rows[before][0] > WITHIN_MS:
            break
        message = rows[before][3]
        if before not in gone and message.sender == said.sender and (alike := _alike(message, said)) > best:
            best, found = alike, before
    return found


def _alike(one: Message, other: Message) -> float:
    """From 0 to 1; a text that the other begins or ends with is as good as the same."""
    first, second = one.content[:_COMPARED].casefold(), other.content[:_COMPARED].casefold()
    short, long = sorted((first, second), key=len)
    if len(short) > 1 and (long.startswith(short) or long.endswith(short)):
        return 0.95
    return difflib.SequenceMatcher(None, first, second, autojunk=False).ratio()
