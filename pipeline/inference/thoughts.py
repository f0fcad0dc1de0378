"""Thoughts of a model that thinks before it answers, taken out of what it says."""

from collections.abc import Iterator

from pipeline.inference.protocol import TokenOdds
from pipeline.models.layout import END_THINK, THINK

Said = tuple[str, TokenOdds | None]
"""The text that a token adds, and its odds if they were asked for."""


class Thoughts:
    """Lets an answer's text through but for thoughts, their marks and the white space after them.

    What may be the beginning of a mark is held back until it is clear. A thought that does not end is one all the same.
    """

    def __init__(self) -> None:
        self._held: list[Said] = []
        self._inside = False
        self._just_ended = False

    def feed(self, text: str, odds: TokenOdds | None) -> Iterator[Said]:
        """Take a token and yield what can be said by now. Of a token that is said in part, the odds are told."""
        self._held.append((text, odds))
        while True:
            held = "".join(text for text, _ in self._held)
            marks = (END_THINK,) if self._inside else (THINK, END_THINK)
            found = min(((held.index(mark), mark) for mark in marks if mark in held), default=None)
            if found is None:
                yield from self._pass(len(held) - max(_overlap(held, mark) for mark in marks))
                return
            at, mark = found
            yield from self._pass(at)
            self._take(len(mark))
            self._inside, self._just_ended = mark == THINK, mark == END_THINK

    def flush(self) -> Iterator[Said]:
        """Yield what was held back, once no more comes."""
        yield from self._pass(sum(len(text) for text, _ in self._held))
        if not self._inside:
            yield from self._held  # tokens that have no text of their own
        self._held = []

    def _pass(self, length: int) -> Iterator[Said]:
        for text, odds in self._take(length):
            said = text.lstrip() if self._just_ended else text
            if self._inside or (text and not said):
                continue
            self._just_ended = self._just_ended and not said
            yield said, odds

    def _take(self, length: int) -> list[Said]:
        """Take so many characters off what is held."""
        taken: list[Said] = []
        while length:
            text, odds = self._held.pop(0)
            taken.append((text[:length], odds))
            if text[length:]:
                self._held.insert(0, (text[length:], None))
            length -= len(text[:length])
        return taken


def _overlap(text: str, mark: str) -> int:
    """How many characters at the end of `text` may be the beginning of `mark`."""
    return next(n for n in range(min(len(text), len(mark) - 1), -1, -1) if text.endswith(mark[:n]))
