"""Walks the steps: skip what is done, run the rest, record it. The only place that decides."""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from pipeline import failpoints
from pipeline.clock import stamp
from pipeline.config import Config
from pipeline.durable import DISK_ERRORS, unusable
from pipeline.errors import FinetuneError, InputError, RemoteEnded, StateDamaged
from pipeline.purchase import FREE, generation_of, give_up_others
from pipeline.signals import this_process
from pipeline.state import Json, State, StepRecord, digest, stat_of
from pipeline.steps import STEPS
from pipeline.steps.outputs import Convert, CreateJob, Output, artifacts_of
from pipeline.steps.poll_job import remove_files
from pipeline.steps.step import Step, Work

_CREATE_JOB = next(step for step in STEPS if step.name == "create_job")
NEVER_RAN = "it has not run yet"
IF_BEFORE = "if a step before it makes something else"


@dataclasses.dataclass(frozen=True)
class Range:
    """Which steps to consider.

    Attributes:
        first: run this step again even if it is done; those before it must be done.
        last: stop after this one.
        new_job: buy another training on purpose.
        option: how the user named `first`.
    """

    first: str | None = None
    last: str | None = None
    new_job: bool = False
    option: Literal["--from", "--only"] = "--from"

    @classmethod
    def parse(cls, first: str | None, last: str | None, only: str | None, new_job: bool) -> "Range":
        """Check the names of --from, --until and --only.

        Raises:
            InputError: no such step, the range is empty, --only stands beside the others, or --new-job has no effect.
        """
        names = [step.name for step in STEPS]
        for option, name in (("--from", first), ("--until", last), ("--only", only)):
            if name is not None and name not in names:
                raise InputError(option, "no such step", got=name, fix=f"The steps are: {', '.join(names)}.")
        if only is not None:
            if first is not None or last is not None:
                raise InputError("--only", "goes alone", fix="Leave out --from and --until.")
            first = last = only
        if first is not None and last is not None and names.index(first) > names.index(last):
            raise InputError("--until", f"{last} comes before {first}", fix="Swap them.")
        chosen = names[names.index(first or names[0]) : names.index(last or names[-1]) + 1]
        if new_job and _CREATE_JOB.name not in chosen:
            raise InputError(
                "--new-job",
                f"create_job is not among the steps to run ({', '.join(chosen)})",
                fix="Leave --new-job out, or choose steps with create_job among them.",
            )
        return cls(first, last, new_job, "--from" if only is None else "--only")


class Progress:
    """What is known of each step of one run directory: its output, and why it would run again."""

    def __init__(self, state: State, config: Config, identity: str) -> None:
        self._state = state
        self._config = config
        self._identity = identity

    def declared(self, step: Step) -> dict[str, Json]:
        """The declared config; for a remote step also the account that its result belongs to."""
        found = step.declared(self._config)
        return {**found, "backend": self._identity} if step.remote else found

    def needs(self, step: Step) -> dict[str, str] | None:
        """The digests of what the step builds on; None if something is not there."""
        found = {}
        for name in step.needs:
            record = self._state.body.steps.get(name)
            if record is None or record.status != "done" or record.output_digest is None:
                return None
            found[name] = record.output_digest
        return found

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
        if record.version != step.version:
            return "this version of finetune does it differently"
        changed = _difference(record.declared, self.declared(step))
        if changed is not None:
            return changed
        if step.name == "upload" and self._file_was_removed(record) and self.why(_CREATE_JOB) is not None:
            return "its file was removed from the backend"
        if needs is None:
            return "a step before it is not done"
        for name, made in needs.items():
            if record.needs.get(name) != made:
                return f"{name} made something else"
        return self._state.intact(record)

    def is_done(self) -> bool:
        """Whether a run would find nothing to do."""
        return all(self.why(step) is None for step in STEPS)

    def _file_was_removed(self, record: StepRecord) -> bool:
        ids = (record.output or {}).values()
        return any(attempt.deleted and attempt.remote_id in ids for attempt in self._state.body.remote.values())

    def output(self, name: str) -> Output:
        """What a done step made.

        Raises:
            InputError: it is not done, or was made by another version.
        """
        record = self._state.body.steps.get(name)
        if record is None or record.status != "done":
            raise InputError(name, "not done yet", fix="Run `finetune run CONFIG` first.")
        return self.last_output(name)

    def last_output(self, name: str) -> Output:
        """What a step made when it was last done; it may be at work on another one.

        Raises:
            InputError: it never was, or it was made by another version.
        """
        step = next(step for step in STEPS if step.name == name)
        record = self._state.body.steps.get(name)
        if record is None or record.last_made is None:
            raise InputError(name, "not done yet", fix="Run `finetune run CONFIG` first.")
        try:
            return msgspec.convert(record.last_made.output, step.output)
        except msgspec.ValidationError:
            raise InputError(
                name, "recorded by another version of finetune", fix=f"Run `finetune run CONFIG --from {name}`."
            ) from None

    def output_here(self, name: str, where: str) -> Output:
        """What a remote step made on the backend that the config names, when it was last done.

        Raises:
            InputError: see `last_output`; or another backend has it.
        """
        output, made = self.last_output(name), self._state.body.steps[name].last_made
        there = str(made.declared.get("backend")) if made else ""
        if there != self._identity:
            raise InputError(
                where,
                f"{name} was done with {_backend(there)}, and the config now means {_backend(self._identity)}",
                fix="Use the config of then, or `finetune run CONFIG` to train with this one.",
            )
        return output


def run(config: Config, state: State, work: Work, steps: Range) -> None:
    """Bring every step in range up to date.

    Raises:
        FinetuneError: a step could not be done; the state says so, and running again goes on there.
    """
    names = [step.name for step in STEPS]
    begin = names.index(steps.first) if steps.first else 0
    end = names.index(steps.last) if steps.last else len(STEPS) - 1
    progress = Progress(state, config, work.connection.identity)
    _require_key(progress, work, STEPS[begin : end + 1])
    for number, step in enumerate(STEPS[: end + 1], start=1):
        why = progress.why(step)
        if number - 1 < begin:
            if why is not None:
                raise InputError(
                    f"{steps.option} {steps.first}",
                    f"{step.name} comes first and has to run ({why})",
                    fix=f"Run `--from {step.name}`, or without {steps.option}.",
                )
            continue
        if why is None and step.name == steps.first:
            why = "asked for"
        if why is None and steps.new_job and step.name == "create_job":
            why = "--new-job"
        if why is None:
            work.display.skipped(number, len(STEPS), step.name, progress.output(step.name).summary())
            if step.name == "poll_job":
                _clean_up(config, state, work)
            continue
        _run_step(number, step, why, config, state, work, steps)
        # The embedded store has its identity from its first start on.
        progress = Progress(state, config, work.connection.identity)
    # What was verified anew is worth remembering, where the disk allows it: the next run need not hash it again.
    if state.refreshed:
        with contextlib.suppress(StateDamaged):
            state.save()


def _clean_up(config: Config, state: State, work: Work) -> None:
    """Remove the files of a job that succeeded, if `upload.cleanup` was switched on only afterwards."""
    created = Progress(state, config, work.connection.identity).output("create_job")
    if not config.upload.cleanup or not isinstance(created, CreateJob):
        return
    account = work.connection.identity
    there = {each.remote_id for each in state.body.remote.values() if each.account == account and not each.deleted}
    if there & {created.train_file, created.valid_file} - {None}:
        remove_files(created, work)


def _require_key(progress: Progress, work: Work, steps: Sequence[Step]) -> None:
    """A missing key is said before the work is done, not after."""
    if work.connection.profile.key_env and any(step.remote for step in steps) and any(map(progress.why, steps)):
        work.connection.open()


def _run_step(number: int, step: Step, why: str, config: Config, state: State, work: Work, steps: Range) -> None:
    work.display.started(step.name, None if why == NEVER_RAN else why)
    if step.remote:
        work.connection.open()
    progress = Progress(state, config, work.connection.identity)
    if step.name == "create_job":
        work = dataclasses.replace(work, generation=_generation(why, config, state, progress, work, steps))
    declared, needs = progress.declared(step), progress.needs(step)
    if needs is None:
        raise InputError(step.name, "a step before it is not done", fix="Run `finetune run CONFIG`.")
    before = state.body.steps.get(step.name)
    record = StepRecord(
        status="running",
        fingerprint=step.fingerprint(declared, needs),
        version=step.version,
        declared=declared,
        needs=needs,
        started_at=stamp(work.clock),
        attempts=before.attempts + 1 if before and before.status != "done" else 1,
        earlier=before.last_made if before else None,
    )
    state.body.steps[step.name] = record
    state.save()
    failpoints.hit("step.begin")
    start = work.clock.monotonic()
    work = dataclasses.replace(work, goes_on=bool(before and before.status != "done" and before.needs == needs))
    try:
        output = step.run(config, *(progress.output(name) for name in step.needs), work)
    except FinetuneError as error:
        this_process.stop_if_asked()
        _failed(step, record, error, state)
        raise
    except OSError as error:
        this_process.stop_if_asked()
        refused = unusable(error, step.name)
        if error.errno in DISK_ERRORS:
            refused = StateDamaged(
                step.name,
                f"the disk refuses ({error.strerror})",
                fix=f"Free some space or mend the disk. Nothing that was done is lost. {work.go_on}",
            )
        _failed(step, record, refused, state)
        raise refused from None
    record.seconds = round(work.clock.monotonic() - start, 3)
    failpoints.hit("step.made")
    _done(record, output, state, work)
    failpoints.hit("step.done")
    work.display.finished(number, len(STEPS), step.name, output.summary(), record.seconds)


def _generation(why: str, config: Config, state: State, progress: Progress, work: Work, steps: Range) -> int:
    convert = progress.output("convert")
    if not isinstance(convert, Convert):
        raise TypeError(f"convert made {convert!r}")
    generation = generation_of(config, convert, state, work, why, steps.new_job)
    if work.connection.profile.free and not state.body.rebuilt:
        give_up_others(config, convert, state, work, generation)
    return generation


def _failed(step: Step, record: StepRecord, error: FinetuneError, state: State) -> None:
    record.status, record.error = "failed", str(error)
    spoilt = state.body.steps.get(step.spoils or "")
    if isinstance(error, RemoteEnded) and spoilt is not None:
        spoilt.stale = f"{step.name} failed"
        _end(state, step.spoils or "")
    # On a disk that refuses, the state on it stays as it is: the step counts as interrupted.
    if not isinstance(error, StateDamaged):
        state.save()


def _done(record: StepRecord, output: Output, state: State, work: Work) -> None:
    record.status, record.finished_at = "done", stamp(work.clock)
    record.output = msgspec.to_builtins(output)
    record.output_digest, record.earlier = digest(record.output), None
    record.artifacts = artifacts_of(output)
    for artifact in record.artifacts:
        stat = stat_of(state.run_dir / artifact.path)
        if stat is not None:
            record.stats[artifact.path] = stat
    state.save()


def forget(state: State, name: str) -> Sequence[str]:
    """Drop the record of a step and of all after it; their artifacts stay. Returns the names forgotten.

    Where training is free the next job is a new one; where it is not, the job that was paid for is found again.

    Raises:
        InputError: no such step.
    """
    names = [step.name for step in STEPS]
    if name not in names:
        raise InputError("forget", "no such step", got=name, fix=f"The steps are: {', '.join(names)}.")
    gone = [each for each in names[names.index(name) :] if state.body.steps.pop(each, None) is not None]
    remote = state.body.remote
    state.body.remote = {op: each for op, each in remote.items() if each.step not in gone or each.step != "upload"}
    if "create_job" in gone:
        for attempt in state.body.remote.values():
            if attempt.step == "create_job" and attempt.account.startswith(FREE):
                attempt.ended = True
    state.save()
    return gone


def resolve(state: State, step: str, adopt: str | None) -> None:
    """Settle by hand what became of a request that was never answered: adopt its id, or say that nothing came of it.

    Raises:
        InputError: no request of this step is open.
    """
    waiting = [each for each in state.body.remote.values() if each.step == step and each.tries and not each.remote_id]
    if not waiting:
        raise InputError(
            f"resolve {step}", "nothing is undecided there", fix="`finetune status CONFIG` shows each step."
        )
    for attempt in waiting:
        if adopt is None:
            attempt.tries = 0
        else:
            attempt.remote_id, attempt.how = adopt, "adopted"
    state.save()


def _end(state: State, step: str) -> None:
    """What the step made remotely has come to nothing: it is not to be found again."""
    record = state.body.steps[step]
    for attempt in state.body.remote.values():
        if step == "create_job" and attempt.remote_id and attempt.remote_id == (record.output or {}).get("job"):
            attempt.ended = True


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


def run_directory(name: str) -> Path:
    """Where a run lives, relative to the working directory."""
    return Path("runs") / name
