"""Which held-out replies are learnt all the same, because training has nearly the same words: they measure nothing."""

import re
from array import array
from collections.abc import Iterable, Iterator

RUN = 8
"""Words in a row that two texts do not share by chance (evaluation calls as many recited)."""

_LONG = 20  # letters and digits; shorter replies, such as "haha yes", are habits and no copies
_WORD = re.compile(r"\w+")


class Copies:
    """Collects what replies say, in order, and finds what stands on both sides.

    Attributes:
        found: numbers of what is said in a held-out reply and in one for training.
    """

    def __init__(self) -> None:
        self._said, self._counts = array("q"), array("q")
        self.found: frozenset[int] = frozenset()

    def add(self, reply: str) -> None:
        """Take the next reply."""
        before = len(self._said)
        self._said.extend(_said_in(reply))
        self._counts.append(len(self._said) - before)

    def compare(self, held_out: "array[int]") -> Iterator[bool]:
        """Find what stands on both sides; says of each reply whether it holds some of it.

        Args:
            held_out: of each reply, 1 if it is held out, else 0.
        """
        kept = {each for part, held in self._replies(held_out) if held for each in part}
        learnt = (each for part, held in self._replies(held_out) if not held for each in part)
        self.found = frozenset(each for each in learnt if each in kept)
        return (not self.found.isdisjoint(part) for part, _ in self._replies(held_out))

    def has(self, reply: str) -> bool:
        """Whether a held-out reply is also learnt."""
        return bool(self.found) and not self.found.isdisjoint(_said_in(reply))

    def _replies(self, held_out: "array[int]") -> Iterator[tuple["array[int]", int]]:
        begin = 0
        for count, held in zip(self._counts, held_out, strict=True):
            yield self._said[begin : begin + count], held
            begin += count


def _said_in(reply: str) -> Iterable[int]:
    """Numbers of the whole and of each run of words; the same for texts that differ in case and punctuation only."""
    words: list[str] = _WORD.findall(reply.casefold())
    if sum(map(len, words)) < _LONG:
        return
    yield hash(" ".join(words))
    for begin in range(len(words) - RUN + 1):
        yield hash(" ".join(words[begin : begin + RUN]))
