"""One worker process, without a server around it."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.models.environment import sleeping_threads
from pipeline.server.queue.worker import FolderBusy, Worker
from pipeline.training.protocol import Checkpoint, JobSpec, Started, Step, Stopped
from tests.server.harness import examples

StartWorker = Callable[..., Worker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartWorker]:
    """Start workers in one folder; `script` is JSON, `command` what runs instead of the trainer."""
    workers: list[Worker] = []

    def start_one(script: str = "{}", command: tuple[str, ...] | None = None) -> Worker:
        (tmp_path / "work").mkdir(exist_ok=True)
        (tmp_path / "train.jsonl").write_bytes(examples())
        (tmp_path / "script.json").write_text(script)
        spec = JobSpec(
            job_id="ftjob-1",
            trainer="scripted",
            base_model="smollm2-135m-instruct",
            training_file=tmp_path / "train.jsonl",
            validation_file=None,
            n_epochs=1,
            batch_size=5,
            learning_rate_multiplier="auto",
            seed=1,
            work_dir=tmp_path / "work",
            script=tmp_path / "script.json",
        )
        workers.append(Worker(spec) if command is None else Worker(spec, command=command))
        return workers[-1]

    yield start_one
    for worker in workers:
        worker.kill()
        worker.wait()


def test_a_folder_has_one_worker_at_a_time(start: StartWorker) -> None:
    first = start('{"hang_at_step": 1}')
    with pytest.raises(FolderBusy):
        start()

    first.kill()
    assert first.wait() == "was killed by SIGKILL"

    assert [type(report).__name__ for report in start().reports()][-1] == "Succeeded"


def test_a_folder_whose_worker_could_not_start_is_free_again(start: StartWorker, tmp_path: Path) -> None:
    (tmp_path / "work/worker.log").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        start()
    (tmp_path / "work/worker.log").rmdir()

    assert [type(report).__name__ for report in start().reports()][-1] == "Succeeded"


def test_a_worker_told_to_stop_says_where_it_stopped(start: StartWorker) -> None:
    worker = start('{"steps": 3, "hang_at_step": 2}')
    reports = worker.reports()
    assert isinstance(next(reports), Started)
    assert isinstance(next(reports), Step)

    worker.stop(grace_s=30)

    assert list(reports) == [Stopped(1)]
    assert worker.wait() == "exited with status 0"


def test_a_worker_that_does_not_listen_is_killed_after_its_grace(start: StartWorker) -> None:
    worker = start(command=("/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"))

    worker.stop(grace_s=0.05)

    assert list(worker.reports()) == []
    assert worker.wait() == "was killed by SIGKILL"


def test_stopping_a_worker_that_has_left_does_nothing(start: StartWorker) -> None:
    worker = start(command=("/bin/true",))
    assert worker.wait() == "exited with status 0"

    worker.stop(grace_s=0)
    worker.kill()


def test_a_word_cut_off_by_death_is_no_report(start: StartWorker) -> None:
    said = r"""echo '{"type":"checkpoint","step":1,"adapter":"a"}'; printf '{"type":"st'"""
    worker = start(command=("/bin/sh", "-c", said))

    assert list(worker.reports()) == [Checkpoint(1, "a")]
    assert worker.wait() == "exited with status 0"


def test_a_worker_is_told_no_keys(start: StartWorker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("FINETUNE_SERVER_KEY", "sk-secret")

    worker = start(command=("/bin/sh", "-c", f"env > '{tmp_path}/environment'"))
    worker.wait()

    assert "sk-secret" not in (tmp_path / "environment").read_text()


def test_a_worker_is_not_told_that_chat_lets_its_threads_sleep(
    start: StartWorker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = ("/bin/sh", "-c", f"echo ${{OMP_WAIT_POLICY-none}} > '{tmp_path}/policy'")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    with sleeping_threads():  # chat imports torch in another thread
        start(command=command).wait()
    assert (tmp_path / "policy").read_text() == "none\n"

    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    with sleeping_threads():
        start(command=command).wait()
    assert (tmp_path / "policy").read_text() == "ACTIVE\n"


def test_a_ctrl_c_in_the_terminal_does_not_reach_the_worker(start: StartWorker, tmp_path: Path) -> None:
    """It goes to the foreground process group; a worker leads one of its own."""
    start(command=("/bin/sh", "-c", "ps -o pgid= -p $$ >&2; echo $$ >&2")).wait()

    group, pid = (tmp_path / "work/worker.log").read_text().split()
    assert group == pid


def _real_worker(before: str) -> tuple[str, ...]:
    """The real trainer after a line of shell."""
    return ("/bin/sh", "-c", f'{before}; exec "{sys.executable}" -m pipeline.training "$0"')


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not enforce RLIMIT_AS")
def test_a_worker_without_memory_says_so(start: StartWorker, tmp_path: Path) -> None:
    worker = start(command=_real_worker(f"ulimit -v 300000; truncate -s 1G '{tmp_path}/train.jsonl'"))

    assert list(worker.reports()) == []
    assert worker.wait() == "ran out of memory"
    assert "MemoryError" in (tmp_path / "work/worker.log").read_text()


def test_a_worker_without_space_says_so(start: StartWorker, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the call fails in the same place."""
    worker = start(command=_real_worker("trap '' XFSZ; ulimit -f 0; exec 2>/dev/null"))

    assert list(worker.reports()) == []
    assert worker.wait() == "found the disk full"


def test_what_a_killed_server_was_told_is_told_again(start: StartWorker) -> None:
    first = start('{"steps": 4, "crash": {"signal": 9, "at_step": 4}}')
    told = list(first.reports())
    first.wait()

    again = list(start('{"steps": 4}').reports())

    assert [report.step for report in told if isinstance(report, Step)] == [1, 2, 3]
    assert isinstance(again[0], Started)
    assert again[1:4] == told[1:4]
    assert [report.step for report in again if isinstance(report, Step)] == [1, 2, 3, 4]


@pytest.mark.parametrize("error", [PermissionError, ProcessLookupError])
def test_a_worker_that_has_just_ended_cannot_be_killed_and_need_not_be(
    start: StartWorker, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    def refuse(*_: int) -> None:
        raise error

    worker = start('{"hang_at_step": 1}')
    with monkeypatch.context() as system:
        system.setattr(os, "killpg", refuse)  # macOS answers the former
        worker.kill()
    worker.kill()
    assert worker.wait() == "was killed by SIGKILL"
