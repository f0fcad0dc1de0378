"""The frame of every answer: OpenAI's error envelope, the request id, the key."""

import json
import re
import socket
import threading

import httpx
import openai
import pytest

from pipeline.server.http import envelope
from pipeline.testing import MockServer
from tests.server.harness import BASE, WAIT_S

JSON = {"Content-Type": "application/json"}
UNREADABLE = "We could not parse the JSON body of your request."
NO_OBJECT = "The body must be a JSON object, sent with `Content-Type: application/json`."
REQUEST_ID = re.compile(r"req_[0-9a-f]{32}")


def _send(
    server: MockServer, method: str, path: str, content: bytes | None = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    url = server.base_url.removesuffix("/v1") + path
    authorized = {"Authorization": f"Bearer {server.api_key}", **(headers or {})}
    return httpx.request(method, url, headers=authorized, content=content)


def _error(answer: httpx.Response) -> dict[str, object]:
    assert answer.headers["content-type"] == "application/json"
    assert REQUEST_ID.fullmatch(answer.headers["x-request-id"])
    body: dict[str, dict[str, object]] = answer.json()
    assert list(body) == ["error"]
    return body["error"]


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/nothing", "/v1/files/", "/v1/files/a/b/c", "/v1/files/../../etc/passwd"]
)
def test_an_unknown_route_answers_the_envelope(shared: MockServer, path: str) -> None:
    answer = _send(shared, "GET", path)

    assert answer.status_code == 404
    assert _error(answer) == {
        "message": f"Invalid URL (GET {answer.request.url.path})",
        "type": "invalid_request_error",
        "param": None,
        "code": "unknown_url",
    }


def test_a_wrong_method_answers_the_envelope(shared: MockServer) -> None:
    answer = _send(shared, "PUT", "/v1/files")

    assert answer.status_code == 405
    assert _error(answer) == {
        "message": "Not allowed to PUT on /v1/files.",
        "type": "invalid_request_error",
        "param": None,
        "code": "method_not_allowed",
    }
    assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("path", "body", "message", "param", "code"),
    [
        ("/v1/fine_tuning/jobs", b"{", UNREADABLE, None, None),
        ("/v1/fine_tuning/jobs", b"\xff\xfe", UNREADABLE, None, None),
        ("/v1/chat/completions", b'{"seed": %s}' % (b"9" * 5000), UNREADABLE, None, None),
        ("/v1/fine_tuning/jobs", b"", NO_OBJECT, None, None),
        ("/v1/fine_tuning/jobs", b"[]", NO_OBJECT, None, None),
        (
            "/v1/fine_tuning/jobs",
            b'{"model": "m"}',
            "training_file: Field required.",
            "training_file",
            "missing_required_parameter",
        ),
        (
            "/v1/chat/completions",
            b'{"model": "m", "messages": 1}',
            "messages: Input should be a valid list.",
            "messages",
            "invalid_type",
        ),
        (
            "/v1/chat/completions",
            b'{"model": "m", "messages": [{"role": "user", "content": "x", "\\ud800": 1}]}',
            "messages[0]: Input should be a valid string, unable to parse raw data as a unicode string.",
            "messages[0]",
            "invalid_type",
        ),
        ("/v1/uploads", b'{"\\ud800": 1}', UNREADABLE, None, None),
        ("/v1/files", b"{}", "The request must be multipart/form-data with a boundary.", None, None),
    ],
)
def test_a_bad_body_answers_400_with_the_field(
    shared: MockServer, path: str, body: bytes, message: str, param: str | None, code: str | None
) -> None:
    answer = _send(shared, "POST", path, body, JSON)

    assert answer.status_code == 400
    assert _error(answer) == {
        "message": message,
        "type": "invalid_request_error",
        "param": param,
        "code": code,
    }


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_json_that_says_it_is_something_else_is_told_what_to_say(shared: MockServer, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}

    answer = _send(shared, "POST", "/v1/chat/completions", b'{"model": "m", "messages": []}', headers)

    assert answer.status_code == 400
    assert _error(answer)["message"] == NO_OBJECT


def test_a_bad_query_answers_400_with_its_name(shared: MockServer) -> None:
    answer = _send(shared, "GET", "/v1/fine_tuning/jobs?limit=-1")

    assert answer.status_code == 400
    assert _error(answer) == {
        "message": "limit: Input should be greater than or equal to 0.",
        "type": "invalid_request_error",
        "param": "limit",
        "code": "integer_below_min_value",
    }


def test_an_error_repeats_nothing_of_a_chat(shared: MockServer) -> None:
    body = {"model": BASE, "messages": [{"role": "user", "content": {"secret": "secret chat text"}}]}

    answer = _send(shared, "POST", "/v1/chat/completions", json.dumps(body).encode(), JSON)

    assert answer.status_code == 400
    assert "secret chat text" not in answer.text


def test_a_body_that_is_too_large_is_refused(shared: MockServer) -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * (17 * 1024 * 1024)}]})

    answer = _send(shared, "POST", "/v1/chat/completions", body.encode(), JSON)

    assert answer.status_code == 413
    assert _error(answer) == {
        "message": "The request is too large: at most 16777216 bytes are read.",
        "type": "invalid_request_error",
        "param": None,
        "code": "request_too_large",
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/models"), ("GET", "/v1/nothing"), ("POST", "/v1/files"), ("GET", "/openapi.json"), ("GET", "/")],
)
@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"Authorization": "Bearer sk-wrong"}, "invalid_api_key"),
        ({"Authorization": "Bearer"}, None),
        ({"Authorization": "Basic c2s6"}, None),
        ({"Authorization": ""}, None),
    ],
)
def test_nothing_is_shown_without_the_key(
    shared: MockServer, method: str, path: str, header: dict[str, str], code: str | None
) -> None:
    answer = _send(shared, method, path, headers=header)

    assert answer.status_code == 401
    error = _error(answer)
    assert isinstance(error, dict)
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, code)
    assert "sk-wrong" not in answer.text


def test_the_refusal_of_a_key_reads_as_openais_does(shared: MockServer) -> None:
    stranger = openai.OpenAI(base_url=shared.base_url, api_key="sk-wrong", max_retries=0)

    with stranger, pytest.raises(openai.AuthenticationError) as refused:
        stranger.files.create(file=("a.jsonl", b"x" * 3_000_000), purpose="fine-tune")

    assert refused.value.code == "invalid_api_key"
    assert refused.value.message.endswith("Incorrect API key provided. Use the key that this server was started with.")
    assert refused.value.request_id is not None
    assert REQUEST_ID.fullmatch(refused.value.request_id)


def test_health_wants_no_key(shared: MockServer) -> None:
    answer = httpx.get(shared.base_url.removesuffix("/v1") + "/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert REQUEST_ID.fullmatch(answer.headers["x-request-id"])


def test_every_answer_has_its_own_request_id(client: openai.OpenAI) -> None:
    first, second = client.models.retrieve(BASE)._request_id, client.models.retrieve(BASE)._request_id

    assert first is not None
    assert first != second


def _talk(server: MockServer, path: str, headers: str, body: bytes = b"") -> tuple[bytes, socket.socket]:
    """Send a request by hand, and read up to the end of the answer's body."""
    host, _, port = server.base_url.removeprefix("http://").removesuffix("/v1").partition(":")
    connection = socket.create_connection((host, int(port)), timeout=WAIT_S)
    connection.sendall(f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n\r\n".encode() + body)
    answer = b""
    while not answer.endswith(b"}}"):
        answer += connection.recv(65536)
    return answer, connection


WRONG_KEY = "Authorization: Bearer sk-wrong"
NO_SUCH_UPLOAD = "/v1/uploads/upload_gone/parts"


@pytest.mark.parametrize(
    ("path", "authorized", "status"),
    [
        ("/v1/files", False, b"401"),
        ("/v1/chat/completions", False, b"401"),
        ("/v1/nothing", True, b"404"),
        (NO_SUCH_UPLOAD, True, b"404"),
        ("/v1/chat/completions", True, b"413"),
    ],
)
@pytest.mark.parametrize("expect", ["Expect: 100-continue", "X-Expect: nothing"])
def test_a_refusal_waits_for_no_body_and_asks_for_none(
    shared: MockServer, monkeypatch: pytest.MonkeyPatch, path: str, authorized: bool, status: bytes, expect: str
) -> None:
    monkeypatch.setattr(envelope, "DRAIN_S", 0.05)
    key = f"Authorization: Bearer {shared.api_key}" if authorized else WRONG_KEY
    kind = "application/json" if path.endswith("completions") else "multipart/form-data; boundary=B"
    headers = f"{key}\r\n{expect}\r\nContent-Type: {kind}\r\nContent-Length: 17000000"

    answer, connection = _talk(shared, path, headers)

    with connection:
        assert answer.startswith(b"HTTP/1.1 " + status)  # and not with 100
        assert b"connection: close\r\n" in answer
        assert connection.recv(1) == b""  # nobody waits for the rest


def test_who_sends_a_refused_body_slowly_is_cut_off(shared: MockServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "DRAIN_S", 0.2)
    _, connection = _talk(shared, "/v1/files", f"{WRONG_KEY}\r\nContent-Length: 17000000")
    pause = threading.Event()

    with connection, pytest.raises(OSError, match=r"Broken pipe|Connection reset"):
        for _ in range(3000):
            connection.sendall(b"x")
            pause.wait(0.01)


def test_what_is_left_of_a_small_refused_body_is_read(shared: MockServer) -> None:
    body = b"x" * 3_000_000

    answer, connection = _talk(shared, "/v1/files", f"{WRONG_KEY}\r\nContent-Length: {len(body)}", body)

    with connection:
        assert answer.startswith(b"HTTP/1.1 401")
        assert connection.recv(1) == b""


def test_a_request_that_is_let_in_is_asked_for_its_body(shared: MockServer) -> None:
    headers = f"Authorization: Bearer {shared.api_key}\r\nContent-Type: application/json\r\nContent-Length: 2"

    answer, connection = _talk(shared, "/v1/uploads", f"{headers}\r\nExpect: 100-continue", b"{}")

    with connection:
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400")
        assert b"connection: close" not in answer


def test_an_error_cuts_a_name_that_the_client_made_long(shared: MockServer) -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}], "k" * 100_000: 1}).encode()

    error = _error(_send(shared, "POST", "/v1/chat/completions", body, JSON))

    assert error == {
        "message": f"Unrecognized request argument supplied: {'k' * 959}…",
        "type": "invalid_request_error",
        "param": f"{'k' * 199}…",
        "code": "unknown_parameter",
    }
