"""What a command that is stopped says of the job that it leaves."""

from pathlib import Path

import pytest

from pipeline.commands.context import jobs_of, left_to_do
from pipeline.state.file import Attempt, State, StepRecord
from pipeline.steps import STEPS


def at(run_dir: Path, running: str | None, jobs: tuple[str, ...] = ()) -> State:
    """A state in which the steps before one are done, and that one is at work."""
    state = State.load(run_dir)
    for step in STEPS:
        how = "running" if step.name == running else "done"
        state.body.steps[step.name] = StepRecord(
            status=how,  # type: ignore[arg-type]
            fingerprint="f",
            version=1,
            declared={},
            needs={},
            started_at="2026-11-22T00:00:00Z",
        )
        if step.name == running:
            break
    for job in jobs:
        state.body.remote[job] = Attempt(step="create_job", account="here", remote_id=job, tries=1)
    state.body.remote["file"] = Attempt(step="upload", account="here", remote_id="file-1", tries=1)
    return state


@pytest.mark.parametrize("step", ["download", "convert", "upload", "poll_file", "smoke_test", None])
def test_before_and_after_the_training_no_job_is_spoken_of(tmp_path: Path, step: str | None) -> None:
    assert left_to_do(at(tmp_path, step, ("ftjob-1",)), set(), free=False) == ""


@pytest.mark.parametrize(
    ("free", "said"), [(True, "; the job pauses at its checkpoint"), (False, "; the job keeps running")]
)
def test_a_job_that_is_waited_for_pauses_with_our_server_and_goes_on_with_another(
    tmp_path: Path, free: bool, said: str
) -> None:
    assert left_to_do(at(tmp_path, "poll_job", ("ftjob-1",)), {"ftjob-1"}, free) == said


def test_a_job_that_was_just_bought_is_spoken_of_and_one_of_before_is_not(tmp_path: Path) -> None:
    state = at(tmp_path, "create_job", ("ftjob-1",))
    assert jobs_of(state) == {"ftjob-1"}
    assert left_to_do(state, {"ftjob-1"}, free=False) == ""
    assert left_to_do(state, set(), free=False) == "; the job keeps running"
