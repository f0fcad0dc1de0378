"""The queue and its workers, with real worker processes: killed, crashed, failed, cancelled, paused and resumed."""

import fcntl
import signal
from collections.abc import Callable
from pathlib import Path

import openai
import pytest

from pipeline.server.main import serving
from pipeline.server.settings import ServerSettings
from pipeline.testing import MockServer, serve_in_thread
from tests.server.harness import (
    ServerProcess,
    connect,
    examples,
    finish,
    is_alive,
    messages,
    saw,
    start_job,
    until,
    upload,
)


def _steps(client: openai.OpenAI, job_id: str) -> list[int]:
    """The steps that events tell of, in the order in which they were told."""
    return [int(m.split()[1].split("/")[0]) for m in messages(client, job_id) if m.startswith("Step ")]


def test_a_killed_worker_goes_on_from_its_checkpoint(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve(steps=6, crash={"signal": 9, "at_step": 4, "attempts": 2})

    job = finish(client, start_job(client).id)

    assert job.status == "succeeded"
    assert _steps(client, job.id) == [1, 2, 3, 4, 5, 6]
    told = messages(client, job.id)
    assert told.count("The training process was killed by SIGKILL") == 2
    assert told.count("Training goes on after step 3/6") == 2
    warnings = [event.level for event in client.fine_tuning.jobs.list_events(job.id) if event.level != "info"]
    assert warnings == ["warn", "warn"]
    assert len(client.files.content(job.result_files[0]).text.splitlines()) == 1 + 6


def test_a_worker_killed_three_times_fails_the_job_and_names_the_signal(
    serve: Callable[..., openai.OpenAI], tmp_path: Path
) -> None:
    client = serve(steps=6, crash={"signal": 9, "at_step": 2, "attempts": 3})

    job = finish(client, start_job(client).id)

    assert job.error is not None
    assert job.error.model_dump() == {
        "code": "training_crashed",
        "message": "the training process was killed by SIGKILL three times (often: out of memory). "
        "Its log is worker.log in the job's folder.",
        "param": None,
    }
    assert (job.status, job.fine_tuned_model, job.result_files) == ("failed", None, [])
    folder = tmp_path / "store/jobs" / job.id
    until(lambda: [path.name for path in folder.iterdir()] == ["worker.log"], "all but the log to be removed")
    assert (folder / "worker.log").stat().st_mode & 0o777 == 0o600


def test_another_signal_is_named_too(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve(crash={"signal": int(signal.SIGSEGV), "at_step": 1, "attempts": 9})

    error = finish(client, start_job(client).id).error

    assert error is not None
    assert error.message == (
        "the training process was killed by SIGSEGV three times. Its log is worker.log in the job's folder."
    )


@pytest.mark.parametrize("at_step", [0, 2])
def test_a_scripted_failure_is_the_jobs_error(serve: Callable[..., openai.OpenAI], at_step: int) -> None:
    client = serve(steps=3, fail={"code": "invalid_training_file", "message": "No.", "param": "x", "at_step": at_step})

    job = finish(client, start_job(client).id)

    assert job.error is not None
    assert job.error.model_dump() == {"code": "invalid_training_file", "message": "No.", "param": "x"}
    assert (job.status, job.fine_tuned_model, job.trained_tokens) == ("failed", None, None)
    assert job.finished_at is not None
    last = client.fine_tuning.jobs.list_events(job.id, limit=1).data[0]
    assert (last.level, last.message) == ("error", "The job failed: No.")


def test_cancelling_ends_the_worker_and_removes_its_files(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(steps=4, hang_at_step=3)
    job = start_job(server.client)
    until(saw(server.client, job.id, "Checkpoint created at step 2"), "the second step and its checkpoint")
    pid = until(lambda: server.worker_pid(job.id), "the worker")

    cancelled = server.client.fine_tuning.jobs.cancel(job.id)

    assert (cancelled.status, cancelled.fine_tuned_model, cancelled.error) == ("cancelled", None, None)
    assert cancelled.finished_at is not None
    until(lambda: not is_alive(pid), "the worker to be gone")
    until(lambda: not (server.data_dir / "jobs" / job.id).exists(), "its files to be gone")
    assert messages(server.client, job.id)[-1] == "The job has been cancelled"


def test_a_job_that_waits_can_be_cancelled(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve(steps=2, hang_at_step=1)
    first, second = start_job(client), start_job(client)
    until(saw(client, first.id, "Fine-tuning job started"), "the first job to start")
    until(saw(client, second.id, "Files validated"), "the second job to be queued")

    assert client.fine_tuning.jobs.retrieve(second.id).status == "queued"
    assert client.fine_tuning.jobs.cancel(second.id).status == "cancelled"
    assert client.fine_tuning.jobs.cancel(first.id).status == "cancelled"
    assert "Fine-tuning job started" not in messages(client, second.id)


def test_jobs_train_one_at_a_time_and_in_order(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve(steps=2)
    file = upload(client).id
    jobs = [client.fine_tuning.jobs.create(model="smollm2-135m-instruct", training_file=file).id for _ in range(3)]

    done = [finish(client, job_id) for job_id in reversed(jobs)]

    assert [job.status for job in done] == ["succeeded"] * 3
    assert sorted(job.finished_at or 0 for job in done) == [job.finished_at for job in reversed(done)]
    assert len({job.fine_tuned_model for job in done}) == 3


def test_a_paused_job_goes_on_where_it_was(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(steps=4, hang_at_step=3)
    lax = connect(server.server, strict=False)  # `paused` is in no enum of the SDK's
    job = start_job(server.client)
    until(saw(lax, job.id, "Step 2/4"), "the second step")
    pid = until(lambda: server.worker_pid(job.id), "the worker")

    paused = lax.fine_tuning.jobs.pause(job.id)

    assert str(paused.status) == "paused"
    until(lambda: not is_alive(pid), "the worker to checkpoint and leave")
    with pytest.raises(openai.BadRequestError):
        lax.fine_tuning.jobs.pause(job.id)
    (server.data_dir / "script.json").write_text('{"steps": 4}')
    assert lax.fine_tuning.jobs.resume(job.id).status == "queued"
    assert finish(lax, job.id).status == "succeeded"
    assert _steps(lax, job.id) == [1, 2, 3, 4]
    told = messages(lax, job.id)
    lax.close()
    assert [m for m in told if "pause" in m or "resume" in m or "goes on" in m] == [
        "The job has been paused",
        "The job has been resumed",
        "Training goes on after step 2/4",
    ]


def test_a_training_file_deleted_before_its_turn_fails_the_job(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve(steps=2, hang_at_step=1)
    first, second = start_job(client), start_job(client)
    until(saw(client, second.id, "Files validated"), "the second job to be queued")
    client.files.delete(second.training_file)
    client.fine_tuning.jobs.cancel(first.id)

    error = finish(client, second.id).error

    assert error is not None
    assert error.model_dump() == {
        "code": "invalid_training_file",
        "message": "The job failed because its training file was deleted.",
        "param": "training_file",
    }


def test_a_broken_machine_fails_one_job_and_not_the_queue(
    serve: Callable[..., openai.OpenAI], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve(steps=2, hang_at_step=1)
    first, second, third = (start_job(client) for _ in range(3))
    until(saw(client, third.id, "Files validated"), "the last job to be queued")
    (tmp_path / "store/jobs" / second.id).write_text("where a folder should be")
    client.fine_tuning.jobs.cancel(first.id)

    error = finish(client, second.id).error
    until(saw(client, third.id, "Fine-tuning job started"), "the last job")
    client.fine_tuning.jobs.cancel(third.id)

    assert error is not None
    assert error.model_dump() == {
        "code": "server_error",
        "message": "The server failed (NotADirectoryError); its log says where.",
        "param": None,
    }
    assert f"job {second.id}: NotADirectoryError (errno 20) at " in caplog.text


def test_a_server_killed_in_the_middle_loses_no_file_and_no_job(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(steps=40, seconds_per_step=0.02)
    running, waiting = start_job(server.client), start_job(server.client, examples(12))
    until(saw(server.client, running.id, "Step 5/40"), "some steps")
    worker = until(lambda: server.worker_pid(running.id), "the worker")
    server.kill()
    until(lambda: not is_alive(worker), "the orphaned worker to leave")

    again = start_server(steps=40)
    jobs = [finish(again.client, job.id) for job in (running, waiting)]

    assert [job.status for job in jobs] == ["succeeded", "succeeded"]
    for job in (running, waiting):
        assert _steps(again.client, job.id) == list(range(1, 41))
        told = messages(again.client, job.id)
        assert told.count("The job has successfully completed") == 1
    assert again.client.files.content(running.training_file).read() == examples()
    assert again.client.files.content(waiting.training_file).read() == examples(12)
    told = messages(again.client, running.id)
    assert told.count("The server was stopped; training goes on from its last checkpoint") == 1
    assert [m for m in told if m.startswith("Training goes on after step ")]
    tuned = [model.id for model in again.client.models.list() if model.id.startswith("ft:")]
    assert sorted(tuned) == sorted(str(job.fine_tuned_model) for job in jobs)


def test_a_job_waits_for_the_orphan_of_a_killed_server(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(steps=3, hang_at_step=2)
    job = start_job(server.client)
    until(saw(server.client, job.id, "Step 1/3"), "the first step")
    server.kill()
    with (server.data_dir / "jobs" / job.id / "worker.lock").open("rb") as orphans_lock:
        fcntl.flock(orphans_lock, fcntl.LOCK_EX)  # once the real orphan has left: this is one that is slower

        again = start_server(steps=3)
        until(lambda: again.client.fine_tuning.jobs.retrieve(job.id).status == "running", "the job's turn")
        assert again.worker_pid(job.id) is None
        assert messages(again.client, job.id)[-1] == "Fine-tuning job started"

    assert finish(again.client, job.id).status == "succeeded"
    assert _steps(again.client, job.id) == [1, 2, 3]


def test_only_so_many_jobs_train_at_once_and_the_oldest_waiting_is_next(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"steps": 2, "hang_at_step": 2}')
    settings = ServerSettings(tmp_path / "store", "sk-two", trainer="scripted", script=script, workers=2)
    with serving(settings) as server, serve_in_thread(server):
        client = connect(MockServer(server.base_url, "sk-two", settings.data_dir))
        with client:
            first, second, third, fourth = (start_job(client).id for _ in range(4))
            for running in (first, second):
                until(saw(client, running, "Step 1/2"), "two jobs to run at once")
            waiting = [client.fine_tuning.jobs.retrieve(job).status for job in (third, fourth)]
            assert waiting == ["queued", "queued"]

            client.fine_tuning.jobs.cancel(second)

            until(saw(client, third, "Step 1/2"), "the next job to run")
            assert client.fine_tuning.jobs.retrieve(fourth).status == "queued"
            for job in (first, third, fourth):
                client.fine_tuning.jobs.cancel(job)
