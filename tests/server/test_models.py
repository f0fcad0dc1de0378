"""Which models requests may name."""

from pathlib import Path

import openai
import pytest

from pipeline.server.main import serving
from pipeline.server.settings import ServerSettings
from pipeline.testing import serve_in_thread
from tests.server.harness import finish, upload


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
