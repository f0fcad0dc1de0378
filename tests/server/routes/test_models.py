"""Which models requests may name."""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import openai
import pytest

from pipeline.server.main import serving
from pipeline.server.settings import ServerSettings
from pipeline.testing import MockServer, serve_in_thread
from pipeline.training.scripted import OPENAI_MODELS
from tests.server.harness import BASE, connect, finish, upload


def _hugging_face_directory(path: Path) -> Path:
    path.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (path / name).touch()
    return path


def test_a_base_model_on_disk_is_known_only_if_the_server_was_told_of_it(tmp_path: Path) -> None:
    told, untold = (_hugging_face_directory(tmp_path / name) for name in ("told", "untold"))
    settings = ServerSettings(tmp_path / "store", "sk-short", trainer="scripted", models=(str(told),))
    with serving(settings) as server, serve_in_thread(server):
        client = openai.OpenAI(base_url=server.base_url, api_key="sk-short", max_retries=0)
        with client:
            file = upload(client).id
            job = finish(client, client.fine_tuning.jobs.create(model=str(told), training_file=file).id)
            assert job.status == "succeeded"
            assert job.fine_tuned_model is not None
            assert job.fine_tuned_model.startswith("ft:told:personal::")
            assert str(told) in [model.id for model in client.models.list()]
            with pytest.raises(openai.BadRequestError) as refused:
                client.fine_tuning.jobs.create(model=str(untold), training_file=file)
            assert refused.value.code == "model_not_available"
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(model=str(untold), messages=[{"role": "user", "content": "?"}])
            with pytest.raises(openai.NotFoundError):
                client.models.retrieve(str(untold))


def test_the_mocked_api_has_the_models_that_openai_fine_tunes(client: openai.OpenAI) -> None:
    listed = [model.id for model in client.models.list()]
    assert set(OPENAI_MODELS) | {BASE} <= set(listed)
    file = upload(client).id

    for name in ("gpt-4o-mini-2024-07-18", "gpt-3.5-turbo", "babbage-002"):
        job = client.fine_tuning.jobs.create(model=name, training_file=file, suffix="Hare")
        tuned = finish(client, job.id).fine_tuned_model

        assert tuned is not None
        assert re.fullmatch(rf"ft:{re.escape(name)}:personal:hare:[0-9a-f]{{8}}", tuned)
        assert client.models.retrieve(name).owned_by == "system"
        for model in (name, tuned):
            said = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "?"}])
            assert said.model == model


def test_a_script_can_say_which_base_models_there_are(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve(base_models=["gpt-4o-2024-08-06", "my-model"])

    assert [model.id for model in client.models.list()] == ["gpt-4o-2024-08-06", "my-model"]
    assert finish(client, client.fine_tuning.jobs.create(model="my-model", training_file=upload(client).id).id)
    with pytest.raises(openai.BadRequestError) as refused:
        client.fine_tuning.jobs.create(model=BASE, training_file=upload(client).id)
    assert refused.value.code == "model_not_available"


def test_a_server_that_really_trains_has_no_models_of_openai(tmp_path: Path) -> None:
    settings = ServerSettings(tmp_path / "store", "sk-short")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(settings))
        stack.enter_context(serve_in_thread(server))
        client = stack.enter_context(connect(MockServer(server.base_url, "sk-short", tmp_path)))

        assert [model.id for model in client.models.list()] == [BASE]
        with pytest.raises(openai.BadRequestError) as refused:
            client.fine_tuning.jobs.create(model="gpt-4o-mini-2024-07-18", training_file=upload(client).id)
        assert refused.value.code == "model_not_available"


def test_a_job_from_a_tuned_model_is_told_that_this_is_not_supported(client: openai.OpenAI) -> None:
    file = upload(client).id
    job = finish(client, client.fine_tuning.jobs.create(model=BASE, training_file=file).id)
    checkpoint = client.fine_tuning.jobs.checkpoints.list(job.id).data[0].fine_tuned_model_checkpoint
    assert job.fine_tuned_model is not None

    for name in (job.fine_tuned_model, checkpoint):
        with pytest.raises(openai.BadRequestError) as refused:
            client.fine_tuning.jobs.create(model=name, training_file=file)
        assert refused.value.body == {
            "message": f"The model `{name}` is a tuned one, and training on from a tuned model is not supported by this"
            f" server. Name a base model, such as the one that it was made from, `{BASE}`.",
            "type": "invalid_request_error",
            "param": "model",
            "code": "unsupported_value",
        }
    client.models.delete(job.fine_tuned_model)
    with pytest.raises(openai.BadRequestError) as gone:
        client.fine_tuning.jobs.create(model=job.fine_tuned_model, training_file=file)
    assert gone.value.code == "model_not_available"
