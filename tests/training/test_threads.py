"""How many threads a training computes with."""

import itertools

import pytest

from pipeline.training.threads import LONGEST_WAIT, Pace


@pytest.mark.parametrize(
    ("cores", "free", "threads"),
    [(2, 0.3, 1), (2, 0.5, 2), (2, 1.0, 2), (8, 2.6, 4), (8, 7.0, 8), (4, 9.0, 4), (1, 0.9, 1)],
)
def test_free_cores_are_taken_half_of_one_is_enough(cores: int, free: float, threads: int) -> None:
    pace = Pace(cores)
    pace.after_step(granted=0.95, free=free)
    assert pace.threads == threads


def test_the_second_core_is_kept_while_it_is_granted() -> None:
    pace = Pace(2)
    for granted in (0.98, 1.9, 1.6, 1.95):
        pace.after_step(granted, free=0.5)
        assert pace.threads == 2


def test_threads_that_are_kept_waiting_give_way_at_once() -> None:
    pace = Pace(8)
    pace.after_step(granted=1.0, free=7.0)
    pace.after_step(granted=3.2, free=0.0)
    assert pace.threads == 3


def test_where_another_thread_never_goes_well_it_is_tried_more_and_more_seldom() -> None:
    pace, attempts = Pace(2), []
    for step in range(200):
        pace.after_step(granted=1.0, free=0.6)
        if pace.threads == 2:
            attempts.append(step)
    gaps = [after - before for before, after in itertools.pairwise(attempts)]
    assert gaps[:5] == [3, 4, 6, 10, 18]
    assert max(gaps) == gaps[-1] == LONGEST_WAIT + 2


def test_after_a_step_that_went_well_the_next_attempt_is_soon() -> None:
    pace = Pace(2)
    for granted in (1.0, 1.0, 1.0, 1.0, 1.9, 1.0):  # the second attempt holds for a step
        pace.after_step(granted, free=0.6)
    waited = 0
    while pace.threads == 1:
        pace.after_step(1.0, free=0.6)
        waited += 1
    assert waited == 2
