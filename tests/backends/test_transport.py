"""What a broken or hostile backend answers is bounded, checked and clean before anything else sees it."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.backends import transport
from pipeline.backends.client import Connection
from pipeline.backends.ledger import Ledger
from pipeline.config.settings import Backend, CreateJob
from pipeline.errors import BackendFailed, FinetuneError, InputError, TryLater
from pipeline.process import privacy
from pipeline.process.signals import Signals
from pipeline.state.file import State
from tests.conftest import FakeClock
from tests.fault_server import FOREVER, Fault, FaultServer, fault_server

KEY = "sk-SECRETKEY123456"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(privacy, "_keys", set())


class TickingClock(FakeClock):
    """Some seconds pass at every look."""

    def __init__(self, step_s: float = 1) -> None:
        super().__init__()
        self._step_s = step_s

    def monotonic(self) -> float:
        self.elapsed += self._step_s
        return self.elapsed


def connect(server: FaultServer, run_dir: Path, clock: FakeClock) -> Connection:
    return Connection(Backend(kind="compatible", base_url=server.base_url, timeout_s=5), run_dir, clock)


@pytest.fixture
def connection(server: FaultServer, tmp_path: Path, clock: FakeClock) -> Iterator[Connection]:
    connection = connect(server, tmp_path, clock)
    yield connection
    connection.close()


def list_files(connection: Connection) -> list[str]:
    return connection.ask("upload", lambda client: [file.id for file in client.files.list()])


def refused(connection: Connection) -> FinetuneError:
    with pytest.raises(FinetuneError) as caught:
        list_files(connection)
    return caught.value


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_key_that_an_error_repeats_is_hidden(connection: Connection, server: FaultServer, status: int) -> None:
    said = b'{"error": {"message": "no good: \\u0073k-SECRETKEY123456, as in $AUTHORIZATION"}}'
    server.faults.append(Fault("file.list", status, raw=said, times=FOREVER))
    whether = "Run again later." if status == 500 else "Change what it names, then run again."
    assert str(refused(connection)) == (
        f"upload: the server at base_url answered {status} (no good: [key], as in Bearer [key]). {whether}"
    )


@pytest.mark.parametrize("location", ["http://localhost:1/v1/files", "https://user:pw@evil.example/x?y"])
def test_a_list_is_asked_for_where_the_config_says_alone(
    connection: Connection, server: FaultServer, clock: FakeClock, location: str
) -> None:
    server.faults.append(Fault("file.list", 302, headers=(("location", location),)))
    error = refused(connection)
    host = {"http": "http://localhost:1", "https": "https://evil.example"}[location.partition(":")[0]]
    assert str(error) == (
        f"upload: {server.base_url} sends requests on to {host} (302), and that is not "
        "followed. If you trust that place, set backend.base_url to the address of the API there."
    )
    assert isinstance(error, InputError)
    assert clock.waits == []


@pytest.mark.parametrize(
    ("location", "to"),
    [("/v1/files", "BASE/v1/files"), ("file:///etc/passwd", "nowhere"), ("http://[::1", "nowhere"), ("", "nowhere")],
)
def test_a_redirect_in_a_circle_or_to_nowhere_is_told_as_that(
    connection: Connection, server: FaultServer, location: str, to: str
) -> None:
    server.faults.append(Fault("file.list", 302, headers=(("location", location),)))
    to = to.replace("BASE", server.base_url.removesuffix("/v1"))
    assert str(refused(connection)) == (
        f"upload: {server.base_url} sends requests on to {to} (302), and that is not "
        "followed. If you trust that place, set backend.base_url to the address of the API there."
    )
    assert server.requests["file.list"] == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_training_file_goes_to_no_other_host(
    connection: Connection, server: FaultServer, tmp_path: Path, clock: FakeClock, status: int
) -> None:
    (tmp_path / "train.jsonl").write_bytes(b'{"messages": []}\n')
    with fault_server() as other:
        place = ("location", f"{other.base_url}/files")
        server.faults.append(Fault("file.create", status, headers=(place,)))
        ledger = Ledger(State.load(tmp_path), connection, clock, Signals(), print)
        with pytest.raises(InputError):
            ledger.upload(tmp_path / "train.jsonl", "ab" * 32, timeout_s=5)
        assert other.requests.total() == 0
    (attempt,) = State.load(tmp_path).body.remote.values()
    assert attempt.tries == 0, "a redirect leaves nothing undecided"


def test_a_result_file_that_is_kept_elsewhere_is_fetched_there_without_the_key(
    connection: Connection, server: FaultServer
) -> None:
    with fault_server() as other:
        other.accounts = {"": "anybody"}
        place = ("location", f"{other.base_url}/files/stored/content")
        server.faults.append(Fault("file.content", 302, headers=(place,)))
        content = connection.ask("poll_job", lambda client: client.files.content("file-r").read())
        assert (content, other.requests["file.content"]) == (other.result, 1)


def test_a_result_file_that_redirects_in_a_circle_is_given_up(connection: Connection, server: FaultServer) -> None:
    place = ("location", f"{server.base_url}/files/file-r/content")
    server.faults.append(Fault("file.content", 302, headers=(place,), times=FOREVER))
    with pytest.raises(TryLater) as caught:
        connection.ask("poll_job", lambda client: client.files.content("file-r").read())
    assert str(caught.value) == (
        "poll_job: what the server at base_url answers makes no sense (it redirects without an end). "
        "Check backend.base_url, then run again."
    )


STRANGE = {
    b'{"id": "x", ': "it is no JSON",
    b"": "it is no JSON",
    b'{"id": "\xff\xfe"}': "it is no UTF-8",
    b'{"object": "list", "data":' + b"[" * 200_000 + b"]" * 200_000 + b"}": "it is nested more than 64 levels deep",
    b'{"created_at": ' + b"9" * 5000 + b"}": "it is no JSON",
    b"[1,2]": "it is no JSON object",
    b"null": "it is no JSON object",
    b'"x"': "it is no JSON object",
    b"[" + b"1," * 1_000_000 + b"1]": "it holds more than 1000000 values",
}


@pytest.mark.parametrize(("said", "why"), STRANGE.items(), ids=range(len(STRANGE)))
def test_an_answer_that_makes_no_sense_is_asked_for_again_and_then_told(
    connection: Connection, server: FaultServer, clock: FakeClock, said: bytes, why: str
) -> None:
    server.faults.append(Fault("file.list", "says", raw=said, times=4))
    assert list_files(connection) == []
    server.faults.append(Fault("file.list", "says", raw=said, times=5))
    error = refused(connection)
    assert isinstance(error, TryLater)
    assert str(error) == (
        f"upload: what the server at base_url answers makes no sense ({why}). Check backend.base_url, then run again."
    )


@pytest.mark.parametrize("said", STRANGE, ids=range(len(STRANGE)))
def test_a_job_whose_answer_makes_no_sense_is_looked_up_and_never_bought_twice(
    connection: Connection, server: FaultServer, tmp_path: Path, clock: FakeClock, said: bytes
) -> None:
    server.faults.append(Fault("job.create", "says", commits=True, raw=said))
    ledger = Ledger(State.load(tmp_path), connection, clock, Signals(), print)
    assert ledger.create_job(CreateJob(model="m"), "file-1", None, "f", 0)[0] == "ftjob-1"
    assert server.posts == ["job.create"]


def test_what_is_compressed_in_another_way_than_said_makes_no_sense(
    connection: Connection, server: FaultServer
) -> None:
    gzipped = (("content-encoding", "gzip"),)
    server.faults.append(Fault("file.list", "says", raw=b"not gzip", headers=gzipped, times=FOREVER))
    assert "(it is not compressed as it says)" in str(refused(connection))


def test_an_answer_that_never_ends_is_cut_by_its_size(
    connection: Connection, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MOST_JSON", 2_000_000)
    server.faults.append(Fault("file.list", "endless", raw=b" " * 100_000, times=FOREVER))
    assert str(refused(connection)) == (
        "upload: what the server at base_url answers makes no sense (it is longer than 2 MB). "
        "Check backend.base_url, then run again."
    )
    assert server.requests["file.list"] == 1, "it would only be as long again"


def test_a_small_answer_that_grows_when_it_is_decompressed_is_cut_by_its_size(
    connection: Connection, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MOST_JSON", 2_000_000)
    bomb, gzipped = gzip.compress(b" " * 20_000_000, 1), (("content-encoding", "gzip"),)
    server.faults.append(Fault("file.list", "says", raw=bomb, headers=gzipped, times=5))
    assert "(it is longer than 2 MB)" in str(refused(connection))


@pytest.mark.parametrize("piece", [b" ", b"\x00\x00\x00\xff\xff"], ids=["blanks", "blocks of nothing"])
def test_an_answer_that_comes_in_drops_is_cut_by_its_time(server: FaultServer, tmp_path: Path, piece: bytes) -> None:
    connection = connect(server, tmp_path, TickingClock())
    headers = () if piece == b" " else (("content-encoding", "deflate"),)
    server.faults.append(Fault("file.list", "endless", raw=piece, headers=headers, times=5))
    assert str(refused(connection)) == (
        "upload: what the server at base_url answers makes no sense (it did not end within 15 s). "
        "Check backend.base_url, then run again."
    )
    connection.close()


def test_a_large_result_file_comes_whole(connection: Connection, server: FaultServer) -> None:
    server.result = b"step,train_loss\n" + b"1,2.5\n" * 1_000_000
    assert connection.ask("poll_job", lambda client: client.files.content("file-r").read()) == server.result


def test_a_result_file_that_never_ends_is_cut(
    connection: Connection, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MOST_CONTENT", 2_000_000)
    server.faults.append(Fault("file.content", "endless", raw=b"1,2\n" * 50_000, content_type="text/csv", times=5))
    with pytest.raises(TryLater) as caught:
        connection.ask("poll_job", lambda client: client.files.content("file-r").read())
    assert "(it is longer than 2 MB)" in str(caught.value)


def test_a_refusal_counts_by_its_status_whatever_comes_with_it(connection: Connection, server: FaultServer) -> None:
    for said in (b"[" * 200_000, b"\xff", b'{"error": ' + json.dumps("x" * 2_000_000).encode() + b"}"):
        server.faults.append(Fault("file.list", 403, raw=said))
        error = refused(connection)
        assert str(error) == (
            "upload: the server at base_url does not permit this (status 403). "
            "Check what the key in OPENAI_API_KEY may do there."
        )
    server.faults.append(Fault("file.list", 418, raw=b'{"error": {"message": ["a"], "code": {"b": 1}}}'))
    error = refused(connection)
    assert isinstance(error, BackendFailed)
    assert str(error) == (
        "upload: the server at base_url answered 418 (status 418). Change what it names, then run again."
    )
