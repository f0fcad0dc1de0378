"""Blind comparison: what the person said and what models say to the same, in an order that tells nothing; votes on it.

Nothing here prints or waits for a key, so that a terminal and a page in a browser can ask for the same votes.
"""

import hashlib
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

from pipeline.durable import open_file, reading, sync_fd
from pipeline.evaluation import plan
from pipeline.evaluation.asking import Models
from pipeline.evaluation.journal import Journal
from pipeline.evaluation.record import Measured
from pipeline.evaluation.replies import Reply
from pipeline.models.messages import ChatMessage

VOTES = "11_votes.jsonl"
ANSWERS = "11_compared.jsonl"
TRUE = "true reply"
"""The label of what was really said."""

_SEED = 23
_Z = 1.959964  # of a 95 % interval


class Side(NamedTuple):
    """Something that answers: what it is called in the count, and the model's name; "" for the person."""

    label: str
    model: str


class Item(NamedTuple):
    """A context and the answers to it, shuffled.

    Attributes:
        id: the same for the same context and answers' models.
        sides: who gave each of `answers`; not to be shown before the vote.
    """

    id: str
    context: tuple[ChatMessage, ...]
    answers: tuple[str, ...]
    sides: tuple[Side, ...]


class Vote(msgspec.Struct, frozen=True):
    """Which of the answers to an item was taken for the person's; no word of a chat.

    Attributes:
        chosen: a label; None where the voter could not tell.
        among: the model of each label that there was to choose from.
    """

    item: str
    chosen: str | None
    among: dict[str, str]


class Standing(msgspec.Struct, frozen=True):
    """How often a side was chosen, of all votes that chose one; `share` with its interval, None without votes."""

    label: str
    model: str
    chosen: int
    votes: int
    share: Measured | None


def contexts(held_out: Sequence[Reply], count: int, trained: Collection[Reply] = ()) -> list[Reply]:
    """The replies to compare with: always the same ones for the same run, the first ones again if more are wanted.

    Args:
        trained: what a second run learnt, which would be no test for it.
    """
    learnt = {(reply.bare[-1].content, reply.text) for reply in trained}
    fresh = [reply for reply in held_out if (reply.bare[-1].content, reply.text) not in learnt]
    return Random(_SEED).sample(fresh, len(fresh))[:count]


def answers(
    side: Side,
    replies: Sequence[Reply],
    models: Models,
    journal: Journal,
    *,
    system: str | None,
    temperature: float,
    show: Callable[[int, int, str], None],
) -> list[str] | None:
    """What a side says to each context; what was asked before is taken from the journal.

    Args:
        system: what the model is told, as in its training.

    Returns:
        None where the backend does not serve the model.

    Raises:
        FinetuneError: the backend fails.
    """
    if not side.model:
        return [reply.text for reply in replies]
    most = plan.most_tokens([reply.text for reply in replies])
    found = []
    for number, reply in enumerate(replies):
        show(number, len(replies), f"answers of {side.label}")
        told = (ChatMessage("system", system), *reply.bare) if system else reply.bare
        key = _digest(side.model, str(temperature), *(each.content for each in told))
        if key not in journal:
            said = models.answer(side.model, told, temperature=temperature, most_tokens=most, seed=_SEED)
            if said is None:
                return None
            journal.keep(key, said.text)
        found.append(str(journal[key]))
    return found


def pairs(replies: Sequence[Reply], said: Mapping[Side, Sequence[str]]) -> list[Item]:
    """The items to vote on; those where two sides say the same are left out, for a vote would tell nothing."""
    sides = sorted(said)
    found = []
    for number, reply in enumerate(replies):
        texts = [said[side][number].strip() for side in sides]
        if len({text.casefold() for text in texts}) < len(texts):
            continue
        words = [each.content for each in reply.bare]
        name = _digest(*(side.model for side in sides), *words, reply.text)[:12]
        order = Random(name).sample(range(len(sides)), len(sides))
        found.append(Item(name, reply.bare, tuple(texts[at] for at in order), tuple(sides[at] for at in order)))
    return found


def vote(item: Item, chosen: int | None) -> Vote:
    """For the answer of that place, from 0; None for "I cannot tell"."""
    among = {side.label: side.model for side in item.sides}
    return Vote(item.id, None if chosen is None else item.sides[chosen].label, among)


def record(run_dir: Path, given: Vote) -> None:
    """Add a vote to those of the run; it is on the disk on return.

    Raises:
        OSError: the disk refuses.
    """
    fd = open_file(run_dir / VOTES, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        end = os.lseek(fd, 0, os.SEEK_END)
        # A line that a kill cut short is ended first, or this vote would be lost with it.
        torn = b"\n" if end and os.pread(fd, 1, end - 1) != b"\n" else b""
        left = memoryview(torn + msgspec.json.encode(given) + b"\n")
        while left:
            left = left[os.write(fd, left) :]
        sync_fd(fd)
    finally:
        os.close(fd)


def read(run_dir: Path) -> list[Vote]:
    """All votes of a run, the last one on each item; lines that are none are passed over."""
    found: dict[str, Vote] = {}
    try:
        with reading(run_dir / VOTES) as file:
            for line in file:
                for given in _votes_in(line):
                    found.pop(given.item, None)
                    found[given.item] = given
    except FileNotFoundError:
        return []
    return list(found.values())


def _votes_in(line: bytes) -> Iterator[Vote]:
    try:
        yield msgspec.json.decode(line, type=Vote)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return


def open_items(items: Sequence[Item], votes: Sequence[Vote]) -> list[Item]:
    """Those that nobody has voted on yet."""
    done = {given.item for given in votes}
    return [item for item in items if item.id not in done]


def tally(votes: Sequence[Vote], sides: Collection[Side] | None = None) -> list[Standing]:
    """Count the votes, the most chosen first.

    Args:
        sides: count only votes among exactly these; None for those of the last vote.
    """
    among = {side.label: side.model for side in sides} if sides is not None else (votes[-1].among if votes else {})
    counted = [given for given in votes if given.among == among and given.chosen is not None]
    found = [
        Standing(
            label,
            model,
            chosen=(chosen := sum(given.chosen == label for given in counted)),
            votes=len(counted),
            share=wilson(chosen, len(counted)),
        )
        for label, model in among.items()
    ]
    return sorted(found, key=lambda standing: (-standing.chosen, standing.label))


def wilson(chosen: int, votes: int) -> Measured | None:
    """A share with its 95 % interval (Wilson 1927, which holds for few votes, too); None without votes."""
    if not votes:
        return None
    share = chosen / votes
    below = 1 + _Z**2 / votes
    middle = (share + _Z**2 / (2 * votes)) / below
    spread = _Z / below * math.sqrt(share * (1 - share) / votes + _Z**2 / (4 * votes**2))
    return Measured(share, max(0.0, middle - spread), min(1.0, middle + spread))


def _digest(*parts: str) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
