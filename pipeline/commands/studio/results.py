"""What came of trainings, for the pages: how good a model is, what it answered, and several beside each other."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline.commands.context import as_it_is
from pipeline.commands.studio.folder import listed
from pipeline.commands.studio.live import MOST_POINTS, curve_of, curves_of
from pipeline.evaluation.record import Measured
from pipeline.report.contents import answers_of
from pipeline.report.made import Made
from pipeline.report.origin import model_label
from pipeline.report.quality import Quality, quality_of
from pipeline.report.writing import report_text
from pipeline.steps.outputs import Convert, PollJob
from pipeline.steps.smoke_test import Exchange

_LEAST, _MOST = 0.0, 100.0


class Bar(NamedTuple):
    """A measured number with its interval, each placed between 0 and 100."""

    what: str
    said: str
    at: float
    low: float
    high: float
    is_tuned: bool


class Result(NamedTuple):
    """Everything that the page of a result shows.

    Attributes:
        missing: why there is no model yet; "" where there is one.
        kept: which epoch's model was taken, and why; may be empty.
        curve: as a run's page has it.
        can_measure: it was not measured, and can be.
    """

    name: str
    missing: str
    model: str = ""
    base: str = ""
    kept: str = ""
    curve: dict[str, Any] | None = None
    quality: Quality | None = None
    likeness: Sequence[Bar] = ()
    surprise: Sequence[Bar] = ()
    answers: Sequence[Exchange] = ()
    can_measure: bool = False


def result(path: Path) -> Result:
    """Read what a run has made so far.

    Raises:
        FinetuneError: the config or the state cannot be read.
    """
    config, state, progress = as_it_is(path)
    made = Made(state, progress)
    polled = made.get(PollJob)
    if polled is None:
        return Result(config.name, made.missing(PollJob) or "")
    quality = quality_of(made, with_text=True)
    curves = curves_of(config, state, progress)
    return Result(
        config.name,
        "",
        polled.model,
        model_label(config.create_job.model),
        "" if polled.kept is None else str(polled.kept),
        None if curves is None else curve_of(curves, None),
        quality,
        [] if quality is None else list(_bars(quality.likeness, _LEAST, _MOST)),
        [] if quality is None else list(_bars(quality.surprise, _LEAST, None)),
        answers_of(made),
        quality is None and config.backend.trainer == "lora",
    )


def _bars(rows: list[tuple[str, Measured]], least: float, most: float | None) -> Iterator[Bar]:
    low = min([least, *(each.low for _, each in rows)])
    high = max([most or 0.0, *(each.high for _, each in rows)]) or 1.0

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    for what, each in rows:
        digits = 0 if most is not None else 2
        said = f"{each.value:.{digits}f} ({each.low:.{digits}f} to {each.high:.{digits}f})"
        yield Bar(what, said, place(each.value), place(each.low), place(each.high), what == "tuned model")


class Compared(NamedTuple):
    """One run beside others; numbers are None where there are none."""

    path: str
    name: str
    base: str
    examples: int | None
    epochs: str
    train_loss: float | None
    valid_loss: float | None
    likeness: Measured | None
    faulty: str
    verdict: str
    curve: list[tuple[int, float]]


def compared() -> list[Compared]:
    """Every run of the folder that has made a model, or is about to."""
    return [_compared(Path(each.path)) for each in listed() if each.has_run and each.standing != "broken"]


def _compared(path: Path) -> Compared:
    config, state, progress = as_it_is(path)
    made = Made(state, progress)
    convert = made.get(Convert)
    curves, quality = curves_of(config, state, progress), quality_of(made, with_text=True)
    used = config.create_job.hyperparameters.n_epochs
    tuned = dict(quality.likeness).get("tuned model") if quality else None
    curve = curve_of(curves, None) if curves else None
    return Compared(
        str(path),
        config.name,
        model_label(config.create_job.model),
        convert.examples if convert else None,
        str(used),
        curves.train_loss[-1][1] if curves and curves.train_loss else None,
        min(loss for _, loss in curves.valid_loss) if curves and curves.valid_loss else None,
        tuned,
        f"{sum(count for _, count in quality.faults):,} of {quality.answers:,}" if quality and quality.answers else "",
        quality.verdict[0] if quality and quality.verdict else "",
        ((curve["smooth"] or curve["train"])[:MOST_POINTS]) if curve else [],
    )


def series(rows: list[Compared]) -> str:
    """The curves of several runs, as JSON for a script."""
    return msgspec.json.encode([{"name": each.name, "points": each.curve} for each in rows if each.curve]).decode()


def report(path: Path, *, with_text: bool) -> tuple[str, str]:
    """A run's name and its report, as `finetune report` writes it.

    Raises:
        FinetuneError: there is no such run, or matplotlib is not installed.
    """
    config, state, progress = as_it_is(path)
    return config.name, report_text(config, state, progress, markdown=False, with_text=with_text)
