import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dataset.redact import redactor


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Call +1 (555) 010-0199 or 555-010-0199!", "Call [phone] or [phone]!"),
        ("mail me: ann.lee+x@mail.example.test.", "mail me: [email]."),
        ("card 4111 1111 1111 1111 ok", "card [card] ok"),
        ("no card: 4111111111111112", "no card: 4111111111111112"),
        ("Your code is 123456", "Your code is [code]"),
        ("482913 is your code", "[code] is your code"),
        ("G-482913 is it", "[code] is it"),
        ("at 18:30 on 12.5. for 45.50, room 1204", "at 18:30 on 12.5. for 45.50, room 1204"),
    ],
)
def test_what_identifies_or_opens_doors_is_replaced(text: str, left: str) -> None:
    redact = redactor(["phones", "emails", "cards", "codes"])
    assert redact is not None
    assert redact(text) == left


def test_only_what_is_asked_for_is_replaced() -> None:
    redact = redactor(["emails"])
    assert redact is not None
    assert redact("a@b.test 5550100199") == "[email] 5550100199"
    assert redactor([]) is None


@given(st.text(st.sampled_from("a@.-+ _é"), max_size=14))
def test_addresses_are_those_that_one_slow_pattern_finds(text: str) -> None:
    redact = redactor(["emails"])
    assert redact is not None
    assert redact(text) == re.sub(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b", "[email]", text)
