"""Connections of strangers take neither the server from its clients nor the descriptors from its jobs."""

import contextlib
import http.client
import json
import re
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h11
import httpx
import pytest

from pipeline.server.http.connections import FREE_CHUNKS, MOST, Chunks, Limits
from pipeline.server.main import serving
from pipeline.server.settings import ServerSettings
from pipeline.testing import MockServer, serve_in_thread
from tests.server.harness import WAIT_S, connect, finish, start_job, until, upload

KEY = "sk-test-0123456789abcdef"


@contextlib.contextmanager
def _limited(tmp_path: Path, limits: Limits, script: str = "{}") -> Iterator[MockServer]:
    (tmp_path / "script.json").write_text(script)
    settings = ServerSettings(tmp_path / "store", KEY, trainer="scripted", script=tmp_path / "script.json")
    with serving(settings, limits=limits) as server, serve_in_thread(server):
        yield MockServer(server.base_url, KEY, tmp_path / "store")


def _address(server: MockServer) -> tuple[str, int]:
    url = httpx.URL(server.base_url)
    return url.host, url.port or 0


@contextlib.contextmanager
def _strangers(server: MockServer, count: int, say: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that say `say` and nothing more."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            opened.append(stack.enter_context(socket.create_connection(_address(server), timeout=WAIT_S)))
            with contextlib.suppress(OSError):  # closed already
                opened[-1].sendall(say)
        yield opened


def _was_closed(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


_STALLED = b"POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"


@pytest.mark.parametrize("say", [b"", b"GET /v1/files HT", _STALLED], ids=["silent", "half a header", "half a body"])
def test_clients_are_served_however_many_strangers_hold_connections(tmp_path: Path, say: bytes) -> None:
    with _limited(tmp_path, Limits(at_once=16)) as server, _strangers(server, 100, say) as held:
        with connect(server) as client:
            assert upload(client).status == "processed"
        assert httpx.get(f"http://{':'.join(map(str, _address(server)))}/healthz").json() == {"status": "ok"}
        until(lambda: sum(not _was_closed(each) for each in held) <= 16, "the oldest connections to be closed")


def test_a_client_that_has_shown_its_key_keeps_its_connection(tmp_path: Path) -> None:
    with _limited(tmp_path, Limits(at_once=16)) as server, httpx.Client() as keyed:
        keyed.headers["authorization"] = f"Bearer {KEY}"
        first = keyed.get(f"{server.base_url}/files").extensions["network_stream"]
        with _strangers(server, 100):
            again = keyed.get(f"{server.base_url}/files").extensions["network_stream"]
    assert first is again


def test_where_every_client_is_being_served_one_more_is_asked_to_come_again(tmp_path: Path) -> None:
    script = '{"replies": {"base": "a b c d e f g h", "seconds_per_word": 1}}'
    asked = {"model": "smollm2-135m-instruct", "messages": [{"role": "user", "content": "Go"}], "stream": True}
    with _limited(tmp_path, Limits(at_once=1), script) as server, httpx.Client(timeout=WAIT_S) as client:
        client.headers["authorization"] = f"Bearer {KEY}"
        with client.stream("POST", f"{server.base_url}/chat/completions", json=asked) as answer:
            assert answer.status_code == 200
            refused = client.get(f"{server.base_url}/models")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.headers["x-request-id"].startswith("req_")
    assert refused.json() == {
        "error": {
            "message": "The server has too many connections. Please try again later.",
            "type": "server_error",
            "param": None,
            "code": "too_many_connections",
        }
    }


@pytest.mark.parametrize("say", [b"", b"GET /v1/files HT", _STALLED], ids=["silent", "half a header", "half a body"])
def test_a_connection_that_says_nothing_more_is_closed(tmp_path: Path, say: bytes) -> None:
    limits = Limits(at_once=16, header_s=0.1, body_s=0.1)
    with _limited(tmp_path, limits) as server, _strangers(server, 1, say) as (held,):
        until(lambda: _was_closed(held), "the connection to be closed")


def test_a_header_that_comes_byte_by_byte_is_not_waited_for(tmp_path: Path) -> None:
    with _limited(tmp_path, Limits(at_once=16, header_s=0.3)) as server, _strangers(server, 1) as (held,):

        def drip() -> bool:
            with contextlib.suppress(OSError):
                held.send(b"G")
            return _was_closed(held)

        until(drip, "the connection to be closed")


def test_a_reader_that_takes_nothing_of_its_answer_is_let_go(tmp_path: Path) -> None:
    with _limited(tmp_path, Limits(at_once=16, answer_s=0.1)) as server, connect(server) as client:
        file = upload(client, b"x" * 16_000_000)  # more than the system itself holds for a connection
        ask = f"GET /v1/files/{file.id}/content HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n\r\n"
        with _strangers(server, 1, ask.encode()) as (held,):
            until(lambda: _was_closed(held), "the connection to be closed")


def test_a_slow_server_closes_no_connection(tmp_path: Path) -> None:
    script = '{"requests": [{"path": "/v1/models", "delay_s": 0.5}]}'
    limits = Limits(at_once=16, header_s=0.1, body_s=0.1, answer_s=0.1)
    with _limited(tmp_path, limits, script) as server, connect(server) as client:
        assert "smollm2-135m-instruct" in [model.id for model in client.models.list()]


@pytest.mark.parametrize(("descriptors", "workers", "at_once"), [(256, 1, 68), (1024, 2, 448), (20_000, 1, MOST)])
def test_connections_take_less_than_half_of_the_descriptors(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, workers: int, at_once: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, descriptors))
    assert Limits.of_process(workers).at_once == at_once


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
def test_a_job_succeeds_though_strangers_open_more_connections_than_there_are_descriptors(tmp_path: Path) -> None:
    (tmp_path / "script.json").write_text(
        '{"steps": 8, "seconds_per_step": 0.05, "crash": {"signal": 9, "at_step": 2}}'
    )
    serve = f"-m pipeline serve --mock --script {tmp_path}/script.json --data-dir {tmp_path}/store --port 0"
    command = ["sh", "-c", f"ulimit -n 128; exec {sys.executable} {serve}"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"FINETUNE_SERVER_KEY": KEY}
    ) as run:
        try:
            assert run.stdout is not None
            said = run.stdout.readline().decode().strip()
            assert said.startswith("export OPENAI_BASE_URL=")
            server = MockServer(said.partition("=")[2], KEY, tmp_path / "store")
            with connect(server) as client:
                job = start_job(client)
                with _strangers(server, 300):
                    assert finish(client, job.id).status == "succeeded"  # its second worker was started meanwhile
        finally:
            run.terminate()
            told = run.communicate(timeout=WAIT_S)[1]
    assert run.returncode == 0
    assert b"out of system resource" not in told


@pytest.mark.parametrize(("size", "number", "is_taken"), [(1, 2000, False), (1, 900, True), (200, 5000, True)])
def test_a_body_in_countless_pieces_is_refused_before_it_takes_the_event_loops_time(
    size: int, number: int, is_taken: bool
) -> None:
    chunks = Chunks()
    chunks.receive_data(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunks.receive_data(b"%x\r\n%s\r\n" % (size, b"a" * size) * number + b"0\r\n\r\n")
    pieces = 0

    def read() -> None:
        nonlocal pieces
        while not isinstance(chunks.next_event(), h11.EndOfMessage):
            pieces += 1

    if is_taken:
        read()
        assert pieces == number + 1
    else:
        with pytest.raises(h11.RemoteProtocolError, match="too small pieces"):
            read()
        assert pieces == FREE_CHUNKS + 1


def test_a_body_in_countless_pieces_ends_its_connection_and_nobody_elses(tmp_path: Path) -> None:
    with _limited(tmp_path, Limits(at_once=16)) as server, connect(server) as client:
        host, port = server.base_url.removeprefix("http://").removesuffix("/v1").split(":")
        with socket.create_connection((host, int(port)), timeout=WAIT_S) as hostile:
            hostile.sendall(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            with contextlib.suppress(OSError):
                hostile.sendall(b"1\r\na\r\n" * 100_000)
                while hostile.recv(4096):
                    pass
        assert client.files.list().data == []


@pytest.mark.parametrize(
    "said",
    [
        b"GET /v1/files HTTP/1.1\r\n\r\n",
        b"GET /v1/files/\xff HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST /v1/files HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
        b"GET /healthz HTTP/1.1\r\nhost: a\r\na: " + b"x" * 70_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
    ids=["no host", "no ascii", "another coding", "two lengths", "a long header", "TLS"],
)
def test_what_is_no_request_is_refused_in_the_envelope(shared: MockServer, said: bytes) -> None:
    with socket.create_connection(_address(shared), timeout=WAIT_S) as connection:
        connection.sendall(said)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        body = json.loads(answer.read())

    assert body == {
        "error": {
            "message": "Invalid HTTP request received.", "type": "invalid_request_error", "param": None, "code": None
        }
    }  # fmt: skip
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert re.fullmatch("req_[0-9a-f]{32}", answer.headers["x-request-id"])
