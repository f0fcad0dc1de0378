"""A sample of the faults in crash_points.py; FINETUNE_CHAOS=1 tries them all, as `make chaos` does."""

import os
from collections.abc import Iterator

import pytest

from tests.server.crash_points import ROWS, WHY_NOT, Fault, Lab, faults, laboratory, play

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
SAMPLE = 4  # scenarios a row
ALL = "FINETUNE_CHAOS" in os.environ


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with laboratory() as opened:
        yield opened


@pytest.mark.parametrize("row", ROWS)
def test_what_was_accepted_survives_and_no_job_succeeds_twice(lab: Lab, row: str) -> None:
    cases = faults(lab, row)
    assert len(cases) > 40
    if not ALL:
        step = len(cases) // SAMPLE
        cases = cases[step // 2 :: step]

    assert play(lab, cases) == []


def test_a_server_that_recovers_nothing_is_found_out(lab: Lab) -> None:
    middle = Fault("server", len(lab.count("server")) * 2 // 3)

    assert lab.play(middle, mutant="recovers nothing", patience_s=3) == [f"{middle}: the job stays running"]
