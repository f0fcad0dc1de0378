"""Everything that a report shows, gathered from a run directory, finished or not."""

import dataclasses
from collections.abc import Iterator

import msgspec

from pipeline.backends.cost import Cost, cost_of, estimate
from pipeline.backends.profiles import profile_of
from pipeline.config.settings import Config
from pipeline.dataset.funnel import Funnel
from pipeline.durable import Artifact
from pipeline.report import curves, examples, origin, people
from pipeline.report.made import Made
from pipeline.report.quality import Quality, is_measured, quality_of
from pipeline.run.progress import Progress
from pipeline.server.storage.history import History, read_history
from pipeline.sessions.session import read_sessions
from pipeline.state.file import State, StepRecord
from pipeline.steps.outputs import (
    Consumed,
    Convert,
    CreateJob,
    Download,
    Evaluate,
    Load,
    Map,
    Merge,
    Output,
    PollJob,
    SmokeTest,
)
from pipeline.steps.smoke_test import TRANSCRIPT, Exchange
from pipeline.wording import counted


@dataclasses.dataclass(frozen=True)
class FunnelRow:
    """So many of something; `is_loss` for what is left out, by reason, `is_part` for what other rows count already."""

    count: int
    what: str
    is_loss: bool = False
    is_part: bool = False


@dataclasses.dataclass(frozen=True)
class Training:
    """What is known of the job.

    Attributes:
        used: the hyperparameters that the server took, (name, value).
        consumed: what the trainer took from the training file, in words; None where it does not say.
    """

    job: str
    model: str | None
    trained_tokens: int | None
    used: list[tuple[str, str]]
    consumed: str | None
    curves: curves.Curves | None


@dataclasses.dataclass(frozen=True)
class StepTime:
    """One step's last run. `error` may name senders: empty unless texts are asked for."""

    name: str
    status: str
    started_at: str | None
    seconds: float | None
    attempts: int
    error: str


@dataclasses.dataclass(frozen=True)
class Contents:
    """A whole report.

    Attributes:
        standing: "finished", "unfinished" or "out of date".
        pending: the steps that would run again, with the reason if texts are asked for.
        gaps: for a section that has nothing to show, why.
        funnel: stage by stage, from the archive to the examples.
        is_measured: whether the run measures its model; `quality` is what it found.
        accounted: where every message of the archive went, the first row being their sum.
        changed: keys of the config that were changed since they were used.
        cost: of what was trained, else of what would be; None before there are examples.
    """

    name: str
    with_text: bool
    backend: str
    is_free: bool
    base_model: str
    standing: str
    pending: list[tuple[str, str]]
    last_at: str | None
    gaps: dict[str, str]
    funnel: list[FunnelRow]
    accounted: list[FunnelRow]
    archive: people.Archive | None
    convert: Convert | None
    lengths: examples.Lengths | None
    training: Training | None
    answers: list[Exchange]
    is_measured: bool
    quality: Quality | None
    times: list[StepTime]
    seconds: float
    cost: Cost | None
    config: str
    changed: list[str]
    versions: list[tuple[str, str]]
    artifacts: list[tuple[str, Artifact]]


def gather(config: Config, state: State, progress: Progress, with_text: bool) -> Contents:
    """Read the run directory; whatever is not there yet becomes a gap.

    Args:
        with_text: show chats, prompts, answers, names and what a step said when it failed.
    """
    made = Made(state, progress)
    config, changed = origin.as_used(config, made)
    gaps: dict[str, str] = {}
    training = _training(config, made, gaps)
    convert = made.get(Convert)
    times = [_time(step.name, record, with_text) for step, record in made.records()]
    pending = made.pending()
    return Contents(
        name=config.name,
        with_text=with_text,
        backend=profile_of(config.backend).title,
        is_free=profile_of(config.backend).free,
        base_model=origin.model_label(config.create_job.model),
        standing=_standing(times, pending),
        pending=[(name, why if with_text else "") for name, why in pending],
        last_at=max(
            (record.finished_at for _, record in made.records() if record and record.finished_at), default=None
        ),
        gaps=gaps,
        funnel=list(_funnel(made, gaps)),
        accounted=list(accounted(convert.funnel if convert else None)),
        archive=_archive(config, made, with_text, gaps),
        convert=convert,
        lengths=_lengths(config, made, with_text, gaps),
        training=training,
        answers=_answers(made, gaps),
        is_measured=is_measured(made),
        quality=_quality(made, with_text, gaps),
        times=times,
        seconds=sum(time.seconds or 0 for time in times),
        cost=_cost(config, convert, training),
        config=origin.as_yaml(config, with_text),
        changed=changed,
        versions=origin.versions(),
        artifacts=[(step.name, artifact) for step, record in made.records() if record for artifact in record.artifacts],
    )


def _standing(times: list[StepTime], pending: list[tuple[str, str]]) -> str:
    if any(time.status != "done" for time in times):
        return "unfinished"
    return "out of date" if pending else "finished"


def _funnel(made: Made, gaps: dict[str, str]) -> Iterator[FunnelRow]:
    load, merge, convert = made.get(Load), made.get(Merge), made.get(Convert)
    if load is not None:
        yield FunnelRow(load.messages + sum(load.dropped.values()), "rows in the archive")
        yield from _losses(load.dropped)
        yield FunnelRow(load.messages, f"messages, in {counted(load.count, 'session')}")
    if merge is not None:
        yield FunnelRow(merge.after, "after joining what one sender said in a row")
    if convert is not None:
        yield FunnelRow(convert.examples + convert.valid_examples + sum(convert.dropped.values()), "sessions")
        yield from _losses(convert.dropped)
        yield FunnelRow(convert.examples, "examples to train on")
        if convert.valid is not None:
            yield FunnelRow(convert.valid_examples, "examples held out for validation")
    _note(gaps, "funnel", made, Download, Load, Merge, Map, Convert)


def accounted(funnel: Funnel | None) -> Iterator[FunnelRow]:
    """The rows of `convert`'s funnel; none before convert."""
    if funnel is None:
        return
    for count, what in funnel.rows():
        yield FunnelRow(count, what)
    for reason, count in funnel.own_context.items():
        yield FunnelRow(count, f"of context and held out, the assistant's own and not learnt: {reason}", is_part=True)
    for row in _losses(funnel.dropped):
        yield FunnelRow(row.count, f"left out: {row.what}")


def _losses(dropped: dict[str, int]) -> Iterator[FunnelRow]:
    for reason, count in sorted(dropped.items(), key=lambda item: (-item[1], item[0])):
        yield FunnelRow(count, reason, is_loss=True)


def _archive(config: Config, made: Made, with_text: bool, gaps: dict[str, str]) -> people.Archive | None:
    load = made.get(Load)
    if load is None:
        _note(gaps, "archive", made, Load)
        return None
    return people.describe(read_sessions(made.run_dir / load.sessions.path), config.map.assistant, with_text)


def _lengths(config: Config, made: Made, with_text: bool, gaps: dict[str, str]) -> examples.Lengths | None:
    convert = made.get(Convert)
    if convert is None:
        _note(gaps, "lengths", made, Convert)
        return None
    train = made.run_dir / convert.train.path
    valid = made.run_dir / convert.valid.path if convert.valid else None
    return examples.describe(train, valid, config.create_job.model, convert.tokens_are_exact, with_text)


def _training(config: Config, made: Made, gaps: dict[str, str]) -> Training | None:
    """Of a finished job by its result file and its events; of one that goes on by the embedded store."""
    created, polled = made.get(CreateJob), made.get(PollJob)
    _note(gaps, "training", made, CreateJob, PollJob)
    if created is None:
        return None
    history = None
    if config.backend.kind == "embedded":
        history = read_history(made.run_dir / "server", created.job)
    metrics = curves.read_metrics(made.run_dir / polled.metrics.path) if polled and polled.metrics else []
    if polled is not None and polled.events is not None:
        events = curves.read_events(made.run_dir / polled.events.path)
    else:
        events = _events(history)
    trace = curves.trace(metrics, events)
    if polled is not None and trace is None:
        gaps["training"] = "the backend gave no metrics"
    asked = config.create_job.hyperparameters
    used = msgspec.to_builtins(history.used) if history and history.used else asked.model_dump()
    return Training(
        job=created.job,
        model=polled.model if polled else None,
        trained_tokens=polled.trained_tokens if polled else None,
        used=[(name, str(value)) for name, value in used.items()],
        consumed=_consumed(polled.consumed) if polled and polled.consumed else None,
        curves=trace,
    )


def _consumed(took: Consumed) -> str:
    parts = [f"{counted(took.examples, 'example')} with {counted(took.targets, 'target')}"]
    parts += [f"{number:,} {what}" for number, what in ((took.truncated, "cut"), (took.skipped, "skipped")) if number]
    return ", ".join(parts)


def _events(history: History | None) -> list[curves.Event]:
    return [] if history is None else msgspec.convert(msgspec.to_builtins(history.events), list[curves.Event])


def _answers(made: Made, gaps: dict[str, str]) -> list[Exchange]:
    _note(gaps, "answers", made, PollJob, SmokeTest)
    return answers_of(made)


def answers_of(made: Made) -> list[Exchange]:
    """The transcript; also one whose expectations were not met, if it is of this model."""
    polled = made.get(PollJob)
    path = made.run_dir / TRANSCRIPT
    if polled is None or not path.is_file():
        return []
    try:
        exchanges = msgspec.json.decode(path.read_bytes(), type=list[Exchange])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    return [exchange for exchange in exchanges if exchange.tuned.model == polled.model]


def _quality(made: Made, with_text: bool, gaps: dict[str, str]) -> Quality | None:
    if not is_measured(made):
        return None
    _note(gaps, "quality", made, PollJob, Evaluate)
    return quality_of(made, with_text)


def _cost(config: Config, convert: Convert | None, training: Training | None) -> Cost | None:
    if training is not None and training.trained_tokens is not None:
        return cost_of(config, training.trained_tokens)
    return None if convert is None else estimate(config, convert.tokens)


def _time(name: str, record: StepRecord | None, with_text: bool) -> StepTime:
    if record is None:
        return StepTime(name, "not run yet", None, None, 0, "")
    status = {"running": "at work, or interrupted"}.get(record.status, record.status)
    error = record.error or ""
    return StepTime(name, status, record.started_at, record.seconds, record.attempts, error if with_text else "")


def _note(gaps: dict[str, str], section: str, made: Made, *kinds: type[Output]) -> None:
    """Say of a section which step is the first that it lacks."""
    missing = next((why for kind in kinds if (why := made.missing(kind)) is not None), None)
    if missing is not None:
        gaps[section] = missing
