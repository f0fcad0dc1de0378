"""Held-out replies that training has nearly word for word."""

from array import array

import pytest

from pipeline.dataset.copies import RUN, Copies

LONG = "I will be at the old harbour at nine, bring the blue folder and some coffee for everybody please"


def copied(learnt: str, held_out: str) -> bool:
    copies = Copies()
    copies.add(learnt)
    copies.add(held_out)
    first, second = copies.compare(array("q", [0, 1]))
    assert (first, second) == (copies.has(learnt), copies.has(held_out))
    return second


@pytest.mark.parametrize(
    "held_out",
    [
        LONG,
        LONG.upper().replace(",", " ... "),
        "Well, as I said, " + " ".join(LONG.split()[3 : 3 + RUN]) + " and nothing else",
    ],
    ids=["equal", "other case and punctuation", "a long run of the same words"],
)
def test_what_is_nearly_the_same_is_a_copy(held_out: str) -> None:
    assert copied(LONG, held_out)


@pytest.mark.parametrize(
    ("learnt", "held_out"),
    [
        (LONG, " ".join(LONG.split()[3 : 2 + RUN]) + " then, is that right"),
        (LONG, "We could meet at the harbour, who brings coffee?"),
        ("haha yes", "haha yes"),
        ("😂" * 40, "😂" * 40),
        ("", ""),
    ],
    ids=["a shorter run", "the same subject", "a short habit", "no words", "nothing"],
)
def test_habits_and_subjects_are_no_copies(learnt: str, held_out: str) -> None:
    assert not copied(learnt, held_out)


def test_held_out_replies_may_repeat_one_another_and_so_may_learnt_ones() -> None:
    copies = Copies()
    for reply in (LONG, LONG, LONG.replace("nine", "ten").replace("blue", "red"), *[LONG[::-1]] * 2):
        copies.add(reply)
    assert list(copies.compare(array("q", [0, 0, 0, 1, 1]))) == [False] * 5
