"""What one step is given: a config, a run directory, a server, and nothing of the steps before it."""

from pathlib import Path
from typing import Any

from pipeline.backends.client import Connection
from pipeline.backends.ledger import Ledger
from pipeline.config.settings import Config
from pipeline.dataset.funnel import Tally, funnel
from pipeline.durable import Artifact, describe_artifact
from pipeline.process.clock import SystemClock
from pipeline.process.signals import Signals
from pipeline.state.file import State
from pipeline.steps.outputs import Convert
from pipeline.steps.step import Work
from pipeline.terminal.display import TextDisplay
from tests.conftest import FakeClock
from tests.fault_server import FaultServer


class Notes(TextDisplay):
    """Keeps what a person would read."""

    def __init__(self) -> None:
        super().__init__(None, SystemClock())
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, done: float, total: float | None, text: str) -> None:
        if done <= (total or 0):
            self.notes.append(text)

    def speaker(self, label: str) -> None:
        self.notes.append(f"{label}: ")

    def speech(self, text: str) -> None:
        self.notes[-1] += text


class Bench:
    """A step's surroundings, in `run_dir`."""

    def __init__(self, run_dir: Path, server: FaultServer, clock: FakeClock) -> None:
        self.run_dir, self.server, self.display = run_dir, server, Notes()
        backend = {"kind": "compatible", "base_url": server.base_url}
        self._sections: dict[str, Any] = {"name": "x", "backend": backend, "create_job": {"model": "m"}}
        self.connection = Connection(self.config().backend, run_dir, clock)
        self.state = State.load(run_dir)
        self.ledger = Ledger(self.state, self.connection, clock, Signals(), self.display.note)
        self.work = Work(run_dir, self.display, clock, self.connection, self.ledger, go_on="Go on.")

    @property
    def notes(self) -> list[str]:
        return self.display.notes

    def config(self, **sections: dict[str, Any]) -> Config:
        """The config with these sections."""
        changed = {name: {**self._sections.get(name, {}), **keys} for name, keys in sections.items()}
        return Config.model_validate({**self._sections, **changed})

    def put(self, name: str, content: bytes) -> Artifact:
        """An artifact of an earlier step."""
        (self.run_dir / name).write_bytes(content)
        return describe_artifact(self.run_dir, name)

    def read(self, artifact: Artifact) -> bytes:
        """An artifact that was made, as it was described."""
        assert describe_artifact(self.run_dir, artifact.path) == artifact
        return (self.run_dir / artifact.path).read_bytes()


def made_by_convert(bench: Bench, valid: bool = False, tokens: int = 99) -> Convert:
    """Ten examples, whatever they are."""
    tally = Tally()
    tally.target, tally.context = 10, 10
    train = bench.put("05_train.jsonl", b"train\n")
    held_out = bench.put("05_valid.jsonl", b"valid\n") if valid else None
    return Convert(train, held_out, 10, 0, tokens, 9, 9, 11, False, {}, funnel(20, {}, tally, Tally()), None, True)
