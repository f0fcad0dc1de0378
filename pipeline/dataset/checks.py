"""What is said of training examples before they are sent: too few, or too long for the trainer."""

from pipeline.models.example_rules import check_example, check_preference

__all__ = [
    "FEWEST_EXAMPLES", "FEWEST_TARGETS", "check_example", "check_preference", "too_few_to_learn", "too_long_to_learn",
]  # fmt: skip

FEWEST_EXAMPLES = 10
"""What OpenAI trains on at least, and the embedded server too (OpenAI's guide to fine-tuning)."""

FEWEST_TARGETS = 10
"""Replies, however few examples they are in; the guide advises 50 to begin with."""


_MAKE_FIT = "`convert.preset: texting` makes examples that fit."


def too_few_to_learn(examples: int, targets: int) -> str | None:
    """A warning in words where there is very little to train on; None where there is enough.

    Args:
        targets: replies of the assistant's that are learnt.
    """
    if examples < FEWEST_EXAMPLES:
        return (
            f"WARNING: only {examples:,} example{'' if examples == 1 else 's'} with {targets:,} "
            f"repl{'y' if targets == 1 else 'ies'} to learn; OpenAI and the embedded server refuse fewer than "
            f"{FEWEST_EXAMPLES} examples. Load more conversations."
        )
    if targets < FEWEST_TARGETS:
        return f"WARNING: only {targets:,} replies to learn, which teaches next to nothing. Load more conversations."
    return None


def too_long_to_learn(examples: int, targets: int, of: int, most: int | None, preset: str = "notebook") -> str | None:
    """A warning in words where the trainer will leave out the ends of examples; None where it will not.

    Args:
        examples: those that are longer than it takes.
        targets: replies of the assistant's in their ends, about.
        of: replies in all examples.
        most: tokens of an example that it takes.
        preset: that made them.
    """
    if not examples or most is None:
        return None
    are = "example is" if examples == 1 else "examples are"
    said = f"{examples:,} {are} longer than the {most:,} tokens that the trainer takes, and will be cut: "
    if not targets:
        return f"{said}no reply is lost by that."
    fix = "Shorten them, or make several of one." if preset == "ready" else _MAKE_FIT
    return f"WARNING: {said}about {targets:,} of {of:,} replies will not be learnt. {fix}"
