"""What must be known of a whole archive before its first example is written: how much there is, and what repeats."""

import math
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from pipeline.dataset.copies import Copies
from pipeline.dataset.funnel import Lost, Tally, Turn
from pipeline.dataset.turns import Rules, talks
from pipeline.sessions.session import Message, Session
from pipeline.sessions.stream import Stream

_SHELF = 100_000  # keys counted at once: a table of all would be large
_DRAWN_OUT = re.compile(r"(.)\1\1+|(..)\2\2+")  # "soooo", "hahaha"
_SHORT_ENOUGH_TO_DRAWL = 40  # characters
_REPEATED = re.compile(r"(.{1,8}?)\1+")  # emoji may have several characters
_SHORT, _ANY = 0, 1
_ASCII_REST = bytes(code for code in range(128) if not chr(code).isalnum())


class _LettersAndDigits(dict[int, int | None]):
    """For str.translate: everything else goes."""

    def __missing__(self, code: int) -> int | None:
        self[code] = code if chr(code).isalnum() else None
        return self[code]


_LETTERS = _LettersAndDigits()


class Limits(msgspec.Struct, frozen=True):
    """What keeps targets varied.

    Attributes:
        same_target: how often the same words may be a target; None for any number.
        short_characters: targets up to this length are very short,
        short_share: and no more than this part of all targets.
        conversation_share: the part of all targets that may come from one conversation.
        held_out: the part of each conversation's talks, its last, that goes to the validation file,
        fewest_held_out: if that makes so many targets; else nothing does.
    """

    same_target: int | None
    short_characters: int
    short_share: float
    conversation_share: float
    held_out: float
    fewest_held_out: int = 0


class Conversation(msgspec.Struct, frozen=True):
    """What to do with the talks of one conversation.

    Attributes:
        session: without its messages.
        others: who speaks in it besides the assistant, in order.
        skipped: its first talks, left out until they held so many targets.
        trained: its talks before this one are for training, the others for validation.
    """

    session: Session
    others: list[str]
    skipped: int
    trained: int


class Choice:
    """Decides talk by talk, in the archive's order, what is a target.

    Args:
        keys: of all turns that could be learnt, what `_key` says.
    """

    def __init__(
        self, limits: Limits, conversations: list[Conversation], keys: "array[int]", copies: Copies | None = None
    ) -> None:
        self._limits = limits
        self.conversations = conversations
        self._keys = iter(keys)
        self._copies = copies
        self._repeated = {} if limits.same_target is None else _repeated(keys, limits.same_target)
        self._kept = self._kept_short = 0

    def pass_over(self, own: int) -> None:
        """So many turns that could be learnt are in no example."""
        for _ in range(own):
            next(self._keys)

    def choose(self, turns: Iterable[Turn], *, held_out: bool) -> None:
        """Set `lost` on the own turns that are not to be learnt, or to be measured with."""
        for turn in turns:
            if turn.is_own and turn.lost is None:
                turn.lost = self.next_lost()
                if turn.lost is None and held_out and self._copies is not None and self._copies.has(turn.content):
                    turn.lost = Lost.COPIED

    def next_lost(self) -> Lost | None:
        """Why the next turn that could be learnt is not; None if it is."""
        key = next(self._keys)
        if key == _SHORT:
            if self._kept_short + 1 > self._limits.short_share * (self._kept + 1):
                return Lost.SHORT
            self._kept_short += 1
        elif key in self._repeated:
            self._repeated[key] += 1
            if self._repeated[key] > (self._limits.same_target or 0):
                return Lost.SAME
        self._kept += 1
        return None


def survey(streams: Iterable[Stream], rules: Rules, limits: Limits) -> Choice:
    """Read an archive once, and say how to choose from it."""
    keys, targets, spoken, said = array("q"), array("q"), array("q"), array("q")
    copies = Copies() if limits.held_out else None
    found: list[tuple[Session, list[str]]] = []
    for session, blocks in streams:
        others: dict[str, None] = {}
        own = talked = 0
        for turns in talks(Stream(session, _listed(blocks, others)), rules, Tally()):
            talked += 1
            learnt = [turn.content for turn in turns if turn.is_own and turn.lost is None]
            own += len(learnt)
            keys.extend(_key(content, limits) for content in learnt)
            said.append(len(learnt))
            if copies is not None:
                for content in learnt:
                    copies.add(content)
        targets.append(own)
        spoken.append(talked)
        found.append((session, list(others)))
    held_out = _held_out(spoken, limits)
    if (
        copies is not None
        and _measured(copies, held_out, spoken, said, Choice(limits, [], keys)) < limits.fewest_held_out
    ):
        held_out, copies = [0] * len(held_out), None
    skipped = _skipped(targets, limits)
    conversations = [
        Conversation(*known, skip, talked - held)
        for known, skip, talked, held in zip(found, skipped, spoken, held_out, strict=True)
    ]
    return Choice(limits, conversations, keys, copies)


def words_of(content: str) -> int:
    """A number that is the same for texts that differ in case, punctuation, spaces, emoji or "soooo" only.

    For texts without words, for those that differ in how often they say the same.
    """
    if content.isascii():
        words = content.encode().lower().translate(None, _ASCII_REST).decode()
    else:
        words = content.casefold().translate(_LETTERS)
    if len(words) <= _SHORT_ENOUGH_TO_DRAWL:
        words = _DRAWN_OUT.sub(r"\1\2", words) if _DRAWN_OUT.search(words) else words
    return hash(words or _REPEATED.sub(r"\1", "".join(content.split())) or content)


def _key(content: str, limits: Limits) -> int:
    """_SHORT for what is very short, else the same number for the same words, where those are counted."""
    if len(content) <= limits.short_characters:
        return _SHORT
    return _ANY if limits.same_target is None else words_of(content)


def _listed(blocks: Iterable[list[Message]], others: dict[str, None]) -> Iterator[list[Message]]:
    for block in blocks:
        others.update(dict.fromkeys([message.sender for message in block if message.role != "assistant"]))
        yield block


def _repeated(keys: "array[int]", most: int) -> dict[int, int]:
    """What is there more than `most` times; the values count from 0."""
    found: dict[int, int] = {}
    shelves = len(keys) // _SHELF + 1
    for shelf in range(shelves):
        counts = Counter(key for key in keys if key % shelves == shelf)
        found.update({key: 0 for key, count in counts.items() if count > most})
    return found


def _skipped(targets: "array[int]", limits: Limits) -> list[int]:
    """How many targets each conversation skips: its share is capped, of those that remain, where there are several."""
    total = sum(targets)
    allowed = [
        math.floor(limits.conversation_share / (1 - limits.conversation_share) * (total - own) + 1e-9)
        if limits.conversation_share < 1 and own < total
        else own
        for own in targets
    ]
    return [max(0, own - most) for own, most in zip(targets, allowed, strict=True)]


def _held_out(spoken: "array[int]", limits: Limits) -> list[int]:
    """How many talks of each conversation, its last, are held out; `spoken` is how many it has."""
    held_out = [round(talked * limits.held_out) for talked in spoken]
    if limits.held_out and not any(held_out) and sum(spoken) > 1:
        held_out[spoken.index(max(spoken))] = 1
    return held_out


def _measured(copies: Copies, held_out: list[int], spoken: "array[int]", said: "array[int]", choice: Choice) -> int:
    """How many targets are held out, without copies of what is learnt.

    Args:
        held_out, spoken: talks of each conversation.
        said: targets of each talk, of one conversation after the other.
        choice: used up.
    """
    talk_is_held = (
        number >= talked - held for talked, held in zip(spoken, held_out, strict=True) for number in range(talked)
    )
    is_held = array("q")
    for count, held in zip(said, talk_is_held, strict=True):
        is_held.extend([held] * count)
    return sum(
        choice.next_lost() is None and held and not copied
        for held, copied in zip(is_held, copies.compare(is_held), strict=True)
    )
