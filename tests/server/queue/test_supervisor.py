"""What a machine that is short of something, or a data directory that somebody touches, does to jobs and threads."""

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from pipeline.server.queue import supervisor
from pipeline.server.queue.recorder import Recorder
from pipeline.server.queue.validation import check_training_file
from pipeline.server.queue.worker import Worker
from pipeline.server.storage.sqlite_errors import translated
from pipeline.server.storage.store import Store
from tests.server.harness import finish, messages, start_job

SHORT = [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN]


def _failing(times: int, error: Exception, real: Callable[..., Any]) -> Callable[..., Any]:
    """`real`, after it has failed so many times."""
    left = [error] * times

    def call(*args: Any, **named: Any) -> Any:
        if left:
            raise left.pop()
        return real(*args, **named)

    return call


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "RECOVERY_S", 0.001)
    monkeypatch.setattr(supervisor, "LONGEST_RECOVERY_S", 0.001)


@pytest.mark.parametrize("number", SHORT, ids=errno.errorcode.get)
def test_a_shortage_is_no_crash_of_the_job_however_often_it_comes(
    serve: Callable[..., openai.OpenAI], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    short = OSError(number, os.strerror(number))
    monkeypatch.setattr("pipeline.server.queue.supervisor.Worker", _failing(10, short, Worker))
    client = serve(steps=2)

    job = finish(client, start_job(client).id)

    assert (job.status, job.error) == ("succeeded", None)
    assert [each for each in messages(client, job.id) if "short" in each] == [
        f"The server is short of something ({os.strerror(number)}); the training is tried again until it is not"
    ]


def test_a_shortage_after_a_step_keeps_the_jobs_checkpoints(
    serve: Callable[..., openai.OpenAI], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = OSError(errno.EMFILE, "Too many open files")
    monkeypatch.setattr(Recorder, "checkpoint", _failing(1, short, Recorder.checkpoint))
    client = serve(steps=6)

    job = finish(client, start_job(client).id)

    assert job.status == "succeeded"
    assert len(client.fine_tuning.jobs.checkpoints.list(job.id).data) == 3
    assert [each.split(":")[0] for each in messages(client, job.id) if each.startswith("Step")] == [
        f"Step {number}/6" for number in range(1, 7)
    ]


def test_files_are_checked_once_they_can_be_opened(
    serve: Callable[..., openai.OpenAI], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = OSError(errno.EMFILE, "Too many open files")
    monkeypatch.setattr("pipeline.server.queue.supervisor.check_training_file", _failing(3, short, check_training_file))
    client = serve(steps=2)

    assert finish(client, start_job(client).id).status == "succeeded"


@pytest.mark.parametrize(
    "error", [OSError(errno.EMFILE, "Too many open files"), sqlite3.DatabaseError("malformed"), KeyError("a bug")]
)
def test_no_thread_ends_when_the_store_cannot_be_asked(
    serve: Callable[..., openai.OpenAI], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    client = serve(steps=2)
    monkeypatch.setattr(Store, "claim", _failing(6, error, Store.claim))

    assert finish(client, start_job(client).id).status == "succeeded"


def test_a_job_that_a_damaged_store_ended_names_what_was_raised(
    serve: Callable[..., openai.OpenAI], monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: Any) -> None:
        with translated():
            raise sqlite3.DatabaseError("malformed")

    monkeypatch.setattr("pipeline.server.queue.supervisor.check_training_file", damaged)
    client = serve(steps=2)

    job = finish(client, start_job(client).id)

    assert job.error is not None
    assert job.error.model_dump() == {
        "code": "server_error",
        "message": "The server failed (DatabaseError); its log says where.",
        "param": None,
    }


def test_a_folder_that_cannot_be_cleared_does_not_hold_up_the_next_job(
    serve: Callable[..., openai.OpenAI], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve(fail={"code": "server_error", "message": "No."})
    listed = Path.iterdir

    def iterdir(path: Path) -> Any:
        if path.parent.name == "jobs":
            raise OSError(errno.EMFILE, "Too many open files")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)

    assert [finish(client, start_job(client).id).status for _ in range(2)] == ["failed", "failed"]
