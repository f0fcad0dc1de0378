"""Walks the steps: skip what is done, run the rest, record it. The only place that decides."""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Literal

import msgspec

from pipeline import failpoints
from pipeline.clock import stamp
from pipeline.config.settings import Config
from pipeline.durable import DISK_ERRORS, unusable
from pipeline.errors import FinetuneError, InputError, RemoteEnded, StateDamaged
from pipeline.run.progress import _CREATE_JOB, NEVER_RAN, Progress
from pipeline.run.purchase import FREE, generation_of, give_up_others
from pipeline.signals import this_process
from pipeline.state.file import State, StepRecord, digest, stat_of
from pipeline.steps import STEPS
from pipeline.steps.outputs import Convert, CreateJob, Output, artifacts_of
from pipeline.steps.poll_job import remove_files
from pipeline.steps.step import Step, Work


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
            work.display.skipped(number, len(STEPS), step.name, progress.output(step.output).summary())
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
    if not config.upload.cleanup:
        return
    created = Progress(state, config, work.connection.identity).output(CreateJob)
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
        output = step.run(config, *(progress.output(each.output) for each in _needs(step)), work)
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


def _needs(step: Step) -> list[Step]:
    return [each for name in step.needs for each in STEPS if each.name == name]


def _generation(why: str, config: Config, state: State, progress: Progress, work: Work, steps: Range) -> int:
    convert = progress.output(Convert)
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
