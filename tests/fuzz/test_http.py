"""Whatever is sent to the server: an answer in the envelope, in time, and nothing in the log."""

import http.client
import json
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.testing import MockServer, mock_openai
from tests.fuzz.conftest import fuzz
from tests.fuzz.values import json_values, mutated, spoilt
from tests.server.harness import BASE, examples

JOB: dict[str, object] = {
    "model": BASE,
    "training_file": "file-1",
    "validation_file": None,
    "suffix": "slow",
    "seed": 7,
    "hyperparameters": {"n_epochs": 1, "batch_size": "auto", "learning_rate_multiplier": 1.5},
    "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}},
    "metadata": {"run": "one"},
    "integrations": [],
}
CHAT = {
    "model": BASE,
    "messages": [
        {"role": "system", "content": "Be slow."},
        {"role": "user", "content": [{"type": "text", "text": "Who won?"}], "name": "Hare"},
    ],
    "temperature": 0.5,
    "top_p": 1,
    "n": 2,
    "stop": ["!"],
    "max_tokens": 5,
    "seed": 3,
    "stream": False,
    "tools": [],
    "response_format": {"type": "text"},
    "user": "u",
}
TEXT = {
    "model": BASE,
    "prompt": ["x", "a text"],
    "echo": True,
    "logprobs": 1,
    "max_tokens": 2,
    "n": 2,
    "stop": ["."],
    "stream": False,
}
PART = b"--B\r\nContent-Disposition: form-data; name="
FORM = PART + b'"purpose"\r\n\r\nfine-tune\r\n' + PART + b'"file"; filename="a.jsonl"\r\nX-Y: z\r\n\r\n'
FORM_KIND = b"multipart/form-data; boundary=B"
FORM += examples(1) + b"\r\n--B--\r\n"
PATHS = [
    "/v1/files", "/v1/files/{}", "/v1/files/{}/content", "/v1/fine_tuning/jobs", "/v1/fine_tuning/jobs/{}",
    "/v1/fine_tuning/jobs/{}/events", "/v1/fine_tuning/jobs/{}/checkpoints", "/v1/fine_tuning/jobs/{}/cancel",
    "/v1/fine_tuning/jobs/{}/pause", "/v1/fine_tuning/jobs/{}/resume", "/v1/models", "/v1/models/{}",
    "/v1/chat/completions", "/v1/completions", "/healthz", "/{}",
]  # fmt: skip


@dataclass
class Target:
    """A server, and what it has logged."""

    server: MockServer
    log: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.server.base_url.removeprefix("http://").removesuffix("/v1")

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str | bytes) -> int:
        """Send a request; whatever it is, the answer is orderly."""
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.putrequest(method, path)
            sent = {"Authorization": f"Bearer {self.server.api_key}", "Content-Type": "application/json", **headers}
            if body is not None:
                sent["Content-Length"] = str(len(body))
            for name, value in sent.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        assert answer.status < 500, (answer.status, content[:300])
        assert answer.getheader("x-request-id") is not None
        if answer.status >= 400:
            assert list(json.loads(content)) == ["error"]
            assert list(json.loads(content)["error"]) == ["message", "type", "param", "code"]
            assert len(content) < 200_000
        assert self.log == []
        return answer.status


class _Collector(logging.Handler):
    def __init__(self, log: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.append(self.format(record))


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with mock_openai({"steps": 1}) as server:
        target = Target(server)
        handler = _Collector(target.log)
        logging.getLogger().addHandler(handler)
        yield target
        logging.getLogger().removeHandler(handler)


def _sendable(header: bytes) -> bytes:
    """Without what ends a header or is no HTTP at all."""
    return bytes(byte if 32 <= byte != 127 else 63 for byte in header)


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


@fuzz(250)
@given(document=spoilt(JOB) | json_values)
@example({**JOB, "hyperparameters": {"learning_rate_multiplier": 10**400}})
def test_a_job_that_is_no_job_is_refused(target: Target, document: object) -> None:
    assert target.ask("POST", "/v1/fine_tuning/jobs", _json(document), Idempotency_Key="fuzz") >= 400


@fuzz(250)
@given(document=spoilt(CHAT) | json_values)
@example({**CHAT, "seed": 2**63 - 1, "n": 128})
@example({**CHAT, "messages": [{"role": "user", "content": "x", "\ud800": [[[[]]]]}]})
def test_a_chat_is_answered_or_refused(target: Target, document: object) -> None:
    target.ask("POST", "/v1/chat/completions", _json(document))


@fuzz(150)
@given(document=spoilt(TEXT) | json_values)
@example({**TEXT, "prompt": [[0], [2**64]]})
@example({**TEXT, "prompt": ["\ud800"]})
def test_a_text_is_gone_on_with_or_refused(target: Target, document: object) -> None:
    target.ask("POST", "/v1/completions", _json(document))


@fuzz(100)
@given(body=mutated(_json(CHAT)) | mutated(_json(JOB)) | st.binary(max_size=64))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"messages": ' + b"[" * 900 + b"]" * 900 + b"}")
@example(b'{"seed": ' + b"9" * 100_000 + b"}")
@example(b'{"temperature": 1e999}')
@example('{"model": "x"}'.encode("utf-16"))
def test_a_body_that_is_no_json_is_refused(target: Target, body: bytes) -> None:
    for path in ("/v1/chat/completions", "/v1/fine_tuning/jobs"):
        target.ask("POST", path, body)


@fuzz(150)
@given(body=mutated(FORM), kind=st.just(b"multipart/form-data; boundary=B") | mutated(FORM_KIND))
@example(FORM, b"multipart/form-data; boundary=" + b"B" * 10_000)
@example(FORM, b"multipart/form-data; boundary=\xff")
@example(FORM.replace(b'"file"', b"\"file\"; filename*=utf-8''%ff"), FORM_KIND)
@example(FORM.replace(b"a.jsonl", b"\xff\xfe\0.jsonl"), FORM_KIND)
@example(FORM.replace(b"a.jsonl", b"../../a.jsonl"), FORM_KIND)
@example(PART + b'"x"\r\nX: ' + b"y" * 3_000_000 + b"\r\n\r\n", FORM_KIND)
@example(PART + b'"x"\r\n' + b"X: y\r\n" * 100_000 + b"\r\n", FORM_KIND)
@example((PART + b'"x"\r\n\r\ny\r\n') * 50_000 + b"--B--", FORM_KIND)
def test_a_form_is_whole_or_refused(target: Target, body: bytes, kind: bytes) -> None:
    target.ask("POST", "/v1/files", body, Content_Type=_sendable(kind))

    assert list((target.server.data_dir / "incoming").iterdir()) == []


_odd = st.sampled_from(
    ["..", "%2e%2e%2f", "%00", "%ff", "%", "%zz", "a" * 5000, "%ed%a0%80", "//", ";", "null", "%0d%0a"]
)
_names = st.sampled_from(["after", "limit", "order", "purpose", "metadata", "metadata[a]", "metadata[", "metadata[]"])
_printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


@fuzz(250)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "PATCH", "FOO"]),
    path=st.sampled_from(PATHS),
    odd=_odd | _printable,
    query=st.lists(
        st.tuples(
            _names,
            _odd | _printable | st.sampled_from(["0", "-1", "1e9", "99999999999999999999999", "", "nan", "10000"]),
        ),
        max_size=4,
    ),
)
def test_any_path_and_query_has_its_answer(
    target: Target, method: str, path: str, odd: str, query: list[tuple[str, str]]
) -> None:
    url = path.replace("{}", odd.replace("#", "")) + "?" + "&".join(f"{name}={value}" for name, value in query)
    if method == "HEAD":  # has no body to look at
        return
    target.ask(method, url)


@fuzz(60)
@given(
    authorization=st.binary(max_size=40), key=st.binary(max_size=40) | st.just(b"k" * 300), kind=st.binary(max_size=40)
)
def test_any_header_has_its_answer(target: Target, authorization: bytes, key: bytes, kind: bytes) -> None:
    path, body = "/v1/fine_tuning/jobs", _json(JOB)

    assert target.ask("POST", path, body, Idempotency_Key=_sendable(key), Content_Type=_sendable(kind)) >= 400
    assert target.ask("POST", path, body, Authorization=_sendable(authorization)) == 401


@fuzz(60)
@given(request=mutated(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"))
def test_what_is_no_http_does_no_harm(target: Target, request: bytes) -> None:
    host, port = target.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert b" 500 " not in answer.split(b"\r\n")[0]
    target.log[:] = [line for line in target.log if line != "Invalid HTTP request received."]
    assert target.ask("GET", "/healthz") == 200
