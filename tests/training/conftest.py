"""What the training tests share: training files, job specs, and a worker process to run them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.training.protocol import JobSpec, Report, encode_spec

Chat = Sequence[tuple[str, str]]


def write_chats(path: Path, chats: Sequence[Chat]) -> Path:
    """Write a training file from (role, content) pairs."""
    lines = [{"messages": [{"role": role, "content": content} for role, content in chat]} for chat in chats]
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return path


@pytest.fixture
def training_file(tmp_path: Path) -> Path:
    return write_chats(
        tmp_path / "train.jsonl", [[("user", f"Question {n}?"), ("assistant", "Slow.")] for n in range(8)]
    )


@pytest.fixture
def make_spec(tmp_path: Path, training_file: Path) -> Callable[..., JobSpec]:
    """A job spec; keywords replace its fields."""

    def make(**changes: Any) -> JobSpec:
        spec = JobSpec(
            job_id="ftjob-1",
            trainer="scripted",
            base_model="smollm2-135m-instruct",
            training_file=training_file,
            validation_file=None,
            n_epochs=2,
            batch_size=4,
            learning_rate_multiplier=1.0,
            seed=7,
            work_dir=tmp_path / "work",
        )
        return msgspec.structs.replace(spec, **changes)

    return make


class Worker:
    """A real worker process and what it says."""

    def __init__(self, spec: JobSpec, command: Sequence[str] = ("-m", "pipeline.training")) -> None:
        spec_file = spec.work_dir.parent / "spec.json"
        spec_file.write_bytes(encode_spec(spec))
        self.process = subprocess.Popen(
            [sys.executable, *command, str(spec_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONWARNINGS": ""},
        )

    def reports(self) -> Iterator[Report]:
        """What it says from now on, until it leaves."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield msgspec.json.decode(line, type=Report)

    def say(self, text: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def finish(self) -> tuple[list[Report], int, str]:
        """Wait for its end: the reports not read yet, exit code and stderr."""
        said = list(self.reports())
        assert self.process.stderr is not None
        errors = self.process.stderr.read().decode()
        return said, self.process.wait(60), errors

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def start_worker() -> Iterator[Callable[..., Worker]]:
    """Start worker processes; none outlives the test."""
    workers: list[Worker] = []

    def start(spec: JobSpec, command: Sequence[str] = ("-m", "pipeline.training")) -> Worker:
        workers.append(Worker(spec, command))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()
