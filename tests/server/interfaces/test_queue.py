"""What a queue promises, whatever does the work and whatever store is behind it."""

from collections.abc import Callable

import pytest

from pipeline.server.interfaces import Queue
from pipeline.server.records import FINISHED, JobRecord
from pipeline.server.responses import Status
from tests.server.harness import until
from tests.server.interfaces.material import Storage, add_file, add_job, new_job, running_job, state, story

Bring = dict[Status, Callable[[Storage], JobRecord]]


def _queued(store: Storage) -> JobRecord:
    job = add_job(store)
    return store.move(job.id, ["validating_files"], "queued", "checked") or job


def _ended(store: Storage, status: Status) -> JobRecord:
    job = add_job(store)
    return store.move(job.id, ["validating_files"], status, status) or job


JOBS: Bring = {
    "validating_files": add_job,
    "queued": _queued,
    "running": running_job,
    "paused": lambda store: _ended(store, "paused"),
    "succeeded": lambda store: _ended(store, "succeeded"),
    "failed": lambda store: _ended(store, "failed"),
    "cancelled": lambda store: _ended(store, "cancelled"),
}


@pytest.mark.parametrize(
    ("verb", "takes", "target"),
    [
        ("cancel", {"validating_files", "queued", "running", "paused"}, "cancelled"),
        ("pause", {"validating_files", "queued", "running"}, "paused"),
        ("resume", {"paused"}, "validating_files"),
    ],
)
def test_a_job_is_stopped_and_resumed_from_where_it_can_be(
    store: Storage, queue: Queue, verb: str, takes: set[Status], target: Status
) -> None:
    for status, make in JOBS.items():
        job = make(store)
        before = story(store, job.id)

        moved = getattr(queue, verb)(job.id)

        taken = status in takes
        assert moved == (store.job(job.id) if taken else None), status
        assert state(store, job.id) == (target if taken else status)
        assert len(story(store, job.id)) == len(before) + taken


def test_a_job_that_was_checked_is_not_checked_again_when_it_is_resumed(store: Storage, queue: Queue) -> None:
    job = _queued(store)
    queue.pause(job.id)

    queue.resume(job.id)

    assert state(store, job.id) == "queued"


def test_a_job_that_never_was_cannot_be_moved(queue: Queue) -> None:
    assert (queue.cancel("ftjob-none"), queue.pause("ftjob-none"), queue.resume("ftjob-none")) == (None, None, None)


def test_a_queue_is_alive_from_its_start_to_its_end(queue: Queue) -> None:
    assert not queue.is_alive()
    queue.start()
    assert queue.is_alive()

    queue.close()

    assert not queue.is_alive()


def _wait(store: Storage, *jobs: JobRecord) -> list[Status]:
    until(lambda: all(state(store, job.id) in FINISHED for job in jobs), "every job to finish")
    return [state(store, job.id) for job in jobs]


def test_jobs_are_checked_and_trained_and_one_that_cannot_be_fails_alone(store: Storage, queue: Queue) -> None:
    waiting, held = add_job(store), add_job(store)
    queue.pause(held.id)
    queue.start()
    bad = store.create_job(new_job(add_file(store, b"{}\n").id))
    queue.wake()

    assert _wait(store, waiting, bad) == ["succeeded", "failed"]

    assert state(store, held.id) == "paused"
    assert [message.split(":")[0] for message in story(store, waiting.id)][2:6] == [
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
        "Training on 10 examples with 10 targets",
        "Step 1/2",
    ]
    assert store.model(waiting.model_name) is not None
    failed = store.job(bad.id)
    assert failed is not None
    assert failed.error is not None
    assert (failed.error.code, failed.error.param) == ("invalid_training_file", "training_file")


def test_a_job_whose_file_was_deleted_fails(store: Storage, queue: Queue) -> None:
    job = add_job(store)
    store.files.delete(job.training_file)

    queue.start()

    assert _wait(store, job) == ["failed"]
    failed = store.job(job.id)
    assert failed is not None
    assert failed.error is not None
    assert failed.error.message == "The job failed because its training file was deleted."


def test_what_a_server_that_is_gone_left_running_is_trained(store: Storage, make_queue: Callable[[], Queue]) -> None:
    job = running_job(store)

    make_queue().start()

    assert _wait(store, job) == ["succeeded"]
    assert story(store, job.id).count("Fine-tuning job started") == 1


def test_two_queues_on_one_store_train_each_job_once(store: Storage, make_queue: Callable[[], Queue]) -> None:
    jobs = [add_job(store), add_job(store)]
    queues = [make_queue(), make_queue()]

    for queue in queues:
        queue.start()

    assert _wait(store, *jobs) == ["succeeded", "succeeded"]
    for job in jobs:
        assert story(store, job.id).count("Fine-tuning job started") == 1


def test_a_queue_that_starts_takes_no_job_from_one_that_is_at_work(
    store: Storage, make_queue: Callable[[], Queue]
) -> None:
    job = _queued(store)
    claimed = store.claim("queued")  # by a queue that is at work on it
    store.move(job.id, ["queued"], "running", "go")

    make_queue().start()

    assert claimed is not None
    assert claimed.id == job.id
    assert state(store, job.id) == "running"
