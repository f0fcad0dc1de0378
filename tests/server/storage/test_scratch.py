"""The store of a mocked API that nobody keeps holds chats: it goes with its server, however that ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.server.storage.database import StoreLock
from pipeline.server.storage.scratch import sweep
from pipeline.testing import MockServer, mock_openai
from tests.server.harness import WAIT_S, connect, upload

KEY = "sk-test-0123456789abcdef"


class _Served:
    """`finetune serve --mock`, with a place of its own for temporary files."""

    def __init__(self, place: Path, *before: str) -> None:
        others = set(place.glob("mock-openai-*"))
        self.process = subprocess.Popen(
            [*before, sys.executable, "-m", "pipeline", "serve", "--mock", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "FINETUNE_SERVER_KEY": KEY, "TMPDIR": str(place)},
            text=True,
        )
        assert self.process.stdout is not None
        url = self.process.stdout.readline().strip().partition("=")[2]
        self.store = next(
            each for each in place.glob("mock-openai-*") if each not in others and (each / "files").is_dir()
        )
        with connect(MockServer(url, KEY, self.store)) as client:
            self.upload = self.store / "files" / upload(client).id

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=WAIT_S)
        return self.process.returncode


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    served = _Served(tmp_path)
    assert served.upload.exists()

    assert served.end(number) == 0

    assert list(tmp_path.iterdir()) == []


def test_a_server_that_nohup_started_outlives_its_terminal(tmp_path: Path) -> None:
    served = _Served(tmp_path, "nohup")
    served.process.send_signal(signal.SIGHUP)
    assert served.end(signal.SIGTERM) == 0


def test_the_next_server_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    killed, alive = _Served(tmp_path), _Served(tmp_path)
    killed.end(signal.SIGKILL)
    assert killed.upload.exists()

    another = _Served(tmp_path)

    assert not killed.store.exists()
    assert alive.upload.exists()
    for each in (alive, another):
        assert each.end(signal.SIGTERM) == 0
    assert list(tmp_path.iterdir()) == []


def _abandoned(store: Path) -> Path:
    store.mkdir()
    for name in ("store.db", "server.lock", "chat"):
        (store / name).write_bytes(b"")
    return store


def test_only_stores_of_killed_servers_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "place").mkdir()
    place, elsewhere = tmp_path / "place", _abandoned(tmp_path / "elsewhere")
    (place / "mock-openai-link").symlink_to(elsewhere)
    (place / "mock-openai-file").write_text("")
    (place / "mock-openai-starting").mkdir()
    _abandoned(place / "another-name")
    linked = _abandoned(place / "mock-openai-linked")
    (linked / "inside").symlink_to(elsewhere)
    piped = _abandoned(place / "mock-openai-piped")
    (piped / "server.lock").unlink()
    os.mkfifo(piped / "server.lock")
    served = StoreLock.acquire(_abandoned(place / "mock-openai-served"))

    sweep(place)

    served.release()
    left = {"link", "file", "starting", "piped", "served"}
    assert {each.name for each in place.iterdir()} == {"another-name", *(f"mock-openai-{name}" for name in left)}
    assert {each.name for each in elsewhere.iterdir()} == {"store.db", "server.lock", "chat"}
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    sweep(place)
    assert (place / "mock-openai-served").exists()


def test_a_mocked_api_within_a_test_removes_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = _abandoned(tmp_path / "mock-openai-left")
    with mock_openai() as server:
        assert server.data_dir.parent == tmp_path
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []
