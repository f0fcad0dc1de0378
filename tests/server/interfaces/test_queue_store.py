"""What a store promises the queue, whatever it is made of: claims, guarded moves, and the story of a training."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from pipeline.server.records import JobRecord
from pipeline.server.responses import Hyperparameters, JobError, Status
from tests.server.interfaces.material import Storage, WallClock, adapter, add_file, add_job, running_job, state, story


def _at_once(*acts: Callable[[], object]) -> list[object]:
    """What came of all of them, let loose at the same moment."""
    start = threading.Barrier(len(acts))

    def act(number: int) -> object:
        start.wait()
        return acts[number]()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(act, range(len(acts))))


def test_the_oldest_job_that_nobody_holds_is_claimed(store: Storage) -> None:
    first, second = add_job(store), add_job(store)
    assert store.claim("queued") is None

    assert store.claim("validating_files") == first
    assert store.claim("validating_files") == second
    assert store.claim("validating_files") is None

    store.release(first.id)
    assert store.claim("validating_files") == first


def test_a_claim_outlasts_the_status_it_was_made_for(store: Storage) -> None:
    job = add_job(store)
    store.claim("validating_files")
    store.move(job.id, ["validating_files"], "queued", "checked")
    assert store.claim("queued") is None

    store.release(job.id)

    claimed = store.claim("queued")
    assert claimed is not None
    assert (claimed.id, claimed.validated) == (job.id, True)


def test_of_many_who_claim_at_once_each_gets_another_job(store: Storage) -> None:
    jobs = [add_job(store) for _ in range(6)]

    claimed = _at_once(*[lambda: store.claim("validating_files")] * 8)

    assert sorted(job.id for job in claimed if isinstance(job, JobRecord)) == sorted(job.id for job in jobs)


def test_a_job_moves_from_the_statuses_that_are_named_only(store: Storage) -> None:
    job = add_job(store)
    before = story(store, job.id)

    assert store.move(job.id, ["queued", "running"], "failed", "no") is None
    assert store.move("ftjob-none", ["queued"], "running", "no") is None

    assert store.job(job.id) == job
    assert story(store, job.id) == before


def test_a_move_is_told_and_marks_the_end(store: Storage, wall: WallClock) -> None:
    job = running_job(store)
    store.add_step(job.id, 1, {}, "Step 1", beside={}, remaining_s=60)
    wall.now += 5

    failed = store.move(job.id, ["running"], "failed", "It failed.", level="error", error=JobError("c", "m", None))

    assert failed == store.job(job.id)
    assert failed is not None
    assert (failed.status, failed.error, failed.finished_at) == ("failed", JobError("c", "m", None), 1_700_000_005)
    assert (failed.estimated_finish, failed.validated) == (None, True)
    event = store.events(job.id, after=None, limit=1).items[0]
    assert (event.message, event.level) == ("It failed.", "error")


def test_a_job_paused_before_it_was_checked_is_not_taken_for_checked(store: Storage) -> None:
    job = add_job(store)
    paused = store.move(job.id, ["validating_files"], "paused", "pause")
    store.move(job.id, ["paused"], "validating_files", "resume")
    checked = store.move(job.id, ["validating_files"], "queued", "checked")

    assert paused is not None
    assert checked is not None
    assert (paused.validated, checked.validated) == (False, True)


def test_of_a_success_and_a_cancellation_exactly_one_happens(store: Storage, tmp_path: Path) -> None:
    for _ in range(10):
        job, trained = running_job(store), adapter(tmp_path)

        succeeded, cancelled = _at_once(
            partial(store.succeed, job.id, adapter=trained, results=b"r", trained_tokens=1),
            partial(store.move, job.id, ["running"], "cancelled", "stop"),
        )

        assert succeeded is (cancelled is None)
        ended = store.job(job.id)
        assert ended is not None
        assert (ended.result_file is not None, store.model(job.model_name) is not None) == (succeeded, succeeded)
        results = store.files.page(purpose="fine-tune-results", after=None, limit=99, oldest_first=True).items
        assert len(results) == store.count_jobs().get("succeeded", 0)


def test_a_file_of_a_job_can_be_read_where_the_worker_runs(store: Storage) -> None:
    file = add_file(store, b"one\n")

    assert store.file_path(file.id).read_bytes() == b"one\n"


def test_a_success_leaves_a_model_and_a_result_file(store: Storage, tmp_path: Path) -> None:
    job = running_job(store)

    assert store.succeed(job.id, adapter=adapter(tmp_path, b"tuned"), results=b"step\n1\n", trained_tokens=7)

    done, model, kept = store.job(job.id), store.model(job.model_name), store.adapter_path(job.model_name)
    assert done is not None
    assert model is not None
    assert kept is not None
    assert (done.status, done.trained_tokens, done.finished_at) == ("succeeded", 7, 1_700_000_000)
    assert (model.name, model.base_model) == (job.model_name, job.model)
    assert (kept / "weights").read_bytes() == b"tuned"
    assert done.result_file is not None
    file = store.files.get(done.result_file)
    assert file is not None
    assert (file.filename, file.purpose) == ("step_metrics.csv", "fine-tune-results")
    with store.files.open(file.id) as content:
        assert content.read() == b"step\n1\n"
    assert story(store, job.id)[-2:] == [
        f"New fine-tuned model created: {job.model_name}",
        "The job has successfully completed",
    ]


@pytest.mark.parametrize("status", ["paused", "cancelled"])
def test_a_success_that_comes_too_late_leaves_nothing(store: Storage, tmp_path: Path, status: Status) -> None:
    job = running_job(store)
    store.move(job.id, ["running"], status, "meanwhile")

    assert not store.succeed(job.id, adapter=adapter(tmp_path), results=b"step\n", trained_tokens=7)

    assert state(store, job.id) == status
    assert store.model(job.model_name) is None
    assert store.files.page(purpose="fine-tune-results", after=None, limit=9, oldest_first=True).items == []


def test_steps_are_kept_in_order_and_once(store: Storage) -> None:
    job = running_job(store)
    for step, loss in ((1, 3.0), (2, 2.0), (2, 9.9)):
        store.add_step(
            job.id, step, {"train_loss": loss}, f"Step {step}", beside={"total_steps": 2}, remaining_s=2 - step
        )

    assert store.steps(job.id) == [{"step": 1, "train_loss": 3.0}, {"step": 2, "train_loss": 2.0}]
    told = [event for event in store.events(job.id, after=None, limit=9).items if event.type == "metrics"]
    assert [(event.message, event.data) for event in told] == [
        ("Step 2", {"step": 2, "train_loss": 2.0, "total_steps": 2}),
        ("Step 1", {"step": 1, "train_loss": 3.0, "total_steps": 2}),
    ]


def test_a_running_job_says_when_it_will_be_done(store: Storage) -> None:
    job = running_job(store)
    store.begin(job.id, Hyperparameters(3, 4, 1.0))
    store.add_step(job.id, 1, {}, "Step 1", beside={}, remaining_s=60)

    running = store.job(job.id)

    assert running is not None
    assert (running.used, running.estimated_finish) == (Hyperparameters(3, 4, 1.0), 1_700_000_060)


def test_every_death_of_a_worker_is_remembered(store: Storage) -> None:
    job = running_job(store)

    assert store.add_crash(job.id, "was killed by SIGKILL") == ["was killed by SIGKILL"]
    assert store.add_crash(job.id, "exited with status 1") == ["was killed by SIGKILL", "exited with status 1"]

    assert story(store, job.id)[-2:] == [
        "The training process was killed by SIGKILL",
        "The training process exited with status 1",
    ]


def test_the_last_three_checkpoints_are_kept_with_adapters_of_their_own(store: Storage, tmp_path: Path) -> None:
    job = running_job(store)
    for step in (1, 2, 3, 4):
        trained = adapter(tmp_path, b"%d" % step)
        store.add_step(job.id, step, {"train_loss": float(step)}, f"Step {step}", beside={}, remaining_s=0)
        store.add_checkpoint(job.id, step, trained)
        (trained / "weights").unlink()
    store.add_checkpoint(job.id, 1, adapter(tmp_path))  # told again after a resume
    store.add_checkpoint(job.id, 4, adapter(tmp_path))

    points = store.checkpoints(job.id, after=None, limit=9).items
    assert [(point.step_number, point.metrics) for point in points] == [
        (step, {"step": step, "train_loss": float(step)}) for step in (4, 3, 2)
    ]
    for point in points:
        assert store.model(point.fine_tuned_model_checkpoint) is not None
        kept = store.adapter_path(point.fine_tuned_model_checkpoint)
        assert kept is not None
        assert (kept / "weights").read_bytes() == b"%d" % point.step_number
    assert store.model(f"{job.model_name}:ckpt-step-1") is None
    assert [message for message in story(store, job.id) if message.startswith("Checkpoint")] == [
        f"Checkpoint created at step {step} with Snapshot ID: {job.model_name}:ckpt-step-{step}"
        for step in (1, 2, 3, 4)
    ]
    page = store.checkpoints(job.id, after=points[0].id, limit=1)
    assert (page.items, page.has_more) == ([points[1]], True)


def test_the_checkpoint_that_does_best_on_what_was_held_out_is_kept_beside_them(store: Storage, tmp_path: Path) -> None:
    job = running_job(store)
    kept = []
    for step, loss in enumerate((2.0, 1.0, 1.5, 1.6, 1.7, 0.9, 1.2), 1):
        store.add_step(job.id, step, {"valid_loss": loss}, f"Step {step}", beside={}, remaining_s=0)
        store.add_checkpoint(job.id, step, adapter(tmp_path))
        kept.append([point.step_number for point in store.checkpoints(job.id, after=None, limit=9).items])

    assert kept[3:] == [[4, 3, 2], [5, 4, 3, 2], [6, 5, 4], [7, 6, 5]]
    assert [store.model(f"{job.model_name}:ckpt-step-{step}") is not None for step in (1, 2, 5)] == [False, False, True]


def test_once_a_job_is_finished_nothing_more_is_written_down(store: Storage, tmp_path: Path) -> None:
    job = running_job(store)
    store.move(job.id, ["running"], "cancelled", "The end")
    ended, told = store.job(job.id), story(store, job.id)

    store.begin(job.id, Hyperparameters(1, 1, 1.0))
    store.add_event(job.id, "late")
    store.add_step(job.id, 1, {}, "late", beside={}, remaining_s=1)
    store.add_checkpoint(job.id, 1, adapter(tmp_path))

    assert store.add_crash(job.id, "late") == []
    assert (store.job(job.id), story(store, job.id), store.steps(job.id)) == (ended, told, [])
    assert store.checkpoints(job.id, after=None, limit=9).items == []
    assert store.model(f"{job.model_name}:ckpt-step-1") is None


def test_a_paused_job_still_takes_what_its_worker_says(store: Storage, tmp_path: Path) -> None:
    job = running_job(store)
    store.move(job.id, ["running"], "paused", "pause")

    store.add_step(job.id, 1, {}, "Step 1", beside={}, remaining_s=60)
    store.add_checkpoint(job.id, 1, adapter(tmp_path))

    paused = store.job(job.id)
    assert paused is not None
    assert paused.estimated_finish is None
    assert store.steps(job.id) == [{"step": 1}]
    assert [point.step_number for point in store.checkpoints(job.id, after=None, limit=9).items] == [1]
