"""Base models on disk are checked one at a time, beside all other requests, and no longer than the server lives."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from pipeline.models import model_check
from pipeline.server.main import Server, serving
from pipeline.server.settings import ServerSettings
from pipeline.testing import serve_in_thread
from tests.server.harness import examples, upload

THREADS = 40  # of the pool that answers requests (anyio, to_thread)


class Silent:
    """An engine that nobody asks."""

    def warm_up(self, base_model: str | None) -> None:
        """Nothing to warm up."""

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    directory.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (directory / name).touch()
    return directory


@pytest.fixture
def server(tmp_path: Path, model: Path) -> Iterator[Server]:
    """A server that checks models and, without workers, trains none."""
    settings = ServerSettings(tmp_path / "store", "sk-short", trainer="lora", models=(str(model),), workers=0)
    with serving(settings, engine=Silent()) as server, serve_in_thread(server):  # type: ignore[arg-type]
        yield server


def _client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="sk-short", max_retries=0)


def _check_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: str) -> Path:
    """Have a shell script in the place of the check; its runs are the lines of the file that is returned."""
    runs = tmp_path / "runs"
    script = tmp_path / "check.sh"
    script.write_text(f"echo run >> '{runs}'\n{lines}\n")
    monkeypatch.setattr(model_check, "COMMAND", ("sh", str(script)))
    return runs


def test_a_request_that_is_wrong_costs_no_check(
    server: Server, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = _check_by(monkeypatch, tmp_path, "echo '{}'")
    with _client(server) as client, pytest.raises(openai.BadRequestError) as refused:
        client.fine_tuning.jobs.create(model=str(model), training_file="file-none")
    assert refused.value.code == "file_not_found"
    assert not runs.exists()


def test_many_requests_share_one_check_and_others_are_answered_meanwhile(
    server: Server, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    os.mkfifo(begun)
    os.mkfifo(go)
    wrong = '{"where": "base model m", "what": "is wrong", "fix": "Mend it."}'
    runs = _check_by(monkeypatch, tmp_path, f"echo > '{begun}'; read _ < '{go}'; echo '{wrong}'")

    def ask(file: str) -> str:
        with pytest.raises(openai.BadRequestError) as refused:
            client.fine_tuning.jobs.create(model=str(model), training_file=file, timeout=30)
        return f"{refused.value.code}: {refused.value.body['message']}"  # type: ignore[index]

    with _client(server) as client, ThreadPoolExecutor(THREADS + 1) as threads:
        file = upload(client, examples()).id
        waiting = [threads.submit(ask, file) for _ in range(THREADS + 1)]
        begun.read_text()
        assert [each.id for each in client.files.list(timeout=20)] == [file]
        go.write_text("on\n")
        assert {each.result() for each in waiting} == {"invalid_model: base model m: is wrong. Mend it."}
    assert runs.read_text() == "run\n"


def test_a_server_that_is_told_to_stop_ends_its_check(
    server: Server, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    _check_by(monkeypatch, tmp_path, f"echo > '{begun}'; exec sleep 600")
    with _client(server) as client, ThreadPoolExecutor(1) as threads:
        file = upload(client, examples()).id
        waiting = threads.submit(client.fine_tuning.jobs.create, model=str(model), training_file=file, timeout=30)
        begun.read_text()
        server.tell_to_stop()
        refused = waiting.exception()
    assert isinstance(refused, openai.InternalServerError)
    assert (refused.status_code, refused.body["message"]) == (503, "The server is shutting down.")  # type: ignore[index]


def test_a_model_that_is_found_to_be_good_is_trained(
    server: Server, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = _check_by(monkeypatch, tmp_path, "echo '{}'")
    with _client(server) as client:
        file = upload(client, examples()).id
        jobs = [client.fine_tuning.jobs.create(model=str(model), training_file=file) for _ in range(2)]
    assert [job.model for job in jobs] == [str(model)] * 2
    assert runs.read_text() == "run\n"
