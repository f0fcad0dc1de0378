"""Lists as servers really send them: in pages, with the same row twice, without an end."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.backends import listing
from pipeline.backends.client import Connection
from pipeline.backends.ledger import Ledger
from pipeline.backends.listing import EndlessList, rows
from pipeline.config.settings import Backend, CreateJob
from pipeline.process.signals import Signals
from pipeline.state.file import State
from tests.conftest import FakeClock
from tests.fault_server import FOREVER, Fault, FaultServer, fault_server

FIX = "Whoever runs that server has to mend its paging; until then use another."


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture
def connection(
    server: FaultServer, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connection]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    connection = Connection(Backend(kind="compatible", base_url=server.base_url), tmp_path, clock)
    yield connection
    connection.close()


def ids(connection: Connection) -> list[str]:
    return connection.ask("upload", lambda client: [file.id for file in rows(lambda: client.files.list())])


def page(*ids: str) -> bytes:
    return json.dumps({"object": "list", "data": [{"id": each} for each in ids], "has_more": True}).encode()


def test_every_page_is_read_and_every_row_comes_once(connection: Connection, server: FaultServer) -> None:
    for size in range(4):
        server.commit_file(f"{size}.jsonl", size)
    server.page = 1
    assert ids(connection) == ["file-1", "file-2", "file-3", "file-4"]
    server.page = 2
    server.faults.append(Fault("file.list", "says", raw=page("file-2", "file-1")))
    assert ids(connection) == ["file-2", "file-1", "file-3", "file-4"]


def test_a_server_that_sends_the_same_page_for_ever_is_told_of(
    connection: Connection, server: FaultServer, clock: FakeClock
) -> None:
    server.faults.append(Fault("file.list", "says", raw=page("a", "b"), times=FOREVER))
    with pytest.raises(EndlessList) as caught:
        ids(connection)
    assert str(caught.value) == (
        f"backend.base_url: its list does not end (every page of it is the same, whatever `after` says). {FIX}"
    )
    assert (server.requests["file.list"], clock.waits) == (2, [])


def test_a_server_that_always_has_another_page_is_asked_for_a_thousand(
    connection: Connection, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert listing.MOST_PAGES == 1000
    monkeypatch.setattr(listing, "MOST_PAGES", 3)
    for size in range(4):
        server.commit_file(f"{size}.jsonl", size)
    server.page = 1
    with pytest.raises(EndlessList) as caught:
        ids(connection)
    assert str(caught.value) == f"backend.base_url: its list does not end (after 3 pages there are more). {FIX}"
    assert server.requests["file.list"] == 4


def test_nothing_is_bought_on_half_a_list(
    connection: Connection, server: FaultServer, tmp_path: Path, clock: FakeClock
) -> None:
    server.faults.append(Fault("job.list", "says", raw=page("a"), times=FOREVER))
    ledger = Ledger(State.load(tmp_path), connection, clock, Signals(), print)
    with pytest.raises(EndlessList):
        ledger.create_job(CreateJob(model="m"), "file-1", None, "f", 0)
    assert server.posts == []
