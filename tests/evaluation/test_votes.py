"""Blind votes: the order tells nothing, what was voted is kept, and the count says how sure it is."""

import stat
from pathlib import Path

import msgspec
import pytest

from pipeline.evaluation import votes
from pipeline.evaluation.journal import Journal
from pipeline.evaluation.votes import TRUE, Side, Vote
from tests.evaluation.people import Doll, replies

SIDES = (Side(TRUE, ""), Side("base", "small"), Side("tuned", "ft:small:theo"))
SAID = replies([f"true {number}" for number in range(40)])
ITEMS = votes.pairs(SAID, {side: [f"{side.label} {number}" for number in range(40)] for side in SIDES})


def test_every_side_stands_in_every_place_and_always_in_the_same_for_the_same_item() -> None:
    places = {(item.sides[at], at) for item in ITEMS for at in range(3)}
    assert len(places) == 9
    again = votes.pairs(SAID, {side: [f"{side.label} {number}" for number in range(40)] for side in reversed(SIDES)})
    assert again == ITEMS
    assert len({item.id for item in ITEMS}) == 40
    assert all(
        text.startswith(side.label) for item in ITEMS for text, side in zip(item.answers, item.sides, strict=True)
    )


def test_where_two_say_the_same_there_is_nothing_to_vote_on() -> None:
    said = {SIDES[0]: ["yes", "no"], SIDES[1]: ["Yes ", "maybe"]}
    assert [item.answers for item in votes.pairs(SAID[:2], said)] in ([("no", "maybe")], [("maybe", "no")])


def test_what_a_second_run_has_learnt_is_no_test_for_it() -> None:
    assert len(votes.contexts(SAID, 30)) == 30
    assert votes.contexts(SAID, 30) == votes.contexts(SAID, 40)[:30]
    assert not {reply.text for reply in votes.contexts(SAID, 40, SAID[:10])} & {reply.text for reply in SAID[:10]}


def test_a_side_is_asked_once_for_each_context_with_the_prompt_it_was_trained_with(tmp_path: Path) -> None:
    told: list[str] = []
    doll = Doll(lambda model, context, _: told.append(context[0].content) or f"{model} says", None)  # type: ignore[func-returns-value]
    for _ in range(2):
        with Journal(tmp_path / votes.ANSWERS, "1") as journal:
            said = votes.answers(
                SIDES[2], SAID[:3], doll, journal, system="You are she.", temperature=0.8, show=lambda *_: None
            )
            assert said == ["ft:small:theo says"] * 3
    assert told == ["You are she."] * 3


def test_a_model_that_is_not_served_says_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path / votes.ANSWERS, "1") as journal:
        doll = Doll(lambda *_: None, None)
        found = votes.answers(SIDES[1], SAID, doll, journal, system=None, temperature=0.8, show=lambda *_: None)
    assert found is None


def test_votes_are_kept_for_the_owner_alone_and_the_last_on_an_item_counts(tmp_path: Path) -> None:
    for item, chosen in ((ITEMS[0], 0), (ITEMS[1], 1), (ITEMS[2], None), (ITEMS[0], 2)):
        votes.record(tmp_path, votes.vote(item, chosen))
    assert stat.S_IMODE((tmp_path / votes.VOTES).stat().st_mode) == 0o600
    assert [given.item for given in votes.read(tmp_path)] == [ITEMS[1].id, ITEMS[2].id, ITEMS[0].id]
    assert votes.read(tmp_path)[-1].chosen == ITEMS[0].sides[2].label
    assert votes.open_items(ITEMS, votes.read(tmp_path)) == ITEMS[3:]
    assert b"true 0" not in (tmp_path / votes.VOTES).read_bytes()


def test_a_vote_after_a_line_that_a_kill_cut_short_is_kept(tmp_path: Path) -> None:
    votes.record(tmp_path, votes.vote(ITEMS[0], 0))
    with (tmp_path / votes.VOTES).open("ab") as file:
        file.write(b'{"item": "a')
    votes.record(tmp_path, votes.vote(ITEMS[1], 0))
    assert [given.item for given in votes.read(tmp_path)] == [ITEMS[0].id, ITEMS[1].id]


def test_the_count_is_of_votes_among_the_same_models_that_chose_one() -> None:
    among = {side.label: side.model for side in SIDES}
    given = [Vote(str(number), who, among) for number, who in enumerate(["tuned", "tuned", TRUE, None])]
    given.append(Vote("other", "base", {**among, "tuned": "ft:small:later"}))
    count = votes.tally(given, SIDES)
    assert [(each.label, each.chosen, each.votes) for each in count] == [("tuned", 2, 3), (TRUE, 1, 3), ("base", 0, 3)]
    assert [each.chosen for each in votes.tally(given)] == [1, 0, 0]
    assert votes.tally([]) == []
    assert msgspec.json.decode(msgspec.json.encode(count))[0]["share"]["value"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("chosen", "of", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
)
def test_the_interval_is_wilsons(chosen: int, of: int, low: float, high: float) -> None:
    """By the formula of Wilson's score interval, at z = 1.96; at 0 and all of ten it does not shrink to a point."""
    found = votes.wilson(chosen, of)
    assert found is not None
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-4)
