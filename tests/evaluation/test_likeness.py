"""Likeness is calibrated on the archive: the person's own other half is 100, the other people are 0."""

import pytest

from pipeline.evaluation.likeness import Groups, likeness
from tests.evaluation.people import casual, formal, texts

KNOWN, HELD_OUT, OTHERS = texts(casual, 240), texts(casual, 40, 500), texts(formal, 240)


def test_the_persons_own_words_are_a_hundred_and_the_others_none() -> None:
    own = likeness(Groups(KNOWN, HELD_OUT, OTHERS, texts(casual, 60, 900), base=texts(formal, 30, 900)))
    assert own.score is not None
    assert own.base is not None
    assert own.score.value > 85
    assert own.base.value < 15
    assert own.others is not None
    assert own.own is not None
    assert own.others.high < own.own.low
    assert own.why_not is None


def test_half_of_each_is_in_between() -> None:
    mixed = [*texts(casual, 30, 900), *texts(formal, 30, 900)]
    found = likeness(Groups(KNOWN, HELD_OUT, OTHERS, mixed))
    assert found.score is not None
    assert 15 < found.score.value < 85


def test_where_person_and_others_cannot_be_told_apart_there_is_no_number() -> None:
    found = likeness(Groups(KNOWN, HELD_OUT, texts(casual, 240, 2000), texts(casual, 60, 900)))
    assert (found.score, found.base, found.examples) == (None, None, None)
    assert found.why_not == "by these measures the other people of these chats write as the person does"


def test_typical_phrases_over_and_over_are_not_the_person() -> None:
    """A judge of authorship alone is content with them."""
    found = likeness(Groups(KNOWN, HELD_OUT, OTHERS, ["yeah lol :)"] * 60))
    judge = next(measure for measure in found.measures if measure.name == "a judge of authorship")
    assert found.score is not None
    assert judge.model.value < 0.2
    assert found.score.value < 80


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (Groups(KNOWN[:20], HELD_OUT[:31], OTHERS, KNOWN), "51 replies of the person"),
        (Groups(KNOWN, HELD_OUT, OTHERS[:1], KNOWN), "1 reply of other people"),
        (Groups(KNOWN, HELD_OUT, OTHERS, KNOWN[:29]), "29 replies of the model"),
    ],
)
def test_too_few_replies_are_said(groups: Groups, said: str) -> None:
    found = likeness(groups)
    assert (found.score, found.why_not) == (None, f"too few to measure: {said}")


def test_what_differs_is_said_by_feature_the_widest_apart_first() -> None:
    found = likeness(Groups(KNOWN, HELD_OUT, OTHERS, texts(formal, 60)))
    first = found.features[0]
    assert (first.what, first.person, first.model) == ("begin with a capital", 0.0, 1.0)
    small = [feature for feature in found.features if feature.what == "write an emoticon such as :)"]
    assert [feature.model for feature in small] == [0.0]
    assert 0.2 < small[0].person < 0.5


def test_the_same_replies_give_the_same_numbers() -> None:
    groups = Groups(KNOWN, HELD_OUT, OTHERS, texts(casual, 60, 900))
    assert likeness(groups) == likeness(groups)
