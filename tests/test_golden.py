"""States of every version ever released: an upgrade reads them, and buys nothing again."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from pipeline.backends.client import Connection
from pipeline.backends.ledger import Ledger
from pipeline.config.file import load_config
from pipeline.config.settings import Config
from pipeline.process.clock import SystemClock
from pipeline.process.signals import Signals
from pipeline.run.progress import Progress
from pipeline.state.file import MIGRATIONS, VERSION, State
from pipeline.state.repair import repair
from pipeline.steps.create_job import made_of
from pipeline.steps.outputs import Convert

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = range(1, VERSION + 1)


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


@pytest.fixture
def run_dir(tmp_path: Path, version: int) -> Path:
    """A run directory as that version left it, without its artifacts."""
    shutil.copy(GOLDEN / f"state-v{version}.json", tmp_path / "state.json")
    return tmp_path


@pytest.fixture
def config(version: int) -> Config:
    return load_config(GOLDEN / f"run-v{version}.yaml", ())


def test_every_earlier_version_has_a_migration_and_every_version_a_golden_state() -> None:
    assert list(MIGRATIONS) == list(VERSIONS)[:-1]
    assert {path.name for path in GOLDEN.glob("state-*")} == {f"state-v{version}.json" for version in VERSIONS}


def test_a_golden_state_is_read_whole(run_dir: Path, config: Config) -> None:
    state = State.load(run_dir)
    known = {each.step: (each.remote_id, each.how, each.tries) for each in state.body.remote.values()}
    assert known == {"create_job": ("ftjob-1", "adopted", 1), "upload": ("file-1", "created", 1)}
    progress = Progress(state, config, "")
    for step in progress.steps:
        if state.body.steps[step.name].version == step.version:
            assert isinstance(progress.output(step.output), step.output)


def test_an_upgrade_repeats_only_steps_that_do_it_differently_now(run_dir: Path, config: Config) -> None:
    state = State.load(run_dir)
    progress = Progress(state, config, Connection(config.backend, run_dir, SystemClock()).identity)
    for record in state.body.steps.values():
        record.artifacts.clear()  # not kept here; their hashes are in the outputs
    for step in progress.steps:
        same = state.body.steps[step.name].version == step.version
        assert progress.why(step) == (None if same else "this version of finetune does it differently")


def test_every_version_computes_the_same_identities(run_dir: Path, config: Config) -> None:
    """Else an upgrade would not find what was bought."""
    connection = Connection(config.backend, run_dir, SystemClock())
    state = State.load(run_dir)
    ledger = Ledger(state, connection, SystemClock(), Signals(), print)
    train = (state.body.steps["convert"].output or {})["train"]["sha256"]
    # Only these two count: what else an output of convert holds may change with its version.
    convert = cast(Convert, SimpleNamespace(train=SimpleNamespace(sha256=train), valid=None))
    assert {ledger.op("file", train), ledger.op("job", f"{made_of(config, convert)}:0")} == set(state.body.remote)


def test_the_first_save_keeps_the_state_as_the_earlier_version_wrote_it(run_dir: Path, version: int) -> None:
    golden = (run_dir / "state.json").read_bytes()
    state = State.load(run_dir)
    state.save()
    assert (run_dir / "state.json.prev").read_bytes() == golden
    written = json.loads((run_dir / "state.json").read_bytes())
    assert (written["version"], written["body"]["serial"]) == (VERSION, json.loads(golden)["body"]["serial"] + 1)

    (run_dir / "state.json").unlink()
    assert repair(run_dir)[1] == f"state.json.prev is good: serial {state.body.serial - 1}, 10 steps recorded."
