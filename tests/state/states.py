"""A small state in a run directory, and the complaint about a damaged one."""

from pathlib import Path

import pytest

from pipeline.durable import describe_artifact
from pipeline.errors import StateDamaged
from pipeline.state.file import Attempt, State, StepRecord

REPAIR = "Run `finetune repair CONFIG` to go back to the last good state."


def record(run_dir: Path, *names: str) -> StepRecord:
    return StepRecord(
        status="done",
        fingerprint="f",
        version=1,
        declared={"merge.delimiter": "é\n"},
        needs={},
        started_at="2026-11-22T00:00:00Z",
        artifacts=[describe_artifact(run_dir, name) for name in names],
    )


def saved(run_dir: Path) -> State:
    state = State.load(run_dir)
    state.body.steps["merge"] = record(run_dir)
    state.body.remote["op"] = Attempt(step="upload", account="host", tries=1)
    state.save()
    return state


def damage(run_dir: Path) -> str:
    with pytest.raises(StateDamaged) as caught:
        State.load(run_dir)
    return str(caught.value)


class Killed(BaseException):
    """Nobody catches it: what is on the disk is what a killed process leaves, but for its temporary files."""
