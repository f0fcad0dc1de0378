"""The look of a line: styled and broken between words in a terminal, plain elsewhere.

rich draws what moves (live.py); it takes longer to import than a run with nothing to do may take.
"""

import os
import re
import shutil
import textwrap
from collections.abc import Sequence
from typing import TextIO

from pipeline.wording import visible

STEP_WIDTH = 11
MARK_WIDTH = 11
INDENT = " " * 6
_NARROWEST = 30
_FIRST_COLUMN = re.compile(r" *(?:\S+ {2,})*")
_COMMAND = re.compile(r"`[^`]+`|(?<=with: ).+$|(?<=to it: ).+$|(?<=chats: ).+$")  # to be copied as it stands
_JOINED = "\x1f"
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}

Piece = tuple[str, str]
"""Words and their style, "" for none: names of _CODES with blanks between them."""


class Shown(str):
    """Lines as they are to be written: foreign text in them is visible, and the only codes in them are our own."""


class Lines:
    """Where lines go, and how: all text is foreign here, and made visible before codes of our own are added.

    Attributes:
        is_terminal: a person looks, at something that can move.
    """

    def __init__(self, stream: TextIO, *, is_terminal: bool | None = None) -> None:
        self.stream = stream
        self.is_terminal = is_a_screen(stream) if is_terminal is None else is_terminal
        wanted = self.is_terminal or bool(os.environ.get("FORCE_COLOR"))  # force-color.org
        self._coloured = wanted and not os.environ.get("NO_COLOR")  # no-color.org

    @property
    def width(self) -> int:
        """Of the terminal, in columns."""
        return shutil.get_terminal_size().columns

    def line(self, *before: Piece, text: str = "", style: str = "") -> Shown:
        """One line: what stands `before` it, and a text that is broken below its own beginning where it is too long.

        Where `before` leaves too little room, the text begins on the line below.
        """
        before, text = tuple((visible(words), style) for words, style in before), visible(text)
        taken = sum(len(words) for words, _ in before)
        if not self.is_terminal or taken + len(text) <= self.width:
            return self._styled([*before, (text, style)])
        is_below = taken > len(INDENT) and self.width - taken < _NARROWEST
        indent = len(INDENT) if is_below else taken
        whole = _COMMAND.sub(lambda command: command[0].replace(" ", _JOINED), text)
        room = max(1, self.width - indent)
        words = textwrap.wrap(whole, room, break_long_words=False, break_on_hyphens=False)
        margin = "\n" + " " * indent
        broken = margin.join(words).replace(_JOINED, " ")
        return self._styled([*before, (margin if is_below else "", ""), (broken, style)])

    def flow(self, text: str) -> Shown:
        """A plain line, broken below its own text: after its margin and what stands in a column of its own."""
        before = _FIRST_COLUMN.match(text)
        column = before[0] if before else ""
        return self.line((column, ""), text=text.removeprefix(column))

    def styled(self, pieces: Sequence[Piece]) -> Shown:
        """The pieces with the codes of their styles, where there are colours."""
        return self._styled([(visible(words), style) for words, style in pieces])

    def _styled(self, pieces: Sequence[Piece]) -> Shown:
        if not self._coloured:
            return Shown("".join(words for words, _ in pieces))
        return Shown(
            "".join(
                f"\x1b[{';'.join(_CODES[each] for each in style.split())}m{words}\x1b[0m" if words and style else words
                for words, style in pieces
            )
        )


def is_a_screen(stream: TextIO) -> bool:
    """Whether a stream is a terminal that understands control codes."""
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def head(number: int, total: int, step: str) -> str:
    """How the line of a step begins."""
    return f"{number:>2}/{total} {step:<{STEP_WIDTH}}"


def mark(words: str) -> str:
    """What stands after the head: how long the step took, or how it is with it."""
    return f"{words:>{MARK_WIDTH}}  "
