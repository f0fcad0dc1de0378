"""A server that can go wrong, and the bench that a step is tested on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FakeClock
from tests.fault_server import FaultServer, fault_server
from tests.steps.bench import Bench


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, server: FaultServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    bench = Bench(run_dir, server, clock)
    yield bench
    bench.connection.close()
