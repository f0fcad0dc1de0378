"""Who wrote a message: the name that stands before the first colon, unless that is WhatsApp itself speaking."""

import re
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from pipeline.archives.whatsapp.words import NOTICES

OWN = "\u200e"
"""What iPhones write before WhatsApp's own words; Android writes it before the names of files."""

_MARKS = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
_QUOTES = {
    '"': '"', "＂": "＂", "“": "”“", "”": "”", "„": "“”„\"", "«": "»", "»": "«", "‹": "›", "›": "‹",
    "「": "」", "『": "』", "《": "》", "‚": "‘’", "‘": "’",
}  # fmt: skip
_YOU = frozenset(
    ("you", "du", "tú", "usted", "vous", "você", "hai", "u", "je", "siz", "вы", "ty", "sinä", "anda", "kamu", "bạn")
)
_NOTICES = tuple(NOTICES)
_MOST_NAMES = 100_000
_LONGEST_PART = 60  # characters of a name between two colons
_OFTEN = 3  # what a group was renamed to, is hardly ever said as often
_MOST_DEEDS = 20  # lines of WhatsApp about people whose names begin alike
_SENTENCE = 7  # words that are no name
_MOST_WORDS = 100  # of a name, even if they come again
_PAIR = 2
_DEED = 4  # words that say what somebody did


class _Met:
    """A text before the first colon.

    Attributes:
        said: lines in which it stands there, without those in which WhatsApp speaks.
        own: those.
        next: what stands between it and a second colon, counted.
        rest: what follows where there is no second colon; None if there is too much of that.
        certain: what of it stands before WhatsApp's own words, counted; these tell where a name ends.
    """

    __slots__ = ("certain", "next", "own", "rest", "said")

    def __init__(self) -> None:
        self.said = self.own = 0
        self.next: Counter[str] = Counter()
        self.rest: list[str] | None = []
        self.certain: Counter[str] = Counter()

    def seconds(self) -> list[str]:
        """The parts that follow in names that have a colon themselves; none if there are no such names.

        Such a part is there more than once, and whatever else follows says what somebody of that name did.
        """
        if self.rest is None or not self.next:
            return []
        found = {each: None for each, count in self.next.items() if count > 1 or each in self.certain}
        others = [*self.rest, *(each for each in self.next if each not in found)]
        is_certain = self.said >= _OFTEN or (not self.rest and len(self.certain) == len(self.next))
        lengths = {len(each) for each in found}
        return list(found) if found and is_certain and all(_goes_on(each, found, lengths) for each in others) else []


def _goes_on(text: str, names: Collection[str], lengths: Collection[int]) -> bool:
    """Whether a text begins with one of these names, which have these lengths, as a whole."""
    ends = (each for each in lengths if text[:each] in names)
    return any(not (text[each : each + 1].isascii() and text[each : each + 1].isalnum()) for each in ends)


class Roster(NamedTuple):
    """The people of a chat.

    Attributes:
        senders: by what stands before the first colon, the name as it is shown; of everybody else it is no name. A
            stranger who calls themselves what a contact is called keeps the tilde.
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
            name = shown(text[:end]) if end > 0 else text.removesuffix(":")
            return (name, text[end + 2 :] if end > 0 else "") if name in self.speakers else None
        sender = self.senders.get(begin)
        return None if sender is None else (sender, text[at + 2 :])


class Names:
    """Collects what stands before colons over a whole file."""

    def __init__(self, *, is_ios: bool) -> None:
        self._is_ios = is_ios
        self._met: dict[str, _Met] = {}

    def met(self, text: str, *, is_marked: bool) -> None:
        """The next line, after its header.

        Args:
            is_marked: whether U+200E stands before the header: then it may stand after somebody's words as well.
        """
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
        if met.rest is not None:
            self._second(met, text, at + 2, is_marked=is_marked)

    def _second(self, met: _Met, text: str, at: int, *, is_marked: bool) -> None:
        end = text.find(": ", at, at + _LONGEST_PART)
        if end >= 0:
            met.next[text[at:end]] += 1
            if self._is_ios and not is_marked and text.startswith(OWN, end + 2):
                met.certain[text[at:end]] += 1
        elif met.rest is not None:
            met.rest.append(text[at : at + _LONGEST_PART])
            if len(met.rest) > _MOST_DEEDS:
                met.rest = None
                met.next.clear()

    def roster(self) -> Roster:
        """Who of all these is somebody."""
        parts = {begin: found for begin, met in self._met.items() if (found := met.seconds())}
        longer = frozenset(parts)
        others = ((begin, met) for begin, met in self._met.items() if begin not in longer)
        often = {shown(begin) for begin, met in others if met.said >= _OFTEN or met.own}
        names = [begin for begin, met in self._met.items() if begin not in longer and self._is_name(begin, met, often)]
        contacts = {shown(begin) for begin in names if not _is_stranger(begin)}
        senders = {
            begin: f"~{name}" if _is_stranger(begin) and (name := shown(begin)) in contacts else shown(begin)
            for begin in names
        }
        speakers: Counter[str] = Counter()
        for begin, met in self._met.items():
            if begin in longer:
                said = met.next - met.certain
                speakers.update({shown(f"{begin}: {end}"): said[end] for end in parts[begin] if said[end]})
            elif begin in senders and met.said:
                speakers[senders[begin]] += met.said
        chats = [
            shown(f"{begin}: {end}") if end else senders.get(begin, shown(begin))
            for begin, met in self._met.items()
            for end in (met.certain or ([""] if met.own else []))
        ]
        chat = chats[0] if chats and chats[0] not in speakers else None
        return Roster(senders, longer, speakers, chat)

    def _is_name(self, begin: str, met: _Met, often: set[str]) -> bool:
        if self._is_ios and begin.startswith(OWN):
            return shown(begin) in often
        if met.own or met.said >= _OFTEN:
            return bool(shown(begin))
        if breaks_off(begin) or not shown(begin):
            return False
        words = begin.split()
        if len(words) > _MOST_WORDS:
            return False
        if len(words) >= _SENTENCE and not self._is_long_name(begin, met):
            return False
        if len(words) >= _DEED and words[0].casefold() in _YOU:
            return False
        return not any(
            shown(" ".join(words[:-count])) in often for count in range(_DEED, len(words))
        )  # "Hare changed the group to: X" is about Hare

    def _is_long_name(self, begin: str, met: _Met) -> bool:
        """Whether so many words are a name: they come again, or they are one of two texts before colons at all."""
        if _bare(begin).casefold().startswith(_NOTICES):
            return False
        if met.said > 1 or len(self._met) != _PAIR:
            return met.said > 1
        return not any(begin.startswith(each) for each in self._met if each != begin)


def shown(name: str) -> str:
    """The sender as the phone shows them: who is not among its contacts has a tilde in front."""
    return _bare(name).removeprefix("~").strip()


def _is_stranger(name: str) -> bool:
    return _bare(name).startswith("~")


def _bare(name: str) -> str:
    return " ".join(_MARKS.sub("", name).split())


def breaks_off(text: str) -> bool:
    """Whether a quotation begins in a text and does not end there."""
    closing = ""
    for each in text:
        closing = ("" if each in closing else closing) if closing else _QUOTES.get(each, "")
    return bool(closing)


def quoted(text: str) -> str | None:
    """The first quotation in a text, without its marks."""
    for at, each in enumerate(text):
        if closing := _QUOTES.get(each):
            end = min((found for mark in closing if (found := text.find(mark, at + 1)) > 0), default=at)
            return _MARKS.sub("", text[at + 1 : end]).strip() or None
    return None
