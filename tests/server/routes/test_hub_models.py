"""A server by itself offers what is in its user's Hugging Face cache; a client makes nothing be fetched."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from pipeline.server.main import serving
from pipeline.server.settings import ServerSettings
from pipeline.testing import serve_in_thread
from tests.hub import NEWER, SHA
from tests.models.test_hub_cache import WHOLE, keep
from tests.server.harness import upload


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    keep(tmp_path / "home", "org/here", WHOLE)
    return tmp_path / "home"


def _client_of(tmp_path: Path, *, offers_cache: bool, models: tuple[str, ...] = ()) -> Iterator[openai.OpenAI]:
    settings = ServerSettings(
        tmp_path / "store", "sk-short", trainer="scripted", models=models, offers_cache=offers_cache, workers=0
    )
    with (
        serving(settings) as server,
        serve_in_thread(server),
        openai.OpenAI(base_url=server.base_url, api_key="sk-short", max_retries=0) as client,
    ):
        yield client


@pytest.fixture
def client(tmp_path: Path, home: Path) -> Iterator[openai.OpenAI]:
    """Of a server by itself."""
    yield from _client_of(tmp_path, offers_cache=True)


@pytest.fixture
def closed(tmp_path: Path, home: Path) -> Iterator[openai.OpenAI]:
    """Of a server that offers one commit, as that of a run does."""
    keep(home, "org/other", WHOLE)
    yield from _client_of(tmp_path, offers_cache=False, models=(f"org/here@{SHA}",))


def test_what_is_in_the_cache_is_listed_and_can_be_trained_at_its_commit(client: openai.OpenAI, home: Path) -> None:
    assert "org/here" in [model.id for model in client.models.list()]
    assert client.models.retrieve("org/here").id == "org/here"
    file = upload(client)
    for name in ("org/here", "org/here@main", f"org/here@{SHA}"):
        assert client.fine_tuning.jobs.create(model=name, training_file=file.id).model == f"org/here@{SHA}"
    keep(home, "org/here", WHOLE, NEWER)
    newer = client.fine_tuning.jobs.create(model="org/here", training_file=file.id)
    assert newer.model == f"org/here@{NEWER}"


def test_what_is_not_there_is_refused_and_nobody_is_asked_for_it(
    client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = upload(client)
    looked_up: list[object] = []
    real = socket.getaddrinfo

    def noted(*given: Any, **more: Any) -> Any:
        looked_up.append(given[0])
        return real(*given, **more)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    for name in ("org/absent", "org/here@v9", f"org/here@{NEWER}", "../home/hub/models--org--here", "org/here/../here"):
        with pytest.raises(openai.BadRequestError) as refused:
            client.fine_tuning.jobs.create(model=name, training_file=file.id)
        assert refused.value.code == "model_not_available"
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model=name, messages=[{"role": "user", "content": "?"}])
    assert set(looked_up) <= {"127.0.0.1"}


def test_the_server_of_a_run_offers_what_it_was_told_alone(closed: openai.OpenAI) -> None:
    listed = [model.id for model in closed.models.list()]
    assert f"org/here@{SHA}" in listed
    assert not {"org/here", "org/other"} & set(listed)
    file = upload(closed)
    assert closed.fine_tuning.jobs.create(model=f"org/here@{SHA}", training_file=file.id).model == f"org/here@{SHA}"
    for name in ("org/here", "org/other"):
        with pytest.raises(openai.BadRequestError):
            closed.fine_tuning.jobs.create(model=name, training_file=file.id)
