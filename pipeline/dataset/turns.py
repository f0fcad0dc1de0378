"""From the messages of one conversation to talks: turns that alternate, from a pause to the next. Pure functions.

A talk begins with the others' turn and ends with an own one. Own turns are the targets; everything is arranged so that
each of them is one exactly once.
"""

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec

from pipeline.dataset.funnel import Lost, Tally, Turn
from pipeline.sessions.session import Message, Session
from pipeline.sessions.stream import Stream


class Rules(msgspec.Struct, frozen=True):
    """How messages become talks.

    Attributes:
        session_gap_s: a pause longer than this ends a talk.
        burst_gap_s: own messages further apart are no longer one turn: the later begins a talk.
        opening: stands for the others' turn where the owner speaks first; None leaves such turns out.
        clean: what becomes of a message's content; the reason if it must not be used.
        called: what becomes of a name.
    """

    session_gap_s: float
    burst_gap_s: float
    opening: str | None
    clean: Callable[[str], str | Lost]
    called: Callable[[str], str] | None = None

    def name(self, session: Session, sender: str) -> str:
        """What to call a sender."""
        name = session.name_of(sender)
        return name if self.called is None else self.called(name)


def talks(stream: Stream, rules: Rules, tally: Tally) -> Iterator[list[Turn]]:
    """Yield the talks of a mapped session, in order of time: the others' turn, an own one, and so on.

    `tally` is told of the turns that are in none. In a group every message of the others begins with its sender's name.
    What an own message replies to across a pause is the others' turn before it.
    """
    session, blocks = stream
    turns: list[Turn] = []
    said: list[str] = []  # the messages of the last turn, joined once: a group may write thousands in a row
    end: float | None = None
    for message in itertools.chain.from_iterable(blocks):
        begin = _seconds(message.time)
        pause = 0.0 if begin is None or end is None else begin - end
        # A merged message lasts until its last part; what has no time leaves the end where it was.
        if message.until:
            end = _seconds(message.until)
        elif begin is not None:
            end = begin
        # After so long a pause people begin anew: an answer to what was said before it would be learnt as one.
        if pause > rules.session_gap_s and turns:
            yield from _closed(turns, said, tally)
            turns = []
        is_own = message.role == "assistant"
        content = rules.clean(message.content)
        count = message.merged or 1
        if isinstance(content, Lost):
            tally.left_out(content, Turn(is_own, message.content, count))
            continue
        # In a group only the name tells the others apart, who share one role.
        if not is_own and session.kind == "group":
            content = f"{rules.name(session, message.sender)}: {content}"
        if turns and turns[-1].is_own == is_own:
            last = turns[-1]
            # The others may take their time: whatever they say before the answer is what is answered. An own message
            # after a while is no longer the same turn, and nothing of the others' stands before it: a talk begins.
            if not is_own or pause <= rules.burst_gap_s:
                if is_own and message.is_borrowed != (last.lost == Lost.BORROWED):
                    _keep_own_words(turns, said, Turn(is_own, content, count, last.pause_s), message, tally)
                    continue
                said.append(content)
                last.count += count
                if message.only_context is not True:
                    last.lost = None
                continue
            yield from _closed(turns, said, tally)
            turns = []
        turn = Turn(is_own, content, count, pause)
        if is_own and message.only_context is True:
            turn.lost = Lost.BORROWED if message.is_borrowed else Lost.NOTHING_SAID
        # A talk begins with the others' turn: what is replied to, or a word that stands for nothing said.
        if is_own and not turns:
            quoted = rules.clean(message.reply_to) if message.reply_to else rules.opening
            opening = rules.opening if isinstance(quoted, Lost) else quoted
            if opening is None:
                tally.left_out(Lost.OPENING, turn)
                continue
            turns.append(Turn(False, opening, 0, pause))
            turn.pause_s = 0.0
        _join(turns, said)
        turns.append(turn)
        said.append(content)
    if turns:
        yield from _closed(turns, said, tally)


def _keep_own_words(turns: list[Turn], said: list[str], turn: Turn, message: Message, tally: Tally) -> None:
    """Of what somebody forwarded and what they said before or after it, leave the latter: a turn is learnt whole."""
    if message.is_borrowed:
        tally.left_out(Lost.BORROWED, turn)
        return
    _join(turns, said)
    tally.left_out(Lost.BORROWED, turns.pop())
    if message.only_context is True:
        turn.lost = Lost.NOTHING_SAID
    turns.append(turn)
    said.append(turn.content)


def _closed(turns: list[Turn], said: list[str], tally: Tally) -> Iterator[list[Turn]]:
    """The talk without its end that nobody answered, if anything is left."""
    _join(turns, said)
    if not turns[-1].is_own:
        tally.left_out(Lost.UNANSWERED, turns.pop())
    if turns:
        yield turns


def _join(turns: list[Turn], said: list[str]) -> None:
    """Give the last turn all that was said in it, and forget that."""
    if len(said) > 1:
        turns[-1].content = "\n".join(said)
    said.clear()


def _seconds(time: str | None) -> float | None:
    return None if time is None else datetime.fromisoformat(time).timestamp()
