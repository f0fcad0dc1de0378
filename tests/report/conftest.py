"""A finished run with a scripted trainer, made once; each test has a copy of its own."""

import shutil
from pathlib import Path

import pytest

from tests.command import Workshop
from tests.report.tampering import Run


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = Workshop(tmp_path_factory.mktemp("shop"))
    done = shop.run()
    assert (done.code, done.err) == (0, "")
    return shop.run_dir


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Run:
    copy = tmp_path / "runs" / "ci"
    shutil.copytree(made, copy)
    return Run(copy)
