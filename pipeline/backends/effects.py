"""A remote effect as data: how to see whether it is there, and how to make it. The ledger alone makes it."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openai
    from openai.types import FileObject
    from openai.types.fine_tuning import FineTuningJob

    from pipeline.backends.hosting import Made


@dataclasses.dataclass(frozen=True)
class Found:
    """What the server has.

    Attributes:
        ids: matches, oldest first.
        listed: whether it keeps a list at all.
        doubtful: ids that may be ours, but carry nothing to tell by.
        strangers: those of `ids` that another run directory made.
    """

    ids: list[str]
    listed: bool = True
    doubtful: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Effect:
    """Something to be done at most once.

    Attributes:
        op: its identity, the same whenever it is computed from the same data, config and backend.
        look: what the server has that matches.
        post: do it; returns what the server says it made.
    """

    where: str
    op: str
    look: "Callable[[openai.OpenAI], Found]"
    post: "Callable[[openai.OpenAI], FileObject | FineTuningJob | Made]"
    made_of: str | None = None
    generation: int = 0
