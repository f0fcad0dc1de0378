"""What a worker says, written down: as long as its job is not finished."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.server import responses
from pipeline.server.queue.recorder import Recorder
from pipeline.server.records import JobRecord, NewFile, NewJob
from pipeline.server.storage.store import Store
from pipeline.training.protocol import Checkpoint, Report, Started, Step

STARTED = Started(
    total_steps=4,
    first_step=0,
    n_epochs=2,
    batch_size=1,
    learning_rate_multiplier=1.0,
    examples=3,
    tokens=9,
    truncated=1,
    skipped=1,
    targets=2,
    max_tokens=2048,
)


def _step(number: int) -> Step:
    return Step(number, number / 2, 0.5, 0.9, None, None, 1e-3, 9)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    return tmp_path / "jobs" / "ftjob-1"


@pytest.fixture
def job(store: Store, work_dir: Path) -> JobRecord:
    """A job that is being trained; its worker has written two adapters."""
    upload = store.incoming / "upload"
    upload.write_bytes(b"{}")
    file = store.files.add(upload, NewFile("a.jsonl", "fine-tune"))
    made = store.create_job(
        NewJob("base", "ft:base:personal::1", file.id, None, 1, None, None, responses.Hyperparameters())
    )
    store.move(made.id, ["validating_files"], "running", "go")
    for step in (2, 4):
        adapter = work_dir / "adapters" / f"step-{step}"
        adapter.mkdir(parents=True)
        (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    return made


def _tell(recorder: Recorder, report: Report) -> None:
    match report:
        case Started():
            recorder.started(report)
        case Step():
            recorder.step(report)
        case Checkpoint():
            recorder.checkpoint(report)


def _story(store: Store, job: JobRecord) -> list[str]:
    return [event.message for event in store.events(job.id, after=None, limit=100).items][::-1]


REPORTS: list[Report] = [STARTED, _step(1), _step(2), Checkpoint(2, "adapters/step-2"), _step(3), _step(4)]
REPORTS += [Checkpoint(4, "adapters/step-4")]


@pytest.mark.parametrize("heard", range(len(REPORTS) + 1))
def test_what_a_worker_says_after_its_job_was_cancelled_is_not_written_down(
    store: Store, job: JobRecord, work_dir: Path, heard: int
) -> None:
    recorder = Recorder(store, job.id, work_dir)
    for report in REPORTS[:heard]:
        _tell(recorder, report)
    before = store.checkpoints(job.id, after=None, limit=9), store.steps(job.id)
    adapters = sorted(store.models_dir.iterdir())

    store.move(job.id, ["running"], "cancelled", "The job has been cancelled")
    as_cancelled = store.job(job.id)
    for report in REPORTS[heard:]:
        _tell(recorder, report)
    crashes = store.add_crash(job.id, "was killed by SIGKILL")

    assert _story(store, job)[-1] == "The job has been cancelled"
    assert (store.checkpoints(job.id, after=None, limit=9), store.steps(job.id)) == before
    assert sorted(store.models_dir.iterdir()) == adapters, "no adapter lies there that nobody can ask for"
    assert store.job(job.id) == as_cancelled
    assert crashes == []


def test_what_a_worker_says_while_its_job_is_being_paused_is_kept_for_the_resume(
    store: Store, job: JobRecord, work_dir: Path
) -> None:
    recorder = Recorder(store, job.id, work_dir)
    store.move(job.id, ["running"], "paused", "The job has been paused")

    for report in REPORTS[:4]:
        _tell(recorder, report)

    assert [checkpoint.step_number for checkpoint in store.checkpoints(job.id, after=None, limit=9).items] == [2]
    assert _story(store, job)[-1].startswith("Checkpoint created at step 2 with Snapshot ID: ")
