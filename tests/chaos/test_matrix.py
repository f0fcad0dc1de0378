"""The rows of the crash matrix that every change is tested with; `make chaos` runs all of it."""

import itertools
from typing import get_args

import pytest

from pipeline.failpoints import Point
from tests.chaos.harness import Lab
from tests.chaos.matrix import EVERY_CHANGE, Row, first_answers
from tests.chaos.mutants import MUTANTS
from tests.chaos.mutation import CAUGHT_BY, catch
from tests.chaos.rows import control, play

SHARDS = 6
LONG = ("T1", "T4", "T7", "T8", "T10", "T17")


@pytest.mark.parametrize(
    ("row", "shard", "of"),
    [(row, shard, SHARDS if row.name in LONG else 1) for row in EVERY_CHANGE for shard in range(SHARDS)
     if row.name in LONG or shard == 0],
    ids=lambda value: value.what if isinstance(value, Row) else str(value),
)  # fmt: skip
def test_nothing_is_lost_and_nothing_is_paid_twice(lab: Lab, row: Row, shard: int, of: int) -> None:
    chosen = itertools.islice(row.cases(lab), shard * row.every, None, row.every * of)
    assert play(lab, chosen) == []


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_answer_of_a_backend_costs_a_second_job(lab: Lab, shard: int) -> None:
    assert play(lab, first_answers(lab)[shard::SHARDS]) == []


def test_every_failpoint_is_reached(lab: Lab) -> None:
    """A point that no scenario reaches is a crash that nobody has tried."""
    reached = set(lab.reference.trace)
    with lab.world() as world:
        world.server.down = lambda: True
        reached |= set(world.run().trace)
    assert reached == set(get_args(Point))


def test_the_usual_script_pays_twice_in_this_harness(lab: Lab) -> None:
    """The control: the harness can fail."""
    problems = play(lab, control(lab))
    assert sum("P1: billed 2 jobs" in problem for problem in problems) >= 5
    assert sum("P2: 2 copies" in problem for problem in problems) >= 5


def test_a_mutant_is_caught(lab: Lab) -> None:
    assert catch(lab, "no sweep") == "T3 first job.create: duplicate delivery: P1: billed 2 jobs"


def test_every_mutant_has_a_scenario_that_catches_it() -> None:
    assert set(MUTANTS) == set(CAUGHT_BY)
    assert len(MUTANTS) >= 14
