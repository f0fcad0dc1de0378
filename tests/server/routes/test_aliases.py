"""A model answers under the name that programs know; what it lacks is refused by name."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from pipeline.errors import InputError
from pipeline.server.main import serving
from pipeline.server.settings import ServerSettings
from pipeline.testing import serve_in_thread
from tests.server.harness import BASE, finish, upload

OLD = "ft:gpt-4o-mini-2024-07-18:org::id"


def settings(folder: Path, *aliases: tuple[str, str]) -> ServerSettings:
    return ServerSettings(folder / "store", "sk-short", trainer="scripted", aliases=aliases)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[openai.OpenAI]:
    """Of a server whose one tuned model has the old name, too."""
    with (
        serving(settings(tmp_path)) as server,
        serve_in_thread(server),
        openai.OpenAI(base_url=server.base_url, api_key="sk-short", max_retries=0) as first,
    ):
        job = finish(first, first.fine_tuning.jobs.create(model=BASE, training_file=upload(first).id).id)
        model = str(job.fine_tuned_model)
    with (
        serving(settings(tmp_path, (OLD, model))) as server,
        serve_in_thread(server),
        openai.OpenAI(base_url=server.base_url, api_key="sk-short", max_retries=0) as connected,
    ):
        yield connected


def test_an_alias_answers_is_listed_and_is_retrieved_under_its_own_name(client: openai.OpenAI) -> None:
    said = client.chat.completions.create(model=OLD, messages=[{"role": "user", "content": "Hi"}])
    assert said.model == OLD
    assert said.choices[0].message.content
    assert next(iter(client.models.list())).id == OLD
    assert client.models.retrieve(OLD).id == OLD
    streamed = client.chat.completions.create(model=OLD, messages=[{"role": "user", "content": "Hi"}], stream=True)
    assert {chunk.model for chunk in streamed} == {OLD}


def test_an_alias_is_not_deleted(client: openai.OpenAI) -> None:
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client.models.delete(OLD)
    assert refused.value.body == {
        "message": f"The model `{OLD}` is an alias of this server: it cannot be deleted.",
        "type": "invalid_request_error", "param": "model", "code": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
         "messages[0].content[0].type"),
    ],
)  # fmt: skip
def test_what_the_successor_lacks_is_refused_by_name(
    asked: dict[str, object], param: str, client: openai.OpenAI
) -> None:
    body = {"model": OLD, "messages": [{"role": "user", "content": "Hi"}], **asked}
    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/chat/completions", body=body, cast_to=object)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("alias", "said"),
    [
        ((OLD, "ft:nothing"), "--alias: no model of that name is in {store}, got ft:nothing. "
                              "Name a tuned model of that store, or the config of the run that made it."),
        ((BASE, "smollm2-135m-instruct"), f"--alias: a model here has that name already, got {BASE}. Leave it out."),
    ],
)  # fmt: skip
def test_a_server_with_an_alias_that_cannot_be_does_not_start(
    alias: tuple[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as refused, serving(settings(tmp_path, alias)):
        pass
    assert str(refused.value) == said.format(store=tmp_path / "store")
