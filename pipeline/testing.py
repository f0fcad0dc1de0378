"""The mocked API for your tests: the real server with a scripted trainer, on a free port of this machine.

    from pipeline.testing import mock_openai, mocked_openai  # the second is a pytest fixture

    def test_my_fine_tuning(mocked_openai):
        client = openai.OpenAI(base_url=mocked_openai.base_url, api_key=mocked_openai.api_key)
        ...

A script says how jobs go, how they fail, and which requests go wrong: see pipeline/training/scripted.py and the README.
Without Python around it the same server is `finetune serve --mock --script FILE`.
"""

import contextlib
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from pipeline import durable
from pipeline.server.main import Server, serving
from pipeline.server.settings import ServerSettings
from pipeline.server.storage.scratch import temporary_store

START_S = 30.0


@dataclass(frozen=True)
class MockServer:
    """A running mocked API. `data_dir` holds its store."""

    base_url: str
    api_key: str
    data_dir: Path


@contextlib.contextmanager
def mock_openai(script: Mapping[str, object] | None = None, *, data_dir: Path | None = None) -> Iterator[MockServer]:
    """Serve the API, in a thread, while the block runs.

    Args:
        script: how jobs go; without it they succeed at once.
        data_dir: keeps the store; without it a temporary folder is used and removed.

    Raises:
        InputError: the script is wrong.
    """
    with contextlib.ExitStack() as stack:
        if data_dir is None:
            data_dir = stack.enter_context(temporary_store())
        durable.make_private_dir(data_dir)
        script_file = data_dir / "script.json"
        durable.write_atomically(script_file, msgspec.json.encode(dict(script or {})))
        key = f"sk-mock-{secrets.token_hex(16)}"
        settings = ServerSettings(data_dir, key, trainer="scripted", script=script_file)
        server = stack.enter_context(serving(settings))
        stack.enter_context(serve_in_thread(server))
        yield MockServer(server.base_url, key, data_dir)


@contextlib.contextmanager
def serve_in_thread(server: Server) -> Iterator[None]:
    """Have `server` answer while the block runs; at its end the server has stopped in good order."""
    ready = threading.Event()
    thread = threading.Thread(target=server.serve_until_told, args=(lambda _: ready.set(),), name="mock-openai")
    thread.start()
    try:
        if not ready.wait(START_S):
            raise TimeoutError("the mocked API did not start")
        yield
    finally:
        server.tell_to_stop()
        thread.join()


@pytest.fixture
def mocked_openai() -> Iterator[MockServer]:
    """A mocked API of its own for each test."""
    with mock_openai() as server:
        yield server
