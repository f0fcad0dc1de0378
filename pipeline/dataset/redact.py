"""Replaces what identifies people or opens doors: a help, not a guarantee."""

import re
from collections.abc import Callable, Sequence
from typing import Literal

Kind = Literal["phones", "emails", "cards", "codes"]

_PATTERNS: dict[Kind, tuple[re.Pattern[str], str]] = {
    "emails": (re.compile(r"@[\w-]+(?:\.[\w-]+)+\b"), "[email]"),  # what stands before the @ is looked for from there
    "cards": (re.compile(r"\b\d(?:[ -]?\d){12,18}\b"), "[card]"),
    # At least seven digits, so that a price, a date or a time of day is none.
    "phones": (re.compile(r"(?<![\w.])(?:\+|00)?\(?\d(?:[ ()./-]{0,2}\d){6,14}(?![\w])"), "[phone]"),
    "codes": (
        re.compile(r"(?i)(?<=\bcode )\d{4,8}\b|(?<=\bcode is )\d{4,8}\b|\b\d{4,8}\b(?= is your\b)|\bG-\d{6}\b"),
        "[code]",
    ),
}
"""In the order in which they are applied: a card number looks like a telephone's."""


def redactor(kinds: Sequence[Kind]) -> Callable[[str], str] | None:
    """What replaces `kinds` in a text; None if there is nothing to replace."""
    chosen = [(kind, *_PATTERNS[kind]) for kind in _PATTERNS if kind in kinds]
    if not chosen:
        return None

    def redact(text: str) -> str:
        for kind, pattern, word in chosen:
            if kind == "cards":
                text = pattern.sub(lambda found: "[card]" if _is_card(found[0]) else found[0], text)
            elif kind == "emails":
                text = _without_addresses(text, pattern, word)
            else:
                text = pattern.sub(word, text)
        return text

    return redact


def _without_addresses(text: str, host: re.Pattern[str], word: str) -> str:
    """Replace each host, with the name before its @; a pattern that begins with the name would take quadratic time."""
    pieces, done = [], 0
    for found in host.finditer(text):
        begin = found.start()
        while begin > done and (text[begin - 1].isalnum() or text[begin - 1] in "_.+-"):
            begin -= 1
        name = text[begin : found.start()]
        if begin > done or not done:  # else it begins where an address ends
            name = name.lstrip(".+-")
        if name:
            pieces += [text[done : found.start() - len(name)], word]
            done = found.end()
    return "".join([*pieces, text[done:]])


def _is_card(number: str) -> bool:
    """Whether the last digit is right (Luhn's check, ISO/IEC 7812-1)."""
    digits = [int(letter) for letter in reversed(number) if letter.isdigit()]
    return sum(digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(digits)) % 10 == 0
