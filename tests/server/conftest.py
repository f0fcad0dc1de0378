"""Servers and clients for the server tests."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest

from pipeline.testing import MockServer, mock_openai
from tests.server.harness import ServerProcess, connect


@pytest.fixture(scope="module")
def shared() -> Iterator[MockServer]:
    """One server for tests that don't mind each other."""
    with mock_openai({"steps": 3}) as server:
        yield server


@pytest.fixture(scope="module")
def client(shared: MockServer) -> Iterator[openai.OpenAI]:
    """A strict client of the shared server."""
    with connect(shared) as connected:
        yield connected


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., openai.OpenAI]]:
    """Serve a script, on a store of its own, and connect to it."""
    with contextlib.ExitStack() as stack:

        def start(**script: object) -> openai.OpenAI:
            server = stack.enter_context(mock_openai(script, data_dir=tmp_path / "store"))
            return stack.enter_context(connect(server))

        yield start


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Start server processes, by default all on one store."""
    servers: list[ServerProcess] = []

    def start(**script: object) -> ServerProcess:
        servers.append(ServerProcess(tmp_path / "store", script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
