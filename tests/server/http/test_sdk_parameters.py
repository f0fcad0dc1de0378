"""Every parameter that OpenAI's SDK can send is known by its name, so that a future one fails here."""

import httpx
import openai
import pytest
from openai.types import FileCreateParams, UploadCompleteParams, UploadCreateParams, chat
from openai.types import completion_create_params as text_params
from openai.types.chat import completion_create_params as chat_params
from openai.types.fine_tuning import (
    DpoHyperparametersParam,
    DpoMethodParam,
    SupervisedHyperparametersParam,
    SupervisedMethodParam,
    job_create_params,
)

from pipeline.testing import MockServer
from tests.server.harness import BASE, upload

HELLO: dict[str, object] = {"role": "user", "content": "x"}
CHAT: dict[str, object] = {"model": BASE, "messages": [HELLO]}
MESSAGES = (
    chat.ChatCompletionSystemMessageParam,
    chat.ChatCompletionDeveloperMessageParam,
    chat.ChatCompletionUserMessageParam,
    chat.ChatCompletionAssistantMessageParam,
    chat.ChatCompletionToolMessageParam,
    chat.ChatCompletionFunctionMessageParam,
)


def _unknown(server: MockServer, path: str, body: object) -> str | None:
    """The parameter of a body that the server does not know."""
    answer = httpx.post(f"{server.base_url}{path}", json=body, headers={"Authorization": f"Bearer {server.api_key}"})
    if answer.status_code == 200:
        return None
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    return str(error["param"]) if error["code"] == "unknown_parameter" else None


def test_what_nobody_knows_is_unknown(shared: MockServer) -> None:
    assert _unknown(shared, "/chat/completions", {**CHAT, "colour": {"x": 1}}) == "colour"


@pytest.mark.parametrize(
    "name", sorted({"stream", *chat_params.CompletionCreateParamsBase.__annotations__} - {"model", "messages"})
)
def test_every_parameter_of_a_chat_is_known(shared: MockServer, name: str) -> None:
    assert _unknown(shared, "/chat/completions", {**CHAT, name: {"x": 1}}) != name


@pytest.mark.parametrize(
    "name", sorted({"stream", *text_params.CompletionCreateParamsBase.__annotations__} - {"model", "prompt"})
)
def test_every_parameter_of_a_text_completion_is_known(shared: MockServer, name: str) -> None:
    assert _unknown(shared, "/completions", {"model": BASE, "prompt": "x", name: {"x": 1}}) != name


@pytest.mark.parametrize("kind", MESSAGES)
def test_every_field_of_a_message_is_known(shared: MockServer, kind: type) -> None:
    role = kind.__name__.removeprefix("ChatCompletion").removesuffix("MessageParam").lower()

    for name in set(kind.__annotations__) - {"role", "content"}:
        message = {"role": role, "content": "x", name: {"x": 1}}
        assert _unknown(shared, "/chat/completions", {**CHAT, "messages": [message]}) is None, name


def test_every_field_of_a_part_and_of_the_options_of_a_stream_is_known(shared: MockServer) -> None:
    for name in set(chat.ChatCompletionContentPartTextParam.__annotations__) - {"type", "text"}:
        part = {"type": "text", "text": "x", name: {"x": 1}}
        body = {**CHAT, "messages": [{"role": "user", "content": [part]}]}
        assert _unknown(shared, "/chat/completions", body) is None, name
    for name in chat.ChatCompletionStreamOptionsParam.__annotations__:
        body = {**CHAT, "stream": True, "stream_options": {name: {"x": 1}}}
        assert _unknown(shared, "/chat/completions", body) is None, name


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (job_create_params.JobCreateParams, ()),
        (job_create_params.Hyperparameters, ("hyperparameters",)),
        (job_create_params.Method, ("method",)),
        (SupervisedMethodParam, ("method", "supervised")),
        (SupervisedHyperparametersParam, ("method", "supervised", "hyperparameters")),
        (DpoMethodParam, ("method", "dpo")),
        (DpoHyperparametersParam, ("method", "dpo", "hyperparameters")),
    ],
)
def test_every_parameter_of_a_job_is_known(
    client: openai.OpenAI, shared: MockServer, kind: type, path: tuple[str, ...]
) -> None:
    file = upload(client).id

    for name in set(kind.__annotations__) - {"model", "training_file", "type"}:
        value: object = {name: {"x": 1}}
        for outer in reversed(path):
            named = {"type": path[1] if len(path) > 1 else name} if outer == "method" else {}
            value = {outer: {**named, **value}}  # type: ignore[dict-item]  # a dict, as all before it
        assert isinstance(value, dict)
        body = {"model": BASE, "training_file": file, **value}
        # The made-up `x` inside of an object is unknown, but not the object.
        assert _unknown(shared, "/fine_tuning/jobs", body) != ".".join((*path, name))


def test_every_parameter_of_files_and_uploads_is_known(client: openai.OpenAI, shared: MockServer) -> None:
    for name in set(UploadCreateParams.__annotations__):
        assert _unknown(shared, "/uploads", {name: 1}) is None, name
    pending = client.uploads.create(bytes=1, filename="a.jsonl", mime_type="text/jsonl", purpose="fine-tune")
    for name in set(UploadCompleteParams.__annotations__):
        assert _unknown(shared, f"/uploads/{pending.id}/complete", {name: {"x": 1}}) is None, name
    for name in set(FileCreateParams.__annotations__) - {"file", "purpose"}:
        with pytest.raises(openai.BadRequestError) as refused:
            client.files.create(file=("a.txt", b"a"), purpose="user_data", extra_body={name: "x"})
        assert refused.value.code != "unknown_parameter", name
