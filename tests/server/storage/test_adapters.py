"""Adapters on their way from a worker to the models."""

import errno
import os
from pathlib import Path

import pytest

from pipeline.server.storage import adapters


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A worker's adapter, in the place where workers leave them."""
    folder = tmp_path / "jobs" / "adapter"
    (folder / "inner").mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")
    (folder / "inner" / "weights").write_bytes(b"weights")
    for name in ("models", "incoming"):
        (tmp_path / name).mkdir()
    return folder


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("has_links", [True, False], ids=["links", "no links"])
def test_a_copy_is_whole_wherever_files_can_have_second_names(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if not has_links:
        monkeypatch.setattr(os, "link", refuse)

    name = adapters.copy(trained, tmp_path / "models", tmp_path / "incoming")

    expected = {"config.json": b"{}", "inner/weights": b"weights"}
    assert _contents(tmp_path / "models" / name) == _contents(trained) == expected
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_finished_adapter_is_taken_from_its_worker(trained: Path, tmp_path: Path) -> None:
    name = adapters.take(trained, tmp_path / "models")

    assert _contents(tmp_path / "models" / name) == {"config.json": b"{}", "inner/weights": b"weights"}
    assert not trained.exists()
