import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dataset.split import validation_ids

IDS = st.lists(st.text(max_size=4), unique=True, max_size=30)
FRACTIONS = st.floats(0, 0.5)


@given(IDS, FRACTIONS)
def test_as_many_are_chosen_as_the_fraction_says(ids: list[str], fraction: float) -> None:
    chosen = validation_ids(ids, fraction)
    at_least = 1 if fraction > 0 and len(ids) >= 2 else 0
    assert len(chosen) == max(round(len(ids) * fraction), at_least)
    assert chosen <= set(ids)


@given(IDS, FRACTIONS, st.randoms())
def test_the_choice_does_not_depend_on_order(ids: list[str], fraction: float, rng: random.Random) -> None:
    shuffled = rng.sample(ids, len(ids))
    assert validation_ids(shuffled, fraction) == validation_ids(ids, fraction)


def test_the_choice_is_the_same_in_every_version() -> None:
    assert validation_ids([f"chat-{n}" for n in range(10)], 0.2) == {"chat-4", "chat-5"}


@pytest.mark.parametrize(("count", "fraction"), [(0, 0.5), (1, 0.5), (10, 0.0)])
def test_training_is_never_left_without_examples(count: int, fraction: float) -> None:
    assert validation_ids([str(n) for n in range(count)], fraction) == frozenset()
