"""No process of ours leaves a core dump, whatever the shell allows: it would hold chats and keys."""

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.backends.embedded import EmbeddedServer
from pipeline.config.settings import Backend
from tests.server.harness import ServerProcess, saw, start_job, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the limits of another process in /proc")


def _core_limit(pid: int) -> list[str]:
    line = next(each for each in Path(f"/proc/{pid}/limits").read_text().splitlines() if "core file" in each)
    return line.split()[4:6]


@pytest.fixture
def allowed() -> Iterator[None]:
    """Core dumps are allowed to processes that this one starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == 0:
        pytest.skip("core dumps are forbidden here")
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@pytest.mark.usefixtures("allowed")
def test_a_server_and_its_worker_leave_none(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(steps=4, hang_at_step=2)
    job = start_job(server.client)
    until(saw(server.client, job.id, "Step 1/4"), "the first step")
    worker = until(lambda: server.worker_pid(job.id), "the worker")

    assert _core_limit(server.process.pid) == ["0", "0"]
    assert _core_limit(worker) == ["0", "0"]


@pytest.mark.usefixtures("allowed")
def test_an_embedded_server_leaves_none(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "server", Backend(trainer="scripted"))
    limit = _core_limit(server.pid)
    server.stop()
    assert limit == ["0", "0"]


@pytest.mark.usefixtures("allowed")
def test_the_command_leaves_none() -> None:
    look = "cli.app = lambda: print(resource.getrlimit(resource.RLIMIT_CORE))"
    command = [sys.executable, "-c", f"import resource; from pipeline import cli; {look}; cli.main()"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(0, 0)"
