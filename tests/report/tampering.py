"""A run directory to tamper with, and what a report says of it."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from pipeline.backends.client import Connection
from pipeline.config.file import load_config
from pipeline.config.settings import Config
from pipeline.durable import describe_artifact
from pipeline.process.clock import SystemClock
from pipeline.report.contents import Contents, gather
from pipeline.report.page import as_html, as_markdown
from pipeline.run.progress import Progress
from pipeline.state.file import State, digest
from tests.command import CI_CONFIG


class Run:
    """One run directory, and what a report says of it."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.config: Config = load_config(CI_CONFIG)

    @property
    def state(self) -> State:
        return State.load(self.run_dir)

    def contents(self, *, with_text: bool = False, set_: tuple[str, ...] = ()) -> Contents:
        config, state = load_config(CI_CONFIG, set_), self.state
        identity = Connection(config.backend, self.run_dir, SystemClock()).identity
        return gather(config, state, Progress(state, config, identity), with_text)

    def html(self, *, with_text: bool = False) -> str:
        return as_html(self.contents(with_text=with_text))

    def markdown(self, *, with_text: bool = False) -> str:
        return as_markdown(self.contents(with_text=with_text))

    def rewrite(self, name: str, change: Callable[[str], str]) -> None:
        """Change an artifact, and have the state vouch for it as if a step had written it so."""
        path, state = self.run_dir / name, self.state
        path.write_text(change(path.read_text()))
        for record in state.body.steps.values():
            record.artifacts = [describe_artifact(self.run_dir, each.path) for each in record.artifacts]
            record.stats = {}
        state.save()

    def change(self, step: str, **fields: object) -> None:
        """Change a step's record."""
        state = self.state
        state.body.steps[step] = msgspec.structs.replace(state.body.steps[step], **fields)
        state.save()

    def make(self, step: str, **fields: object) -> None:
        """Change what a step says it made."""
        output = {**(self.state.body.steps[step].output or {}), **fields}
        self.change(step, output=output, output_digest=digest(output))

    def forget(self, *steps: str) -> None:
        state = self.state
        for step in steps:
            del state.body.steps[step]
        state.save()
