"""Who wrote a message: the name that stands before the first colon, unless that is WhatsApp itself speaking."""

import re
from collections import Counter
from typing import NamedTuple

OWN = "\u200e"
"""What iPhones write before WhatsApp's own words; Android writes it before the names of files."""

_MARKS = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
_QUOTES = {
    '"': '"', "＂": "＂", "“": "”“", "”": "”", "„": "“”„\"", "«": "»", "»": "«", "‹": "›", "›": "‹",
    "「": "」", "『": "』", "《": "》", "‚": "‘’",
}  # fmt: skip
_MOST_NAMES = 100_000
_LONGEST_PART = 60  # characters of a name between two colons
_TWICE = 2
_OFTEN = 3  # what a group was renamed to, is hardly ever said as often
_SENTENCE = 7  # words that are no name
_DEED = 4  # words that say what somebody did


class _Met:
    """A text before the first colon.

    Attributes:
        said: lines in which it stands there, without those in which WhatsApp speaks.
        own: those.
        next: what stands between it and a second colon, counted; None if some line has no second.
        certain: what stands there before WhatsApp's own words, which tells where a name ends.
    """

    __slots__ = ("certain", "next", "own", "said")

    def __init__(self) -> None:
        self.said = self.own = 0
        self.next: Counter[str] | None = Counter()
        self.certain: set[str] = set()


class Roster(NamedTuple):
    """The people of a chat.

    Attributes:
        senders: by what stands before the first colon, the name as it is shown; of everybody else it is no name.
        longer: what stands before the first colon of names that have one themselves.
        speakers: lines by name.
        chat: the name under which WhatsApp speaks but nobody else: the group's, or of somebody who says nothing.
    """

    senders: dict[str, str]
    longer: frozenset[str]
    speakers: Counter[str]
    chat: str | None

    def split(self, text: str) -> tuple[str, str] | None:
        """The sender and what follows; None where nobody speaks but WhatsApp.

        Args:
            text: of the line after its header.
        """
        at = text.find(": ")
        if at < 0:
            if not text.endswith(":"):
                return None
            at = len(text) - 1
        begin = text[:at]
        if begin in self.longer:
            end = text.find(": ", at + 2)
            if end > 0:
                return shown(text[:end]), text[end + 2 :]
        sender = self.senders.get(begin)
        return None if sender is None else (sender, text[at + 2 :])


class Names:
    """Collects what stands before colons over a whole file."""

    def __init__(self, *, is_ios: bool) -> None:
        self._is_ios = is_ios
        self._met: dict[str, _Met] = {}

    def met(self, text: str) -> None:
        """The next line, after its header."""
        at = text.find(": ")
        if at < 0:
            if not text.endswith(":"):
                return
            at = len(text) - 1
        begin = text[:at]
        met = self._met.get(begin)
        if met is None:
            if len(self._met) >= _MOST_NAMES:
                return
            met = self._met[begin] = _Met()
        if self._is_ios and text.startswith(OWN, at + 2):
            met.own += 1
            return
        met.said += 1
        if met.next is not None or self._is_ios:
            self._second(met, text, at + 2)

    def _second(self, met: _Met, text: str, at: int) -> None:
        end = text.find(": ", at, at + _LONGEST_PART)
        if end < 0:
            met.next = None
            return
        if met.next is not None:
            met.next[text[at:end]] += 1
        if self._is_ios and text.startswith(OWN, end + 2):
            met.certain.add(text[at:end])

    def roster(self) -> Roster:
        """Who of all these is somebody."""
        often = {shown(begin) for begin, met in self._met.items() if met.said >= _OFTEN or met.own}
        longer = frozenset(begin for begin, met in self._met.items() if _goes_on(met))
        senders = {
            begin: shown(begin)
            for begin, met in self._met.items()
            if begin not in longer and self._is_name(begin, met, often)
        }
        speakers: Counter[str] = Counter()
        for begin, met in self._met.items():
            if begin in longer:
                speakers.update({shown(f"{begin}: {end}"): count for end, count in (met.next or {}).items()})
            elif begin in senders and met.said:
                speakers[senders[begin]] += met.said
        chat = next((senders[begin] for begin, met in self._met.items() if met.own and begin in senders), None)
        return Roster(senders, longer, speakers, None if chat in speakers else chat)

    def _is_name(self, begin: str, met: _Met, often: set[str]) -> bool:
        if self._is_ios and begin.startswith(OWN):
            return False
        if met.own or met.said >= _OFTEN:
            return bool(shown(begin))
        if breaks_off(begin) or not shown(begin):
            return False
        words = begin.split()
        if len(words) >= _SENTENCE:
            return False
        return not any(
            shown(" ".join(words[:-count])) in often for count in range(_DEED, len(words))
        )  # "Hare changed the group to: X" is about Hare


def shown(name: str) -> str:
    """The sender as the phone shows them: who is not among its contacts has a tilde in front."""
    return " ".join(_MARKS.sub("", name).split()).removeprefix("~").strip()


def breaks_off(text: str) -> bool:
    """Whether a quotation begins in a text and does not end there."""
    closing = ""
    for each in text:
        if closing:
            closing = "" if each in closing else closing
        else:
            closing = _QUOTES.get(each, "")
    return bool(closing)


def quoted(text: str) -> str | None:
    """The first quotation in a text, from the outer marks, without them."""
    for at, each in enumerate(text):
        if closing := _QUOTES.get(each):
            end = max(text.rfind(mark, at + 1) for mark in closing)
            return _MARKS.sub("", text[at + 1 : end]).strip() or None if end > at else None
    return None


def _goes_on(met: _Met) -> bool:
    """Whether a name has a colon itself: what follows is a second part in all its lines, and each one more than once."""
    if not met.next or met.said < _TWICE:
        return False
    return set(met.next) == met.certain or (met.said >= _OFTEN and min(met.next.values()) > 1)
