"""Kill it anywhere, run it again: nothing lost, nothing paid twice."""

import itertools

import pytest

from tests.chaos.harness import Lab
from tests.chaos.rows import kills, play

SHARDS = 8


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_run_killed_at_any_point_goes_on_as_if_nothing_had_happened(lab: Lab, shard: int) -> None:
    assert play(lab, itertools.islice(kills(lab), shard, None, SHARDS)) == []
