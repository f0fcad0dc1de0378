"""Mocked servers for the conformance suite, and its score at the end."""

import contextlib
from collections.abc import Callable, Iterator

import httpx
import msgspec
import pytest

from pipeline.testing import MockServer, mock_openai

SCORED = "test_conformance.py::test_walk["


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[dict[str, object]], MockServer]]:
    """A server for each script, shared by the cases that have it."""
    running: dict[bytes, MockServer] = {}
    with contextlib.ExitStack() as stack:

        def start(script: dict[str, object]) -> MockServer:
            name = msgspec.json.encode(script)
            if name not in running:
                running[name] = stack.enter_context(mock_openai(script))
            return running[name]

        yield start


@pytest.fixture(scope="session")
def routes(serve: Callable[[dict[str, object]], MockServer]) -> list[str]:
    """Every route of the server's own OpenAPI page, such as "GET /v1/files"."""
    server = serve({})
    url = server.base_url.removesuffix("/v1") + "/openapi.json"
    page = httpx.get(url, headers={"Authorization": f"Bearer {server.api_key}"}).json()
    return [f"{method.upper()} {path}" for path, methods in page["paths"].items() for method in methods]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many of the walks went well."""
    passed, failed = (
        {report.nodeid for report in terminalreporter.stats.get(outcome, []) if SCORED in report.nodeid}
        for outcome in ("passed", "failed")
    )
    if walks := len(passed | failed):
        terminalreporter.write_line(f"conformance: {len(passed - failed)}/{walks} walks through the API went well")
