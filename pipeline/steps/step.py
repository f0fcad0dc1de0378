"""A step as data, and what it works with."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from pipeline.backends.client import Connection
from pipeline.backends.ledger import Ledger
from pipeline.config.settings import Config
from pipeline.process.clock import Clock
from pipeline.state.file import Json, digest
from pipeline.steps.outputs import Output
from pipeline.terminal.display import Display


@dataclasses.dataclass(frozen=True)
class Work:
    """Where a step works and what it may use.

    Attributes:
        generation: for create_job: which of the jobs for this data and config to have.
        goes_on: the step was at work on the same before, and was stopped or failed.
        beside: the run that is at work in the directory, where this only stands beside it: nothing may be written.
        go_on: a sentence with the command that resumes this run, for error messages.
    """

    run_dir: Path
    display: Display
    clock: Clock
    connection: Connection
    ledger: Ledger
    go_on: str
    generation: int = 0
    goes_on: bool = False
    beside: str | None = None


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of a run. What the runner and the commands decide about it, they decide by these fields.

    Attributes:
        version: raised when the code would make something else of the same inputs.
        needs: the steps whose outputs `run` is given, in this order, after the config.
        declares: dotted config keys that decide the result; they make the fingerprint.
        also_reads: dotted config keys that do not (intervals, timeouts).
        output: what `run` returns.
        run: `run(config, *outputs of needs, work)`.
        remote: the result means something on one backend account only.
        spoils: the step that must run again when the backend says that this one failed: what it made came to nothing.
        buys: what it makes may cost money: the money gate (run/purchase.py) says which one to have, `--new-job` is for
            it, and what it bought is never forgotten.
        sent_for: the steps that use what this one made on the backend: once that is deleted there, this step runs again
            only if one of them has to.
        before_all: `before_all(config, work)`: seen to before any step of the run, if this one is to run: what would be
            refused later is refused before anything is paid for.
        maybe: optional steps whose outputs `run` is given after those, None where a run does not have them.
        at_end: `at_end(config, *outputs of needs, work)`: what is left to do once every step of the run is done.
        when_failed: `when_failed(config, work)`: what to say once a step of the run has failed.
        after_skip: `after_skip(config, *outputs of needs, work)`: what may be left to do when the step is done already.
        section: of an optional step, its section of the config: without one the step is not there.
    """

    name: str
    version: int
    needs: tuple[str, ...]
    declares: tuple[str, ...]
    output: type[Output]
    run: Callable[..., Output]
    also_reads: tuple[str, ...] = ()
    remote: bool = False
    spoils: str | None = None
    buys: bool = False
    sent_for: tuple[str, ...] = ()
    before_all: Callable[[Config, Work], None] | None = None
    maybe: tuple[str, ...] = ()
    at_end: Callable[..., None] | None = None
    when_failed: Callable[[Config, Work], None] | None = None
    after_skip: Callable[..., None] | None = None
    section: str | None = None

    def is_wanted(self, config: Config) -> bool:
        """Whether the step is part of a run with this config."""
        return self.section is None or getattr(config, self.section) is not None

    def declared(self, config: Config) -> dict[str, Json]:
        """The declared keys that differ from their defaults: a key added later leaves old fingerprints alone."""
        values = config.model_dump(mode="json", exclude_defaults=True)
        found: dict[str, Json] = {}
        for key in self.declares:
            value: Json = values
            for part in key.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            found.update(_leaves(key, value))
        return found

    def fingerprint(self, declared: dict[str, Json], needs: dict[str, str]) -> str:
        """Equal for two runs that would make the same thing."""
        return digest([self.name, self.version, declared, needs])


def _leaves(key: str, value: Json) -> dict[str, Json]:
    if isinstance(value, dict):
        return {name: leaf for part in value for name, leaf in _leaves(f"{key}.{part}", value[part]).items()}
    return {} if value is None else {key: value}
