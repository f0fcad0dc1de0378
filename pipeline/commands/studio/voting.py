"""Blind votes on the page: the same as `finetune compare` asks for, kept in the same file of the run."""

from pathlib import Path
from typing import Any

import msgspec

from pipeline.commands.compare import items_of, run_of
from pipeline.commands.context import as_it_is, say
from pipeline.errors import InputError
from pipeline.evaluation import votes
from pipeline.evaluation.votes import Item
from pipeline.wording import visible


class Ballot(msgspec.Struct, frozen=True):
    """What there is to vote on, with who gave each answer, which no page is told before the vote."""

    who: str
    items: list[Item]


def tell_ballot(config: Path) -> None:
    """Say the ballot of a run as one line of JSON: in a process of its own, for it asks the models.

    Raises:
        FinetuneError: there is nothing to compare, or the backend fails.
    """
    run = run_of(config, None)
    say(visible(msgspec.json.encode(Ballot(run.who, items_of(run, config))).decode()))


def read_ballot(line: str) -> Ballot:
    """What `tell_ballot` said."""
    return msgspec.json.decode(line, type=Ballot)


def next_item(config: Path, ballot: Ballot) -> dict[str, Any]:
    """The next one that nobody has voted on yet, and the count so far; without the sides of what is not voted on."""
    directory = as_it_is(config)[1].run_dir
    given = votes.read(directory)
    waiting = votes.open_items(ballot.items, given)
    sides = {side for item in ballot.items for side in item.sides} or None
    return {
        "who": ballot.who,
        "all": len(ballot.items),
        "waiting": len(waiting),
        "item": _shown(waiting[0]) if waiting else None,
        "standings": [msgspec.to_builtins(each) for each in votes.tally(given, sides)],
    }


def _shown(item: Item) -> dict[str, Any]:
    context = [{"role": each.role, "content": each.content} for each in item.context]
    return {"id": item.id, "context": context, "answers": list(item.answers)}


def cast(config: Path, ballot: Ballot, item: str, chosen: str) -> dict[str, Any]:
    """Keep a vote, and tell who gave which answer.

    Args:
        chosen: the place of the answer, from 0; "" for "I cannot tell".

    Raises:
        InputError: there is no such item or answer.
        OSError: the disk refuses.
    """
    meant = next((each for each in ballot.items if each.id == item), None)
    places = {str(place): place for place in range(len(meant.answers))} if meant else {}
    if meant is None or (chosen and chosen not in places):
        raise InputError("vote", "there is nothing of that kind to vote on", fix="Open the page again.")
    given = votes.vote(meant, places.get(chosen))
    votes.record(as_it_is(config)[1].run_dir, given)
    labels = [side.label for side in meant.sides]
    return {"labels": labels, "true": labels.index(votes.TRUE), "chosen": places.get(chosen)}
