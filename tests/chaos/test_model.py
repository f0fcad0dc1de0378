"""Any order of trouble: Hypothesis chooses, and shrinks what it finds to a few lines."""

import pytest

from tests.chaos.harness import Lab
from tests.chaos.model import search

EXAMPLES = 40


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_in_whatever_order_nothing_is_paid_twice(lab: Lab, seed: int) -> None:
    assert search(lab, seed, EXAMPLES) == []
