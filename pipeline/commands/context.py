"""What stands around the work of every command: its words, its exit code, the run directory locked, the backend closed.

Imports nothing heavy until it is needed.
"""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from pipeline.errors import FinetuneError, Locked
from pipeline.process.signals import SignalStop, this_process
from pipeline.terminal.invocation import Invocation
from pipeline.terminal.streams import printable, say_aside, speak_to_nobody
from pipeline.terminal.style import Lines

if TYPE_CHECKING:
    from pipeline.config.settings import Config
    from pipeline.run.progress import Progress
    from pipeline.state.file import State
    from pipeline.steps.step import Work

_CLOSING = b"stopping; once more stops at once\n"


def say(text: str) -> None:
    """A line on standard output; a reader that has gone away has read enough."""
    try:
        typer.echo(printable(text))
    except OSError as error:
        from pipeline.durable import unusable

        speak_to_nobody()
        if not isinstance(error, BrokenPipeError):
            raise unusable(error, "standard output") from None


def fail(message: str, code: int) -> NoReturn:
    """End with a message on standard error."""
    lines = Lines(sys.stderr)
    for line in message.splitlines():
        say_aside(lines.line(("error: ", "bold red"), text=line))
    _flush()
    sys.exit(code)


def leave_stopped(stop: SignalStop) -> NoReturn:
    """End as a signal asked; at once, for what was cut short could still complain while Python takes itself apart."""
    if not stop.told:
        tell_stopped(stop, f"stopped by {stop}.")
    _flush()
    os._exit(128 + stop.signum)


def tell_stopped(stop: SignalStop, said: str) -> None:
    """Say on standard error what a stop leaves."""
    say_aside(Lines(sys.stderr).line(text=said, style="yellow"))
    stop.told = True


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        speak_to_nobody()


@contextlib.contextmanager
def in_words_of(called: Invocation) -> Iterator[None]:
    """Every foreseeable failure becomes one message, with commands as they can be typed here, and its exit code."""
    try:
        yield
    except FinetuneError as error:
        fail(called.typable(str(error)), error.exit_code)
    except OSError as error:
        from pipeline.durable import unusable

        refused = unusable(error)
        fail(called.typable(str(refused)), refused.exit_code)


@contextlib.contextmanager
def locked_state(
    config_path: Path, overrides: list[str] | None, beside: list[str] | None = None
) -> "Iterator[tuple[Config, State]]":
    """The config and the state, with the run directory locked.

    Args:
        beside: where given, a run at work is no hindrance: who it is is put in here, and nothing may be written.
    """
    from pipeline.config.file import load_config
    from pipeline.config.settings import run_directory
    from pipeline.durable import make_private_dir
    from pipeline.run.base_model import pinned
    from pipeline.state.file import State, locked

    called = Invocation.of(config_path, overrides)
    with in_words_of(called):
        config = load_config(config_path, called.overrides)
        run_dir = make_private_dir(run_directory(config.name))
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(run_dir))
            except Locked as busy:
                if beside is None:
                    raise
                beside.append(busy.holder)
            state = State.load(run_dir)
            yield pinned(config, state), state


@contextlib.contextmanager
def at_work(
    config_path: Path,
    overrides: list[str] | None,
    *,
    as_json: bool = False,
    runs: bool = False,
    aside: bool = False,
    asks: bool = False,
    beside: bool = False,
) -> "Iterator[tuple[Config, State, Work]]":
    """The run directory locked, signals handled, the log open; the backend is closed whatever happens.

    Args:
        runs: this is `finetune run`, so that a signal leaves something to go on with.
        aside: show on stderr what is done, and not what was done before: stdout is for something else.
        asks: this only asks about the run; how that ends is no part of the run's story, and run.log does not tell it.
        beside: where a run is at work already, stand beside it (Work.beside) and use its embedded server.
    """
    from pipeline.backends.client import SERVER_DIR, Connection
    from pipeline.backends.ledger import Ledger
    from pipeline.backends.lent import take_back
    from pipeline.process.clock import SystemClock, stamp
    from pipeline.run.base_model import pinned
    from pipeline.run.progress import Progress
    from pipeline.steps.step import Work
    from pipeline.terminal.display import Display, JsonDisplay, TextDisplay
    from pipeline.terminal.libraries import heard_by
    from pipeline.terminal.run_log import RunLog

    called = Invocation.of(config_path, overrides)
    command = called.command("run")
    clock, signals = SystemClock(), this_process
    others: list[str] = []
    with (
        locked_state(config_path, overrides, others if beside else None) as (config, state),
        contextlib.closing(RunLog(state.run_dir, say_aside)) as log,
        heard_by(lambda said: log.write(f"{stamp(clock)} {said}")),
    ):
        jobs = jobs_of(state)
        if not others:
            take_back(state.run_dir / SERVER_DIR)  # what a killed run left: we hold the lock
        display: Display = TextDisplay(log, clock, called, Lines(sys.stderr) if aside else None, is_aside=aside)
        if as_json:
            display = JsonDisplay(log, clock, called)
        owner = next(iter(others), None)
        connection = Connection(config.backend, state.run_dir, clock, config.create_job.model, owner, display.note)
        ledger = Ledger(state, connection, clock, signals, display.note)
        work = Work(state.run_dir, display, clock, connection, ledger, go_on=f"Go on with: {command}")
        if others:
            asks = True  # run.log is the other run's
            work = dataclasses.replace(work, beside=others[0], go_on=f"A run is at work here: {others[0]}.")
        try:
            with signals.handled():
                try:
                    yield config, state, work
                finally:
                    with signals.uninterrupted(_CLOSING):
                        display.end("")
                        connection.close()
        except SignalStop as stop:
            is_done = runs and Progress(state, pinned(config, state), connection.identity).is_done()
            left = left_to_do(state, jobs, connection.profile.free) if runs else ""
            said = f"stopped by {stop}{'; every step is done' if is_done else left}."
            if not asks:
                log.write(f"{stamp(clock)} {said}")
            if not stop.told:
                tell_stopped(stop, f"{said} Go on with: {command}" if runs and not is_done else said)
            raise
        except FinetuneError as error:
            if not asks:
                log.write(f"{stamp(clock)} error: {called.typable(str(error))}")
            raise


def read_only(config_path: Path, overrides: list[str] | None) -> "tuple[Config, State, Progress]":
    """The config and the state as they are, for a command that changes nothing."""
    called = Invocation.of(config_path, overrides)
    with in_words_of(called):
        return as_it_is(config_path, called.overrides)


def as_it_is(config_path: Path, overrides: Sequence[str] = ()) -> "tuple[Config, State, Progress]":
    """What `read_only` gives, for somebody who goes on where it fails.

    Raises:
        FinetuneError: the config has a mistake, or the state is damaged.
    """
    from pipeline.backends.client import Connection
    from pipeline.config.file import load_config
    from pipeline.config.settings import run_directory
    from pipeline.process.clock import SystemClock
    from pipeline.run.base_model import pinned
    from pipeline.run.progress import Progress
    from pipeline.state.file import State

    config = load_config(config_path, overrides)
    state = State.load(run_directory(config.name))
    config = pinned(config, state)
    identity = Connection(config.backend, state.run_dir, SystemClock()).identity
    return config, state, Progress(state, config, identity)


def jobs_of(state: "State") -> set[str]:
    """The ids of all jobs that are known."""
    return {each.remote_id for each in state.body.remote.values() if each.is_job and each.remote_id}


def left_to_do(state: "State", earlier: set[str], free: bool) -> str:
    """What a run that is stopped now leaves its job to do, in words; nothing where no job is concerned.

    Args:
        earlier: the jobs that were known when the run began.
        free: the backend is our own, and stops with us.
    """
    from pipeline.steps import STEPS

    running = {name for name, record in state.body.steps.items() if record.status == "running"}
    current = next((step for step in STEPS if step.name in running), None)
    bought = {step.name for step in STEPS if step.buys}
    # What waits for a job spoils the step that bought it.
    has_job = current is not None and (current.spoils in bought or (current.buys and bool(jobs_of(state) - earlier)))
    if not has_job:
        return ""
    return "; the job pauses at its checkpoint" if free else "; the job keeps running"
