"""Rows in any order come out by time, whether they were held as they are or compressed."""

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from pipeline.archives.in_order import InOrder, Row
from pipeline.sessions.session import Message

TIMES = st.lists(st.lists(st.integers(0, 30), max_size=8), max_size=8)


def rows_of(batches: list[list[int]]) -> list[list[Row]]:
    places = iter(range(1000))
    return [[(at, next(places), 0, Message("Ada", False, None, f"said at {at}")) for at in batch] for batch in batches]


@given(TIMES, st.integers(0, 10), st.integers(10, 500))
def test_what_goes_in_comes_out_by_time(batches: list[list[int]], held: int, characters: int) -> None:
    made = rows_of(batches)
    with patch("pipeline.archives.in_order.ROWS", held), patch("pipeline.archives.in_order.CHARACTERS", characters):
        order = InOrder()
        for batch in made:
            order.add(batch)
        found = [row for portion in order.portions() for row in portion]
    assert found == sorted((row for batch in made for row in batch), key=lambda row: row[:2])


@given(st.integers(1, 40))
def test_portions_of_an_export_that_is_newest_first_are_small(count: int) -> None:
    with patch("pipeline.archives.in_order.ROWS", 4):
        order = InOrder()
        for batch in rows_of([[count - number] for number in range(count)]):
            order.add(batch)
        assert max(len(portion) for portion in order.portions()) <= 5
