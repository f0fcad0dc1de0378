"""How much is asked follows from how long it takes, and what it may cost."""

import json
from pathlib import Path

import pytest

from pipeline.evaluation import plan
from pipeline.evaluation.plan import LEAST, WISHED, Pace, Prices


def test_all_that_is_wished_for_is_asked_where_there_is_time_and_never_less_than_tells_something() -> None:
    assert plan.within(Pace(0.1, 0.02), 120.0) == WISHED
    assert plan.within(Pace(30.0, 9.0), 120.0) == LEAST
    between = plan.within(Pace(0.4, 0.1), 120.0)
    assert LEAST.answers < between.answers < WISHED.answers
    assert plan.seconds_of(between, Pace(0.4, 0.1)) <= 120.0
    assert plan.within(Pace(0.4, None), 120.0).answers > between.answers


def test_what_it_costs_grows_with_what_is_asked() -> None:
    prices = Prices(read=3.0, written=12.0)
    least, wished = (plan.cost_of(counts, prices, 200.0, 64) for counts in (LEAST, WISHED))
    assert 0 < least < wished < 1.0


@pytest.mark.parametrize(("length", "tokens"), [(1, 32), (160, 69), (5000, 96)])
def test_an_answer_may_be_half_as_long_again_as_the_persons_long_ones(length: int, tokens: int) -> None:
    assert plan.most_tokens(["x" * length] * 20) == tokens


def test_a_pause_is_no_part_of_the_training(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps({"created_at": at}) + "\n" for at in (100, 130, 160, 90_000, 90_010)))
    assert plan.training_seconds(path) == 30 + 30 + 60 + 10
    assert plan.training_seconds(None) == 0.0
