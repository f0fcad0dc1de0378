"""Messages by time where an export has them otherwise: newest first, or one conversation in several files.

They must be held for that. So what is more than a little is held compressed, and given out in portions: where the
export is in order, or in the reverse order, no more than two portions are unpacked at a time.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from pipeline.sessions.session import Message

Row = tuple[int, int, int, Message]
"""When, in any unit; its place in its file; which of the conversation's files that is; the message. No two are alike in
the first three."""

ROWS, CHARACTERS = 20_000, 4_000_000
"""How much is held as it is."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Row]).decode


class _Packed(NamedTuple):
    first: int
    last: int
    data: bytes

    def rows(self) -> list[Row]:
        return _decode(zlib.decompress(self.data))


class InOrder:
    """Rows in any order, to be taken out by time; no text in them has half characters."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._characters = 0
        self._packed: list[_Packed] = []

    def add(self, rows: Sequence[Row]) -> None:
        """Hold these, too."""
        self._rows += rows
        self._characters += sum(len(row[3].content) for row in rows)
        if len(self._rows) > ROWS or self._characters > CHARACTERS:
            self.pack()

    def pack(self) -> None:
        """Compress what is held as it is."""
        if self._rows:
            self._rows.sort()
            data = zlib.compress(_encode(self._rows), 1)
            self._packed.append(_Packed(self._rows[0][0], self._rows[-1][0], data))
        self._rows, self._characters = [], 0

    def portions(self) -> Iterator[list[Row]]:
        """All rows by time, so many at a time; none is held afterwards."""
        if self._packed:
            self.pack()
        packed, self._packed = sorted(self._packed, key=lambda each: each.first, reverse=True), []
        rows, self._rows = self._rows, []
        while packed:
            last = packed[-1].last
            while packed and packed[-1].first <= last:  # what overlaps it, or what overlaps that
                last = max(last, packed[-1].last)
                rows += packed.pop().rows()
            rows.sort()
            yield rows
            rows = []
        if rows:
            rows.sort()
            yield rows
