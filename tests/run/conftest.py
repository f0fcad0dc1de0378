"""A run directory in which the local steps are done, made once; each test has a copy of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FakeClock
from tests.fault_server import FaultServer, fault_server
from tests.run.place import Place


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("converted")
    with fault_server() as unused:
        Place(run_dir, unused, FakeClock()).run(last="convert")
    return run_dir


@pytest.fixture
def place(
    converted: Path, tmp_path: Path, server: FaultServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> Place:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    run_dir = tmp_path / "run"
    shutil.copytree(converted, run_dir)
    return Place(run_dir, server, clock)
