"""How a training went: its metrics step by step, its checkpoints, and what the server warned of."""

import csv
import dataclasses
import itertools
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from pipeline.durable import read_file

ROWS = 12
# OpenAI's step_metrics.csv and its events name the same things differently; other servers follow one or the other.
_NAMES = {
    "train_loss": ("train_loss",),
    "valid_loss": ("valid_loss", "full_valid_loss", "validation_loss"),
    "train_accuracy": ("train_accuracy", "train_mean_token_accuracy"),
    "valid_accuracy": ("valid_mean_token_accuracy", "valid_accuracy", "full_valid_mean_token_accuracy"),
    "learning_rate": ("learning_rate",),
}
# OpenAI API reference, fine-tuning events: "Checkpoint created at step 90 with Snapshot ID: ft:gpt-4o-mini:..."
_CHECKPOINT = re.compile(r"heckpoint created at step (\d+)(?: with Snapshot ID: (\S+))?")

COLUMNS = {
    "train_loss": "training loss",
    "valid_loss": "validation loss",
    "train_accuracy": "training accuracy",
    "valid_accuracy": "validation accuracy",
    "learning_rate": "learning rate",
}

Points = list[tuple[int, float]]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A model as it was after `step`; `model` is None where the server did not name it."""

    step: int
    model: str | None


@dataclasses.dataclass(frozen=True)
class Row:
    """What was measured at one step, by the keys of COLUMNS; None where nothing was."""

    step: int
    values: dict[str, float | None]


@dataclasses.dataclass(frozen=True)
class Curves:
    """The metrics of a training, each as points (step, value) in order of steps.

    Attributes:
        steps: the last one that was measured.
        total_steps: how many there are to be, as far as the server says.
        rows: about ROWS of the steps, evenly spread, the first and the last among them; and every validation that fits.
        columns: title and name of what was measured at all.
    """

    steps: int
    total_steps: int | None
    train_loss: Points
    valid_loss: Points
    train_accuracy: Points
    valid_accuracy: Points
    learning_rate: Points
    rows: list[Row]
    columns: list[tuple[str, str]]
    checkpoints: list[Checkpoint]
    warnings: list[str]


class Event(msgspec.Struct, frozen=True):
    """One event of a job, as OpenAI's API has it; what else it holds is dropped. Some servers leave fields out."""

    message: str = ""
    level: str = "info"
    type: str = "message"
    data: dict[str, object] | None = None


def read_events(path: Path) -> list[Event]:
    """Read a file of events, one a line, oldest first."""
    decoder = msgspec.json.Decoder(dict[str, object])
    decoded = (decoder.decode(line) for line in read_file(path).splitlines() if line.strip())
    return [msgspec.convert({key: each for key, each in event.items() if each is not None}, Event) for event in decoded]


def read_metrics(path: Path) -> list[Mapping[str, object]]:
    """Read a result file (CSV with a header); empty if it is none."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = csv.DictReader(file)
        return [dict(row) for row in rows] if "step" in (rows.fieldnames or ()) else []


def trace(metrics: Iterable[Mapping[str, object]], events: Iterable[Event]) -> Curves | None:
    """Put together the rows of a result file and what events tell; None if neither holds a step.

    Both may speak of the same step: the result file wins.
    """
    events = list(events)
    told = [event.data for event in events if event.type == "metrics" and event.data]
    by_step: dict[int, dict[str, float]] = {}
    for row in (*told, *metrics):
        step = _number(row.get("step"))
        if step is not None:
            by_step.setdefault(int(step), {}).update(_measured(row))
    if not by_step:
        return None
    steps = sorted(by_step)
    found = {name: [(step, by_step[step][name]) for step in steps if name in by_step[step]] for name in _NAMES}
    totals = [total for row in told if (total := _number(row.get("total_steps"))) is not None]
    return Curves(
        steps=steps[-1],
        total_steps=int(totals[-1]) if totals else None,
        rows=[_row(step, by_step[step]) for step in _chosen(steps, {step for step, _ in found["valid_loss"]})],
        columns=[(title, name) for name, title in COLUMNS.items() if found[name]],
        checkpoints=_checkpoints(events),
        warnings=[event.message for event in events if event.level in ("warn", "error")],
        **found,
    )


def thinned(points: Points, most: int) -> Points:
    """At most `most` points: the mean of as many equal runs of them, at the last step of each."""
    if len(points) <= most:
        return points
    cuts = [round(len(points) * n / most) for n in range(most + 1)]
    runs = [points[start:end] for start, end in itertools.pairwise(cuts)]
    return [(run[-1][0], sum(value for _, value in run) / len(run)) for run in runs]


def smoothed(points: Points) -> Points:
    """The mean of each point and those around it, a twentieth of all."""
    reach = max(1, len(points) // 40)
    windows = [points[max(0, n - reach) : n + reach + 1] for n in range(len(points))]
    return [
        (step, sum(value for _, value in window) / len(window))
        for (step, _), window in zip(points, windows, strict=True)
    ]


def _measured(row: Mapping[str, object]) -> dict[str, float]:
    found = {}
    for name, spellings in _NAMES.items():
        values = (_number(row.get(spelling)) for spelling in spellings)
        value = next((each for each in values if each is not None), None)
        if value is not None:
            found[name] = value
    return found


def _number(value: object) -> float | None:
    if not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _chosen(steps: list[int], validated: set[int]) -> list[int]:
    if len(steps) <= ROWS:
        return steps
    spread = {steps[round((len(steps) - 1) * n / (ROWS - 1))] for n in range(ROWS)}
    return sorted(spread | validated if len(validated) <= ROWS else spread)


def _row(step: int, measured: Mapping[str, float]) -> Row:
    return Row(step, {name: measured.get(name) for name in _NAMES})


def _checkpoints(events: Iterable[Event]) -> list[Checkpoint]:
    found = (_CHECKPOINT.search(event.message) for event in events)
    return sorted({int(match[1]): Checkpoint(int(match[1]), match[2]) for match in found if match}.values(), key=_step)


def _step(checkpoint: Checkpoint) -> int:
    return checkpoint.step
