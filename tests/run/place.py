"""A run directory and the server that it uses: what `finetune run` does, in this process, one call a command."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import failpoints
from pipeline.backends.client import Connection
from pipeline.backends.ledger import Ledger
from pipeline.config.settings import Config
from pipeline.process.signals import Signals
from pipeline.run.progress import Progress
from pipeline.run.runner import Range, run
from pipeline.state.file import State, locked
from pipeline.steps.step import Work
from pipeline.terminal.display import TextDisplay
from tests.conftest import FakeClock
from tests.fault_server import FaultServer


class Killed(BaseException):
    """Nobody catches it: what is on the disk is what a killed process leaves."""


class Told(TextDisplay):
    """Keeps what a run shows."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(None, clock)
        self.notes: list[str] = []
        self.why: dict[str, str | None] = {}
        self.did: list[str] = []
        self.before: list[str] = []

    @property
    def heads(self) -> list[str]:
        """Number, total and name of each step that was done or done before, such as "10/10 smoke_test"."""
        return [*self.before, *self.did]

    @property
    def ran(self) -> list[str]:
        return [head.split()[1] for head in self.did]

    def started(self, step: str, why: str | None) -> None:
        self.why[step] = why

    def skipped(self, number: int, total: int, step: str, summary: str) -> None:  # noqa: ARG002 - as a display is called
        self.before.append(f"{number}/{total} {step}")

    def finished(self, number: int, total: int, step: str, summary: str, seconds: float) -> None:  # noqa: ARG002
        self.did.append(f"{number}/{total} {step}")

    def note(self, text: str) -> None:
        if "replies to learn" not in text:  # what to expect of the sample, said before every job
            self.notes.append(text)

    def progress(self, done: float, total: float | None, text: str) -> None:
        pass

    def speaker(self, label: str) -> None:
        pass

    def speech(self, text: str) -> None:
        pass


class Place:
    """Each call of `run` begins with what the disk and the server know, as a process of its own does.

    Attributes:
        sections: the config, as its file would have it.
        told: what the last run showed.
        free: the backend costs nothing, as our own does.
    """

    def __init__(self, run_dir: Path, server: FaultServer, clock: FakeClock) -> None:
        self.run_dir, self.server, self.clock = run_dir, server, clock
        self.free = False
        self.model: type[Config] = Config
        self.sections: dict[str, Any] = {
            "name": "x",
            "backend": {"kind": "compatible", "base_url": server.base_url},
            "map": {"assistant": "Tortoise"},
            "create_job": {"model": "gpt-4.1-nano"},
            "smoke_test": {"compare_base": False},
        }
        self.told = Told(clock)

    def change(self, section: str, **keys: Any) -> None:
        self.sections[section] = {**self.sections.get(section, {}), **keys}

    @property
    def config(self) -> Config:
        return self.model.model_validate(self.sections)

    @property
    def jobs(self) -> list[str]:
        """The jobs that were bought, in order."""
        return [job["id"] for job in self.server.jobs]

    def state(self) -> State:
        return State.load(self.run_dir)

    def why(self) -> dict[str, str | None]:
        """Why each step would run, as a command of its own sees it."""
        with self.work() as (config, state, work):
            progress = Progress(state, config, work.connection.identity)
            return {step.name: progress.why(step) for step in progress.steps}

    @contextlib.contextmanager
    def work(self) -> Iterator[tuple[Config, State, Work]]:
        """The config, the state and what a step works with, as a command of its own has them."""
        with locked(self.run_dir):
            yield from self._locked()

    def _locked(self) -> Iterator[tuple[Config, State, Work]]:
        state, self.told = self.state(), Told(self.clock)
        connection = Connection(self.config.backend, self.run_dir, self.clock)
        if self.free:
            connection.profile = dataclasses.replace(connection.profile, free=True)
        ledger = Ledger(state, connection, self.clock, Signals(), self.told.note)
        try:
            yield self.config, state, Work(self.run_dir, self.told, self.clock, connection, ledger, "Go on.")
        finally:
            connection.close()

    def run(self, first: str | None = None, last: str | None = "create_job", *, new_job: bool = False) -> Told:
        """`finetune run --from first --until last`, to the job that is bought unless said otherwise."""
        with self.work() as (config, state, work):
            run(config, state, work, Range.parse(config, first, last, None, new_job))
        return self.told

    def die_at(self, point: failpoints.Point, step: str = "", **keys: Any) -> None:
        """Run until `step` reaches that point, and no further."""

        def armed(reached: failpoints.Point) -> None:
            if reached == point and (not step or step in self.told.why):
                raise Killed

        failpoints.arm(armed)
        try:
            self.run(**keys)
        except Killed:
            return
        finally:
            failpoints.arm(None)
        raise AssertionError(f"{point} was not reached")
