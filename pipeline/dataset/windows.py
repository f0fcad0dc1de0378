"""From talks to examples that fit the model: cut at the longest pauses, each own turn a target exactly once.

The unit is the exchange: the others' turn and the own one after it. A talk that is too long is cut between exchanges;
what came just before a cut is repeated after it as context, whose own turns have weight 0.
"""

import itertools
import operator
from collections.abc import Callable, Iterator, Sequence

import msgspec

from pipeline.dataset.funnel import Lost, Tally, Turn


class Room(msgspec.Struct, frozen=True):
    """How much fits into an example.

    Attributes:
        tokens: in all, the template's own included.
        frame: what the template and the system prompt take in an example of so many exchanges.
        context: how many exchanges at most are repeated after a cut.
        count: the tokens of a text.
        alone: an example has one target, its last turn: for trainers that do not understand weights.
    """

    tokens: int
    frame: Callable[[int], int]
    context: int
    count: Callable[[str], int]
    alone: bool = False


class Window(msgspec.Struct):
    """One example: exchanges of a talk from `begin` to `end`; those before `first` are context only."""

    begin: int
    first: int
    end: int


class Talk(msgspec.Struct):
    """Turns that alternate, with the tokens of each; begins with the others', ends with an own one."""

    turns: list[Turn]
    tokens: list[int]


def windows(talk: Talk, room: Room, tally: Tally) -> Iterator[tuple[Talk, Window]]:
    """Yield the examples of a talk, each with the part of the talk that it is of; every turn is told to `tally`.

    An own turn that does not fit even alone is left out with what it answers; of a turn of the others that is too
    long, the end is kept.
    """
    for part in _parts_that_fit(talk, room, tally):
        turns = part.turns
        shown, learnt = bytearray(len(turns) // 2), bytearray(len(turns) // 2)
        for window in _windows(part, room):
            shown[window.begin : window.end] = b"\x01" * (window.end - window.begin)
            learnt[window.first : window.end] = b"\x01" * (window.end - window.first)
            yield part, window
        for exchange, is_shown in enumerate(shown):
            others, own = turns[2 * exchange], turns[2 * exchange + 1]
            if not is_shown:
                tally.left_out(Lost.NO_TARGET, others)
                tally.left_out(own.lost or Lost.NO_TARGET, own)
                continue
            tally.shown(others)
            if learnt[exchange] and own.lost is None:
                tally.learnt(own)
            else:
                tally.shown(own)


def _parts_that_fit(talk: Talk, room: Room, tally: Tally) -> Iterator[Talk]:
    """Cut out the exchanges that fit into no example; shorten the others' turns where that is enough."""
    most = room.tokens - room.frame(1)
    if sum(talk.tokens) <= most:  # nearly every one
        yield talk
        return
    begin = 0
    for own in range(1, len(talk.turns), 2):
        if talk.tokens[own - 1] + talk.tokens[own] <= most:
            continue
        if talk.tokens[own] < most and (shortened := _end_of(talk.turns[own - 1], most - talk.tokens[own], room)):
            talk.turns[own - 1].content, talk.tokens[own - 1] = shortened
            continue
        tally.left_out(Lost.TOO_LONG, talk.turns[own - 1])
        tally.left_out(Lost.TOO_LONG, talk.turns[own])
        if begin < own - 1:
            yield Talk(talk.turns[begin : own - 1], talk.tokens[begin : own - 1])
        begin = own + 1
    if begin < len(talk.turns):
        yield Talk(talk.turns[begin:], talk.tokens[begin:]) if begin else talk


def _end_of(turn: Turn, most: int, room: Room) -> tuple[str, int] | None:
    """The end of a turn that has at most so many tokens, and how many."""
    text, tokens = turn.content, room.count(turn.content)
    while tokens > most:
        text = text[len(text) - len(text) * most * 9 // (tokens * 10) :] if most else ""
        tokens = room.count(text) if text else 0
    return (text, tokens) if text else None


def _windows(talk: Talk, room: Room) -> Iterator[Window]:
    exchanges = len(talk.turns) // 2
    sums: list[int] = list(itertools.accumulate(map(operator.add, talk.tokens[::2], talk.tokens[1::2]), initial=0))

    def fits(begin: int, end: int) -> bool:
        contents = sums[end] - sums[begin]
        return contents < room.tokens and contents + room.frame(end - begin) <= room.tokens

    pauses = [turn.pause_s for turn in talk.turns[::2]]
    for begin, end in [(n, n + 1) for n in range(exchanges)] if room.alone else _cut(pauses, fits):
        learnt = [number for number in range(begin, end) if talk.turns[2 * number + 1].lost is None]
        if not learnt:
            continue
        end = learnt[-1] + 1  # what comes after the last target teaches nothing
        earliest = begin
        while earliest > max(0, begin - room.context) and fits(earliest - 1, end):
            earliest -= 1
        yield Window(earliest, begin, end)


def _cut(pauses: Sequence[float], fits: Callable[[int, int], bool]) -> Iterator[tuple[int, int]]:
    """Cut exchanges into stretches that fit, in order.

    Each cut is at the longest pause in the middle half, so that no crumbs are left; among equals, nearest the middle.
    """
    waiting = [(0, len(pauses))]
    while waiting:
        begin, end = waiting.pop()
        if end - begin == 1 or fits(begin, end):
            yield begin, end
            continue
        middle, margin = (begin + end) / 2, max(1, (end - begin) // 4)
        cut = max(range(begin + margin, end - margin + 1), key=lambda at: (pauses[at], -abs(at - middle)))
        waiting += [(cut, end), (begin, cut)]
