"""Is the model any good: what the step evaluate found, as the report shows it."""

import dataclasses
from collections.abc import Iterator

from pipeline.evaluation.record import Evaluation, Feature, Measured, Secret
from pipeline.evaluation.verdict import verdict
from pipeline.evaluation.whole import read_evaluation
from pipeline.report.made import Made
from pipeline.steps.evaluate import EVALUATION
from pipeline.steps.outputs import Evaluate, PollJob

Row = tuple[str, Measured]
SOMEBODY = "the person"
_FEATURES = 8


@dataclasses.dataclass(frozen=True)
class Quality:
    """An evaluation, without a name unless names are asked for.

    Attributes:
        who: what to call the person; `has` is the verb that goes with it.
        likeness: rows of likeness, 0 to 100.
        surprise: rows of surprise, in nats per token.
        features: habits, the widest apart first.
        faults: of answers, the most frequent first.
    """

    who: str
    verdict: list[str]
    advice: list[str]
    left_out: list[str]
    likeness: list[Row]
    surprise: list[Row]
    features: list[Feature]
    answers: int
    faults: list[tuple[str, int]]
    secrets: list[Secret]


def is_measured(made: Made) -> bool:
    """Whether a run of this config measures its model."""
    return any(step.output is Evaluate for step, _ in made.records())


def quality_of(made: Made, with_text: bool) -> Quality | None:
    """What was found of the model that there is, even if it was not what `evaluate.fail_on` allows."""
    polled, found = made.get(PollJob), read_evaluation(made.run_dir / EVALUATION)
    if polled is None or found is None or found.model != polled.model:
        return None
    who = found.who if with_text or found.who == "you" else SOMEBODY
    return Quality(
        who=who,
        verdict=verdict(who, found.surprise, found.likeness, found.sense, found.leaks) or found.verdict,
        advice=found.advice,
        left_out=found.left_out,
        likeness=list(_likeness(found)),
        surprise=list(_surprise(found, who)),
        features=found.likeness.features[:_FEATURES] if found.likeness else [],
        answers=found.sense.answers if found.sense else 0,
        faults=sorted(found.sense.faults.items(), key=lambda each: (-each[1], each[0])) if found.sense else [],
        secrets=found.leaks.secrets if found.leaks else [],
    )


def _likeness(found: Evaluation) -> Iterator[Row]:
    like = found.likeness
    if like is None or like.score is None:
        return
    rows = (
        ("the other people", like.others),
        ("base model", like.base),
        ("base with examples", like.examples),
        ("tuned model", like.score),
        ("their own other half" if found.who != "you" else "your own other half", like.own),
    )
    yield from ((what, number) for what, number in rows if number is not None)


def _surprise(found: Evaluation, who: str) -> Iterator[Row]:
    said = found.surprise
    if said is None:
        return
    whose = "your" if who == "you" else "their"
    rows = (
        ("base model", said.bare),
        ("base, with its prompt", said.prompted),
        ("base, with examples", said.examples),
        ("tuned model", said.tuned),
        (f"tuned, {whose} replies that it learnt", said.learnt),
        ("base, the others' replies", said.others_base),
        ("tuned, the others' replies", said.others_tuned),
    )
    yield from ((what, number) for what, number in rows if number is not None)
