"""What the steps of a run have made, whether or not the run is finished."""

from typing import TypeVar

import msgspec

from pipeline.run.progress import Progress
from pipeline.state.file import State, StepRecord
from pipeline.steps import step_of
from pipeline.steps.outputs import Output
from pipeline.steps.step import Step

T = TypeVar("T", bound=Output)


class Made:
    """The outputs that can be shown: recorded as done, with their artifacts as they were written.

    A config that was changed since takes nothing away: the report shows what was made.
    """

    def __init__(self, state: State, progress: Progress) -> None:
        self._state = state
        self._progress = progress
        self.run_dir = state.run_dir

    def get(self, kind: type[T]) -> T | None:
        """What the step whose output is a `kind` made, or None."""
        record = self._progress.record(kind)
        if record is None or record.status != "done" or self._state.intact(record) is not None:
            return None
        try:
            return msgspec.convert(record.output, kind)
        except msgspec.ValidationError:
            return None

    def missing(self, kind: type[Output]) -> str | None:
        """Why there is nothing to show of that step, as a clause that begins with its name; None if there is."""
        if self.get(kind) is not None:
            return None
        name, record = step_of(kind).name, self._progress.record(kind)
        if record is None:
            return f"{name} has not run yet"
        if record.status == "running":
            return f"{name} is at work, or was interrupted"
        if record.status == "failed":
            return f"{name} failed"
        trouble = self._state.intact(record)
        return f"{name} is done, but {trouble or 'it was recorded by another version of finetune'}"

    def pending(self) -> list[tuple[str, str]]:
        """The steps that another run would run, each with the reason that the runner gives. May hold names."""
        reasons = ((step.name, self._progress.why(step)) for step in self._progress.steps)
        return [(name, why) for name, why in reasons if why is not None]

    def records(self) -> list[tuple[Step, StepRecord | None]]:
        """Every step, in order, with its record."""
        return [(step, self._state.body.steps.get(step.name)) for step in self._progress.steps]
