"""For whoever keeps the server running: health, readiness, metrics, logs."""

import json
import logging
import threading
from pathlib import Path

import httpx
import openai
import pytest

from pipeline.server.logs import JsonLines, logger
from pipeline.server.main import serving
from pipeline.server.settings import ServerSettings
from pipeline.testing import MockServer, mock_openai, serve_in_thread
from tests.server.harness import BASE, connect, finish, start_job


def _get(server: MockServer, path: str) -> httpx.Response:
    return httpx.get(server.base_url.removesuffix("/v1") + path, headers={"Authorization": f"Bearer {server.api_key}"})


def _metrics(server: MockServer) -> dict[str, float]:
    answer = _get(server, "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = [line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_a_server_is_ready_while_its_queue_moves(tmp_path: Path) -> None:
    settings = ServerSettings(tmp_path / "store", "sk-ready", trainer="scripted")
    with serving(settings) as server, serve_in_thread(server):
        ready = httpx.get(server.base_url.removesuffix("/v1") + "/readyz")
        server.context.queue.close()
        stopped = httpx.get(server.base_url.removesuffix("/v1") + "/readyz")

    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert (stopped.status_code, stopped.json()["error"]) == (
        503,
        {"message": "The server's queue has stopped.", "type": "server_error", "param": None, "code": "not_ready"},
    )


def test_metrics_count_requests_by_route_jobs_by_status_and_tokens_by_kind() -> None:
    with mock_openai() as server, connect(server) as client:
        job = finish(client, start_job(client).id)
        client.chat.completions.create(model=BASE, messages=[{"role": "user", "content": "one two"}], n=2)
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("no/such model")
        _get(server, "/no/such/route")
        found = _metrics(server)

    assert job.status == "succeeded"
    assert found['finetune_jobs{status="succeeded"}'] == 1
    assert found['finetune_chat_tokens_total{kind="prompt"}'] == 4
    assert found['finetune_chat_tokens_total{kind="completion"}'] == 26
    assert found["finetune_chat_first_word_seconds_count"] == 2
    assert found['finetune_requests_total{method="POST",route="/v1/chat/completions",status="200"}'] == 1
    assert found['finetune_requests_total{method="GET",route="/v1/models/{model:path}",status="404"}'] == 1
    assert found['finetune_requests_total{method="GET",route="unknown",status="404"}'] == 1
    assert found['finetune_chats{state="running"}'] == 0
    assert found["process_resident_memory_bytes"] > 1e7


def test_metrics_want_the_key(shared: MockServer) -> None:
    assert httpx.get(shared.base_url.removesuffix("/v1") + "/metrics").status_code == 401


class Lines(logging.Handler):
    """Keeps what is logged, as it would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.lines: list[str] = []
        self.arrived = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))
        self.arrived.set()


def test_a_request_leaves_a_line_of_json_that_says_nothing_of_what_it_was_about(shared: MockServer) -> None:
    lines = Lines()
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    try:
        answer = _get(shared, "/v1/files/file-secret?after=secret")
        assert lines.arrived.wait(10)
    finally:
        logger.setLevel(level)
        logger.removeHandler(lines)

    (line,) = lines.lines
    said = json.loads(line)
    assert list(said) == ["time", "level", "message", "request_id", "method", "route", "status", "ms"]
    assert said["request_id"] == answer.headers["x-request-id"]
    assert (said["level"], said["message"], said["method"]) == ("info", "request", "GET")
    assert (said["route"], said["status"]) == ("/v1/files/{file_id}", 404)
    assert "secret" not in line
