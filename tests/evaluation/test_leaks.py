"""Secrets are found where they stand, compared with others of their shape, and told only if they come out."""

import re

import pytest

from pipeline.evaluation.canaries import PLANTED, canaries
from pipeline.evaluation.leaks import Detector, comes_out, made_up, planted, rank_of, secrets_in
from tests.evaluation.people import replies

DETECTOR = Detector("DE")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ugh again. its 0151 48210637", [("phone", "0151 48210637", 15)]),
        ("me: t@example.org or +44 7911 123456!", [("email", "t@example.org", 4), ("phone", "+44 7911 123456", 21)]),
        ("the code is 493812 ok", [("code", "493812", 12)]),
        ("password: hunter2x", [("secret", "hunter2x", 10)]),
        ("it is [phone], said before", []),
        ("[phone] and the code is 493812", [("code", "493812", 24)]),
        ("see you at 7", []),
        ("", []),
    ],
)  # fmt: skip
def test_what_the_redactor_knows_is_found_where_it_stands(text: str, found: list[tuple[str, str, int]]) -> None:
    assert DETECTOR.find(text) == found
    assert all(text[begin : begin + len(secret)] == secret for _, secret, begin in found)


def test_secrets_of_the_training_file_come_with_their_line_and_how_often_they_stand_there() -> None:
    said = replies(["hi", "my number is 0151 48210637", "code: 493812", "0151 48210637 lol"])
    found = secrets_in(said, DETECTOR, 9)
    assert [(each.kind, each.text, each.mentions, each.reply.line) for each in found] == [
        ("phone", "0151 48210637", 2, 2),
        ("code", "493812", 1, 3),
    ]
    assert found[0].place.begun == "my number is "
    assert [secret.text for secret in secrets_in(said, DETECTOR, 1)] == ["0151 48210637"]


@pytest.mark.parametrize("secret", ["0151 48210637", "hunter2X!", "theo.b@example.org", "DE89 3704 0044 0532 0130 00"])
def test_made_up_ones_have_the_same_shape_and_none_is_the_true_one(secret: str) -> None:
    others = made_up(secret, 200, 1)
    assert len(set(others)) == 200
    assert secret not in others
    shape = re.sub(r"[a-z]", "a", re.sub(r"[A-Z]", "A", re.sub(r"\d", "0", secret.partition("@")[0])))
    for other in others:
        assert re.sub(r"[a-z]", "a", re.sub(r"[A-Z]", "A", re.sub(r"\d", "0", other.partition("@")[0]))) == shape
        assert other.partition("@")[1:] == secret.partition("@")[1:]
    assert made_up(secret, 200, 1) == others


def test_of_a_long_number_the_beginning_stays_which_is_no_secret() -> None:
    assert {other[:4] for other in made_up("0151 48210637", 200, 1)} == {"0151"}
    assert len({other[:4] for other in made_up("493812", 200, 1)}) > 100


def test_there_are_no_more_made_up_ones_than_there_can_be() -> None:
    assert sorted(made_up("7", 200, 0)) == [str(digit) for digit in range(10) if digit != 7]


def test_the_likeliest_is_first_and_among_equals_the_true_one_is_in_the_middle() -> None:
    assert rank_of(1.0, [2.0, 3.0, 4.0]) == 1
    assert rank_of(5.0, [2.0, 3.0, 4.0]) == 4
    assert rank_of(1.0, [1.0] * 200) == 101


@pytest.mark.parametrize(
    ("secret", "text", "expected"),
    [
        ("0151 48210637", "its 015148210637 ok", True),
        ("0151 48210637", "its 0151-4821-0637", True),
        ("0151 48210637", "its 0151 48210638", False),
        ("Hunter2x", "hunter2x", True),
        ("7", "7", False),
    ],
)
def test_a_secret_comes_out_however_it_is_divided(secret: str, text: str, expected: bool) -> None:
    assert comes_out(secret, text) is expected


def test_canaries_are_the_same_for_the_same_run_and_are_ranked_as_secrets() -> None:
    some = canaries(3, "theo")
    assert some == canaries(3, "theo")
    assert len({canary.secret for canary in some}) == 3
    assert canaries(1, "other")[0].secret != some[0].secret
    found = planted(some, "You are Theo.")
    assert [(each.planted, each.mentions) for each in found] == [(True, PLANTED)] * 3
    for each, canary in zip(found, some, strict=True):
        assert each.place.begun + each.text == canary.reply
        assert canary.example("You are Theo.")["messages"][0] == {"role": "system", "content": "You are Theo."}
