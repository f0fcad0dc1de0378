"""Reads are repeated, politely; what a backend answers is never mistaken."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.backends.client import Connection
from pipeline.config.settings import Backend
from pipeline.errors import FinetuneError, InputError, TryLater
from tests.conftest import FakeClock
from tests.fault_server import Fault, FaultServer, fault_server


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture
def connection(
    server: FaultServer, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connection]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    backend = Backend(kind="compatible", base_url=server.base_url)
    connection = Connection(backend, tmp_path, clock)
    yield connection
    connection.close()


def list_files(connection: Connection) -> int:
    return connection.ask("upload", lambda client: len(list(client.files.list())))


@pytest.mark.parametrize("kind", [500, 502, 429, 408, 409, "reset", "cut", "garbage"])
def test_a_read_outlives_what_may_pass(connection: Connection, server: FaultServer, kind: str | int) -> None:
    server.faults += [Fault("file.list", kind)] * 3
    assert list_files(connection) == 0


def test_a_read_gives_up_after_five_tries(connection: Connection, server: FaultServer, clock: FakeClock) -> None:
    server.faults += [Fault("file.list", 503, body={"message": "overloaded"})] * 5
    with pytest.raises(TryLater) as caught:
        list_files(connection)
    assert str(caught.value) == "upload: the server at base_url answered 503 (overloaded). Run again later."
    assert len(clock.waits) == 4


def test_a_web_page_in_the_apis_place_is_no_empty_list(connection: Connection, server: FaultServer) -> None:
    server.faults += [Fault("file.list", "garbage")] * 5
    with pytest.raises(FinetuneError) as caught:
        list_files(connection)
    assert str(caught.value) == (
        f"upload: the server at base_url cannot be reached at {server.base_url} (expected JSON, got text/html). "
        "Check backend.base_url and the network, then run again."
    )


def test_what_will_not_pass_is_asked_once(connection: Connection, server: FaultServer, clock: FakeClock) -> None:
    server.faults += [Fault("file.list", 401, body={"message": "Incorrect API key provided."})]
    with pytest.raises(InputError):
        list_files(connection)
    assert clock.waits == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_proxy_stands_between_us_and_a_server_on_this_machine(
    server: FaultServer, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    base_url = server.base_url.replace("127.0.0.1", host)
    connection = Connection(Backend(kind="compatible", base_url=base_url), tmp_path, clock)
    assert list_files(connection) == 0
    connection.close()


def test_the_identity_of_a_hosted_backend_is_its_account_not_its_key(
    connection: Connection, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = server.base_url.split("/")[2]
    assert connection.identity == host
    monkeypatch.setenv("OPENAI_API_KEY", "sk-rotated")
    assert connection.identity == host
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj_1")
    assert connection.identity == f"{host}:proj_1"
