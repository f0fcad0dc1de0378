"""What the server tests work with: training data, strict clients, and servers in a process of their own."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import openai
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob

from pipeline.testing import MockServer

BASE = "smollm2-135m-instruct"
WAIT_S = 30.0
FINISHED = ("succeeded", "failed", "cancelled")

T = TypeVar("T")


def until(look: Callable[[], T | bool | None], what: str) -> T:
    """Look again and again until there is something to see; fails after WAIT_S."""
    deadline = time.monotonic() + WAIT_S
    pause = threading.Event()
    while time.monotonic() < deadline:
        seen = look()
        if seen is not None and seen is not False:
            return seen  # type: ignore[return-value]  # neither None nor False, so True or a T
        pause.wait(0.005)
    raise AssertionError(f"waited {WAIT_S} s in vain for {what}")


def examples(count: int = 10) -> bytes:
    """A training file."""
    chats = [
        {"messages": [{"role": "user", "content": f"Question {n}?"}, {"role": "assistant", "content": "Slow."}]}
        for n in range(count)
    ]
    return b"".join(json.dumps(chat).encode() + b"\n" for chat in chats)


def preferences(count: int = 10) -> bytes:
    """A training file for DPO."""
    pairs = [
        {
            "input": {"messages": [{"role": "user", "content": f"Question {n}?"}]},
            "preferred_output": [{"role": "assistant", "content": "Slow."}],
            "non_preferred_output": [{"role": "assistant", "content": "Fast!"}],
        }
        for n in range(count)
    ]
    return b"".join(json.dumps(pair).encode() + b"\n" for pair in pairs)


def connect(server: MockServer, *, strict: bool = True) -> openai.OpenAI:
    """A client that accepts nothing but what OpenAI documents, unless it is lax, and never asks twice."""
    return openai.OpenAI(
        base_url=server.base_url, api_key=server.api_key, max_retries=0, _strict_response_validation=strict
    )


def upload(client: openai.OpenAI, content: bytes | None = None) -> FileObject:
    return client.files.create(file=("train.jsonl", content or examples()), purpose="fine-tune")


def start_job(client: openai.OpenAI, content: bytes | None = None) -> FineTuningJob:
    return client.fine_tuning.jobs.create(model=BASE, training_file=upload(client, content).id)


def finish(client: openai.OpenAI, job_id: str) -> FineTuningJob:
    """The job once it is succeeded, failed or cancelled."""

    def look() -> FineTuningJob | None:
        job = client.fine_tuning.jobs.retrieve(job_id)
        return job if job.status in FINISHED else None

    return until(look, "the job to finish")


def messages(client: openai.OpenAI, job_id: str) -> list[str]:
    """What happened to a job, oldest first."""
    return [event.message for event in client.fine_tuning.jobs.list_events(job_id)][::-1]


def saw(client: openai.OpenAI, job_id: str, beginning: str) -> Callable[[], bool]:
    return lambda: any(message.startswith(beginning) for message in messages(client, job_id))


_SERVE = """
import sys
from pathlib import Path
from pipeline.server.main import run
from pipeline.server.settings import ServerSettings
data_dir, key = Path(sys.argv[1]), sys.argv[2]
settings = ServerSettings(data_dir, key, trainer="scripted", script=data_dir / "script.json")
run(settings, announce=lambda url: print(url, flush=True), parent_fd=0)
"""


class ServerProcess:
    """A server as the pipeline starts it: a process whose stdin is held by its parent."""

    KEY = "sk-test-0123456789abcdef"

    def __init__(self, data_dir: Path, script: dict[str, object]) -> None:
        self.data_dir = data_dir
        data_dir.mkdir(exist_ok=True)
        (data_dir / "script.json").write_bytes(msgspec.json.encode(script))
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(data_dir), self.KEY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            text=True,
        )
        assert self.process.stdout is not None
        url = self.process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), self.process.communicate()[1]
        self.server = MockServer(url, self.KEY, data_dir)
        self.client = connect(self.server)

    def kill(self) -> None:
        """What the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait(WAIT_S)

    def terminate(self) -> int:
        """Stop in good order; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)

    def worker_pid(self, job_id: str) -> int | None:
        """The process that trains a job now."""
        spec = str(self.data_dir / "jobs" / job_id / "spec.json").encode()
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if spec in entry.read_bytes().split(b"\0"):
                    return int(entry.parent.name)
            except OSError:
                continue  # gone meanwhile
        return None

    def close(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that is dead but not yet waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def peak_memory(pid: int) -> int:
    """The most memory a process ever held, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
