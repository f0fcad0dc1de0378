"""The worker as a process, with the scripted trainer."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.training.protocol import Checkpoint, Failed, JobSpec, Started, Step, Stopped, Succeeded

MakeSpec = Callable[..., JobSpec]
MakeScript = Callable[..., Path]
StartWorker = Callable[..., Any]


def test_a_job_is_reported_line_by_line(make_spec: MakeSpec, start_worker: StartWorker) -> None:
    said, code, errors = start_worker(make_spec()).finish()
    assert [type(r) for r in said] == [Started, Step, Step, Checkpoint, Step, Step, Checkpoint, Succeeded]
    assert (code, errors) == (0, "")


def test_stop_ends_a_hanging_job_in_good_order(
    make_spec: MakeSpec, make_script: MakeScript, start_worker: StartWorker
) -> None:
    worker = start_worker(make_spec(script=make_script(hang_at_step=3)))
    reports = worker.reports()
    while getattr(next(reports), "step", 0) < 2:
        pass
    worker.say(b"stop\n")
    said, code, errors = worker.finish()
    assert (said[-1], code, errors) == (Stopped(2), 0, "")


def test_ctrl_c_is_left_to_the_server(make_spec: MakeSpec, make_script: MakeScript, start_worker: StartWorker) -> None:
    worker = start_worker(make_spec(script=make_script(hang_at_step=1)))
    next(worker.reports())
    worker.process.send_signal(signal.SIGINT)
    worker.say(b"stop\n")
    said, code, errors = worker.finish()
    assert (said, code, errors) == ([Stopped(0)], 0, "")


def test_the_worker_leaves_when_its_server_is_gone(
    make_spec: MakeSpec, make_script: MakeScript, start_worker: StartWorker
) -> None:
    worker = start_worker(make_spec(script=make_script(hang_at_step=1)))
    next(worker.reports())
    worker.process.stdin.close()
    assert worker.process.wait(10) == 1


def test_crashes_are_counted_and_the_job_goes_on_after_them(
    make_spec: MakeSpec, make_script: MakeScript, start_worker: StartWorker
) -> None:
    spec = make_spec(script=make_script(crash={"signal": 9, "at_step": 3, "attempts": 2}))
    ends = []
    for _ in range(3):
        said, code, _ = start_worker(spec).finish()
        ends.append((said[0].first_step, type(said[-1]), code))
    assert ends == [(0, Checkpoint, -signal.SIGKILL), (2, Checkpoint, -signal.SIGKILL), (2, Succeeded, 0)]


def test_a_bad_training_file_fails_the_job(make_spec: MakeSpec, start_worker: StartWorker, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("hello")
    said, code, errors = start_worker(make_spec(training_file=tmp_path / "bad.jsonl")).finish()
    assert said == [
        Failed(
            "invalid_training_file",
            "The job failed due to an invalid training file. Example 1: JSON is malformed: invalid character (byte 0). "
            'Write {"messages": [{"role": ..., "content": ...}, ...]} with text only, one example a line.',
            "training_file",
        )
    ]
    assert (code, errors) == (0, "")


def test_a_bad_script_fails_the_job(make_spec: MakeSpec, make_script: MakeScript, start_worker: StartWorker) -> None:
    script = make_script(steps="many")
    said, code, _ = start_worker(make_spec(script=script)).finish()
    message = (
        f"{script}: steps: expected int | null, got str. "
        "Keys: steps, seconds_per_step, fail, crash, hang_at_step, replies, base_models, files, requests."
    )
    assert (said, code) == ([Failed("invalid_input", message)], 0)


def test_a_bug_ends_the_worker_with_a_traceback(make_spec: MakeSpec, start_worker: StartWorker, tmp_path: Path) -> None:
    said, code, errors = start_worker(make_spec(training_file=tmp_path / "gone.jsonl")).finish()
    assert (said, code) == ([], 1)
    assert errors.startswith("Traceback")


def test_what_the_worker_writes_is_private(make_spec: MakeSpec, start_worker: StartWorker) -> None:
    spec = make_spec()
    start_worker(spec).finish()
    modes = {path.stat().st_mode & 0o777 for path in spec.work_dir.rglob("*")}
    assert modes == {0o600, 0o700}
