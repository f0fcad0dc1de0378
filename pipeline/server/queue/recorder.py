"""Writes down what a worker reports: events, metrics, checkpoints, the tuned model and the result file."""

import csv
import io
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from pipeline.server import responses
from pipeline.server.interfaces import QueueStore
from pipeline.training.protocol import Checkpoint, Started, Step, Succeeded

# Columns of the live API's step_metrics.csv, and the names that events and checkpoints have for them.
RESULT_COLUMNS = {
    "step": "step",
    "train_loss": "train_loss",
    "train_accuracy": "train_mean_token_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_mean_token_accuracy",
}


class Recorder:
    """The pen of one training run. What was written before a resume is not written again."""

    def __init__(
        self, store: QueueStore, job_id: str, work_dir: Path, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._job_id = job_id
        self._work_dir = work_dir
        self._clock = clock
        self._began = clock()
        self._first_step = 0
        known = store.steps(job_id)
        self._known_step = known[-1]["step"] if known else 0
        self._total_steps = 0

    def started(self, report: Started) -> None:
        """Hyperparameters as used, and where training goes on."""
        self._began = self._clock()
        self._first_step = report.first_step
        self._total_steps = report.total_steps
        beta = msgspec.UNSET if report.beta is None else report.beta
        used = responses.Hyperparameters(report.n_epochs, report.batch_size, report.learning_rate_multiplier, beta)
        self._store.begin(self._job_id, used)
        if report.first_step:
            self._store.add_event(self._job_id, f"Training goes on after step {report.first_step}/{report.total_steps}")
        if not report.first_step:
            took = report.examples - report.skipped
            data: responses.Metrics = {
                "examples": took,
                "targets": report.targets,
                "truncated": report.truncated,
                "skipped": report.skipped,
            }
            message = f"Training on {took} examples with {report.targets} targets"
            self._store.add_event(self._job_id, message, data=data)
        most = (
            "what it takes" if report.max_tokens is None else f"the {report.max_tokens:,} tokens that the trainer takes"
        )
        for count, what in ((report.truncated, f"were cut to {most}"), (report.skipped, "were skipped")):
            if count and not report.first_step:
                self._store.add_event(self._job_id, f"{count} of {report.examples} examples {what}", level="warn")

    def step(self, report: Step) -> None:
        """One step's metrics; what was not measured, or is not a number, is left out. Steps come in order."""
        if report.step <= self._known_step:
            return
        measured = {
            "train_loss": report.train_loss,
            "train_mean_token_accuracy": report.train_accuracy,
            "valid_loss": report.valid_loss,
            "valid_mean_token_accuracy": report.valid_accuracy,
        }
        metrics = {name: value for name, value in measured.items() if value is not None and math.isfinite(value)}
        message = f"Step {report.step}/{self._total_steps}: training loss={report.train_loss:.2f}"
        if report.valid_loss is not None:
            message += f", validation loss={report.valid_loss:.2f}"
        beside = {
            "total_steps": self._total_steps, "learning_rate": report.learning_rate, "trained_tokens": report.tokens,
        }  # fmt: skip
        remaining_s = self._remaining_s(report.step)
        self._store.add_step(self._job_id, report.step, metrics, message, beside=beside, remaining_s=remaining_s)

    def _remaining_s(self, step: int) -> int:
        """How long training still takes if it goes on at this pace."""
        pace_s = (self._clock() - self._began) / max(1, step - self._first_step)
        return math.ceil(pace_s * (self._total_steps - step))

    def checkpoint(self, report: Checkpoint) -> None:
        """Keep an epoch's adapter as a model of its own."""
        self._store.add_checkpoint(self._job_id, report.step, self._work_dir / report.adapter)

    def succeeded(self, report: Succeeded) -> bool:
        """Publish the adapter and the metrics; False, and nothing is kept, if the job is no longer running."""
        return self._store.succeed(
            self._job_id,
            adapter=self._work_dir / "adapter",
            results=result_csv(self._store.steps(self._job_id)),
            trained_tokens=report.trained_tokens,
        )


def result_csv(steps: Iterable[responses.Metrics]) -> bytes:
    """The result file: a row a step, RESULT_COLUMNS, and an empty cell where nothing was measured."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(RESULT_COLUMNS)
    for step in steps:
        cells = (step.get(name) for name in RESULT_COLUMNS.values())
        rows.writerow("" if value is None else round(value, 5) for value in cells)
    return text.getvalue().encode()
