"""Walks the steps: skip what is done, run the rest, record it. The only place that decides."""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Literal

import msgspec

from pipeline import failpoints
from pipeline.config.settings import Config
from pipeline.durable import DISK_ERRORS, unusable
from pipeline.errors import FinetuneError, InputError, RemoteEnded, StateDamaged
from pipeline.process.clock import stamp
from pipeline.process.signals import this_process
from pipeline.run.base_model import settle
from pipeline.run.progress import NEVER_RAN, Progress
from pipeline.run.purchase import FREE, generation_of, give_up_others, mind_closing
from pipeline.state.file import State, StepRecord, digest, stat_of
from pipeline.steps import STEPS, step_named, steps_of
from pipeline.steps.outputs import Convert, Output, artifacts_of
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
    def parse(cls, config: Config, first: str | None, last: str | None, only: str | None, new_job: bool) -> "Range":
        """Check the names of --from, --until and --only.

        Raises:
            InputError: no such step in a run with this config, the range is empty, --only stands beside the others, or
                --new-job has no effect.
        """
        names = [step.name for step in steps_of(config)]
        for option, name in (("--from", first), ("--until", last), ("--only", only)):
            if name is not None:
                _require_step(option, name, config)
        if only is not None:
            if first is not None or last is not None:
                raise InputError("--only", "goes alone", fix="Leave out --from and --until.")
            first = last = only
        if first is not None and last is not None and names.index(first) > names.index(last):
            raise InputError("--until", f"{last} comes before {first}", fix="Swap them.")
        chosen = names[names.index(first or names[0]) : names.index(last or names[-1]) + 1]
        buying = next(step.name for step in STEPS if step.buys)
        if new_job and buying not in chosen:
            raise InputError(
                "--new-job",
                f"{buying} is not among the steps to run ({', '.join(chosen)})",
                fix=f"Leave --new-job out, or choose steps with {buying} among them.",
            )
        return cls(first, last, new_job, "--from" if only is None else "--only")


def _require_step(where: str, name: str, config: Config) -> None:
    names = [step.name for step in steps_of(config)]
    if name in names:
        return
    absent = next((step for step in STEPS if step.name == name), None)
    if absent is not None:
        what = f"no step of this run, for its config has no section `{absent.section}`"
        raise InputError(where, what, got=name, fix="Add that section, or choose another step.")
    raise InputError(where, "no such step", got=name, fix=f"The steps are: {', '.join(names)}.")


def run(config: Config, state: State, work: Work, chosen: Range) -> None:
    """Bring every step in range up to date.

    Raises:
        FinetuneError: a step could not be done; the state says so, and running again goes on there.
    """
    progress = Progress(state, config, work.connection.identity)
    steps = progress.steps
    names = [step.name for step in steps]
    begin = names.index(chosen.first) if chosen.first else 0
    end = names.index(chosen.last) if chosen.last else len(steps) - 1
    needed, in_range = _needed_by(steps[begin], progress), steps[begin : end + 1]
    _require_key(progress, work, in_range)
    for step in in_range:
        if step.before_all is not None and (progress.why(step) or step.name == chosen.first):
            step.before_all(config, work)
    to_run = [step for step in in_range if progress.why(step) or step.name == chosen.first or chosen.new_job]
    if to_run:
        mind_closing(config, state, work, buys=any(step.buys for step in to_run), new_job=chosen.new_job)
    config = settle(config, state, work, [step for step in in_range if progress.why(step) or step.name == chosen.first])
    progress = Progress(state, config, work.connection.identity)
    for number, step in enumerate(steps[: end + 1], start=1):
        why = progress.why(step)
        if number - 1 < begin:
            if why is not None and step.name in needed:
                raise InputError(
                    f"{chosen.option} {chosen.first}",
                    f"{step.name} comes first and has to run ({why})",
                    fix=f"Run `--from {step.name}`, or without {chosen.option}.",
                )
            continue
        if why is None and step.name == chosen.first:
            why = "asked for"
        if why is None and chosen.new_job and step.buys:
            why = "--new-job"
        if why is None:
            work.display.skipped(number, len(steps), step.name, progress.output(step.output).summary())
            if step.after_skip is not None:
                step.after_skip(config, *_inputs(step, progress), work)
            continue
        try:
            _run_step(number, step, why, config, state, work, chosen)
        except FinetuneError:
            for other in steps:
                if other.when_failed is not None:
                    other.when_failed(config, work)
            raise
        # The embedded store has its identity from its first start on.
        progress = Progress(state, config, work.connection.identity)
    if any(step.at_end for step in steps) and progress.is_done():
        for step in steps:
            if step.at_end is not None:
                step.at_end(config, *_inputs(step, progress), work)
    # What was verified anew is worth remembering, where the disk allows it: the next run need not hash it again.
    if state.refreshed:
        with contextlib.suppress(StateDamaged):
            state.save()


def _needed_by(step: Step, progress: Progress) -> set[str]:
    """What must be done before a step, by name."""
    direct = {*step.needs, *progress.there(step.maybe)}
    return direct.union(*(_needed_by(step_named(name), progress) for name in direct))


def _require_key(progress: Progress, work: Work, steps: Sequence[Step]) -> None:
    """A missing key is said before the work is done, not after."""
    if work.connection.profile.key_env and any(step.remote for step in steps) and any(map(progress.why, steps)):
        work.connection.open()


def _run_step(number: int, step: Step, why: str, config: Config, state: State, work: Work, chosen: Range) -> None:
    work.display.started(step.name, None if why == NEVER_RAN else why)
    if step.remote:
        work.connection.open()
    progress = Progress(state, config, work.connection.identity)
    if step.buys:
        work = dataclasses.replace(work, generation=_generation(why, config, state, progress, work, chosen.new_job))
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
        output = step.run(config, *_inputs(step, progress), work)
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
    work.display.finished(number, len(progress.steps), step.name, output.summary(), record.seconds)


def _inputs(step: Step, progress: Progress) -> list[Output | None]:
    there = progress.there(step.maybe)
    maybe = [progress.output(step_named(name).output) if name in there else None for name in step.maybe]
    return [*(progress.output(step_named(name).output) for name in step.needs), *maybe]


def _generation(why: str, config: Config, state: State, progress: Progress, work: Work, new_job: bool) -> int:
    convert = progress.output(Convert)
    generation = generation_of(config, convert, state, work, why, new_job)
    if work.connection.profile.free and not state.body.rebuilt:
        give_up_others(config, convert, state, work, generation)
    return generation


def _failed(step: Step, record: StepRecord, error: FinetuneError, state: State) -> None:
    record.status, record.error = "failed", str(error)
    spoilt = state.body.steps.get(step.spoils or "")
    if isinstance(error, RemoteEnded) and spoilt is not None:
        spoilt.stale = f"{step.name} failed"
        _end(state, step_named(step.spoils or ""))
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


def forget(config: Config, state: State, name: str) -> Sequence[str]:
    """Drop the record of a step and of all after it; their artifacts stay. Returns the names forgotten.

    Where training is free the next job is a new one; where it is not, the job that was paid for is found again.

    Raises:
        InputError: no such step.
    """
    _require_step("forget", name, config)
    after = STEPS[STEPS.index(step_named(name)) :]  # also what an earlier config had, and this one has not
    gone = [step for step in after if state.body.steps.pop(step.name, None) is not None]
    if any(step.buys for step in gone):
        state.body.models.clear()  # what the Hub has now is asked for anew
    sent = {step.name for step in gone if not step.buys}
    bought = {step.name for step in gone if step.buys}
    # A deployment stays written down: it may cost money, and only what is written down is removed.
    kept = {op: each for op, each in state.body.remote.items() if each.step not in sent or not each.is_file}
    state.body.remote = kept
    for attempt in state.body.remote.values():
        if attempt.step in bought and attempt.account.startswith(FREE):
            attempt.ended = True
    state.save()
    return [step.name for step in gone]


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


def _end(state: State, step: Step) -> None:
    """What the step bought has come to nothing: it is not to be found again."""
    made = list((state.body.steps[step.name].output or {}).values())
    for attempt in state.body.remote.values():
        if step.buys and attempt.step == step.name and attempt.remote_id and attempt.remote_id in made:
            attempt.ended = True
