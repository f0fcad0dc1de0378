"""One of a thing is not called several."""

import pytest

from pipeline.counted import counted


@pytest.mark.parametrize(
    ("number", "noun", "plural", "said"),
    [
        (0, "session", None, "0 sessions"),
        (1, "session", None, "1 session"),
        (1234, "session", None, "1,234 sessions"),
        (1, "person", "people", "1 person"),
        (2, "person", "people", "2 people"),
    ],
)
def test_a_number_stands_with_its_noun(number: int, noun: str, plural: str | None, said: str) -> None:
    assert counted(number, noun, plural) == said
