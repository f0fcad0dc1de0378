"""What is known of each step before it runs."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from pipeline.config.settings import Config
from pipeline.errors import InputError
from pipeline.run.purchase import FREE
from pipeline.state.file import Attempt, Json, State, StepRecord
from pipeline.steps import step_named, step_of, steps_of
from pipeline.steps.outputs import Deploy, Output, PollJob
from pipeline.steps.step import Step

T = TypeVar("T", bound=Output)

NEVER_RAN = "it has not run yet"
IF_BEFORE = "if a step before it makes something else"


class Progress:
    """What is known of each step of one run directory: its output, and why it would run again.

    Attributes:
        steps: those of a run with this config, in order.
    """

    def __init__(self, state: State, config: Config, identity: str) -> None:
        self._state = state
        self._config = config
        self._identity = identity
        self.steps = steps_of(config)

    def declared(self, step: Step) -> dict[str, Json]:
        """The declared config; for a remote step also the account that its result belongs to."""
        found = step.declared(self._config)
        return {**found, "backend": self._identity} if step.remote else found

    def needs(self, step: Step) -> dict[str, str] | None:
        """The digests of what the step builds on; None if something is not there."""
        found = {}
        for name in (*step.needs, *self.there(step.maybe)):
            record = self._state.body.steps.get(name)
            if record is None or record.status != "done" or record.output_digest is None:
                return None
            found[name] = record.output_digest
        return found

    def there(self, names: tuple[str, ...]) -> list[str]:
        """Those of these steps that a run with this config has."""
        wanted = {step.name for step in self.steps}
        return [name for name in names if name in wanted]

    def why(self, step: Step) -> str | None:
        """Why the step would run, or None if it is done and intact."""
        record = self._state.body.steps.get(step.name)
        needs = self.needs(step)
        if record is None:
            return NEVER_RAN
        if record.status == "running":
            return "it was interrupted"
        if record.status == "failed":
            return "it failed"
        if record.stale is not None:
            return record.stale
        # From here on the step is done; what decides is whether it would make the same again, cheapest looks first.
        if record.version != step.version:
            return "this version of finetune does it differently"
        changed = _difference(record.declared, self.declared(step))
        if changed is not None:
            return changed
        # Only where a step that needs it runs again: a file that has served its job may be gone.
        users = [step_named(name) for name in self.there(step.sent_for)]
        if users and (gone := self._removed(record)) and any(self.why(user) is not None for user in users):
            return f"its {'file' if gone.is_file else 'deployment'} was removed from the backend"
        # What it was made of, by content: a step that ran again and made the same changes nothing.
        if needs is None:
            return "a step before it is not done"
        for name, made in needs.items():
            if record.needs.get(name) != made:
                return f"{name} made something else"
        return self._state.intact(record)

    def is_done(self) -> bool:
        """Whether a run would find nothing to do."""
        return all(self.why(step) is None for step in self.steps)

    def _removed(self, record: StepRecord) -> Attempt | None:
        """What the step made on the backend, if we removed it from there."""
        ids, made = (record.output or {}).values(), self._state.body.remote.values()
        return next((each for each in made if each.deleted and each.remote_id in ids), None)

    def record(self, kind: type[Output]) -> StepRecord | None:
        """The last run of the step whose output is a `kind`."""
        return self._state.body.steps.get(step_of(kind).name)

    def output(self, kind: type[T]) -> T:
        """What the step whose output is a `kind` made.

        Raises:
            InputError: it is not done, or was made by another version.
        """
        record = self.record(kind)
        if record is None or record.status != "done":
            raise _not_done(step_of(kind))
        return self.last_output(kind)

    def last_output(self, kind: type[T]) -> T:
        """What that step made when it was last done; it may be at work on another one.

        Raises:
            InputError: it never was, or it was made by another version.
        """
        step = step_of(kind)
        record = self.record(kind)
        if record is None or record.last_made is None:
            raise _not_done(step)
        try:
            return msgspec.convert(record.last_made.output, kind)
        except msgspec.ValidationError:
            raise InputError(
                step.name,
                "recorded by another version of finetune",
                fix=f"Run `finetune run CONFIG --from {step.name}`.",
            ) from None

    def asked_as(self, where: str) -> str:
        """The name by which the tuned model is asked for: its own, or that of its deployment.

        Raises:
            InputError: see `output_here`.
        """
        if any(step.output is Deploy for step in self.steps):
            return self.output_here(Deploy, where).name
        return self.output_here(PollJob, where).model

    def output_here(self, kind: type[T], where: str) -> T:
        """What a remote step made on the backend that the config names, when it was last done.

        Raises:
            InputError: see `last_output`; or another backend has it.
        """
        step = step_of(kind)
        output, made = self.last_output(kind), self._state.body.steps[step.name].last_made
        there = str(made.declared.get("backend")) if made else ""
        if there != self._identity:
            raise InputError(
                where,
                f"{step.name} was done with {_backend(there)}, and the config now means {_backend(self._identity)}",
                fix="Use the config of then, or `finetune run CONFIG` to train with this one.",
            )
        return output


def _not_done(step: Step) -> InputError:
    return InputError(step.name, "not done yet", fix="Run `finetune run CONFIG` first.")


def _difference(before: Mapping[str, Json], now: Mapping[str, Json]) -> str | None:
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if old != new:
            return f"{key} changed from {_shown(old)} to {_shown(new)}"
    return None


def _shown(value: Json) -> str:
    if value is None:
        return "its default"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "…"


def _backend(identity: str) -> str:
    return "the embedded server of this run" if identity.startswith(FREE) else identity
