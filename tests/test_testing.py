"""The mocked API as other people's tests use it."""

import openai
import pytest

from pipeline.errors import InputError
from pipeline.testing import MockServer, mock_openai, mocked_openai
from pipeline.training.scripted import OPENAI_MODELS

__all__ = ["mocked_openai"]


def _client(server: MockServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=server.api_key, max_retries=0)


def test_the_fixture_is_a_whole_api(mocked_openai: MockServer) -> None:
    with _client(mocked_openai) as client:
        models = [model.id for model in client.models.list()]
        assert models == ["smollm2-135m-instruct", *OPENAI_MODELS]
        assert mocked_openai.data_dir.is_dir()


def test_the_block_leaves_nothing_behind() -> None:
    with mock_openai() as server, _client(server) as client:
        client.files.create(file=("a.jsonl", b"{}"), purpose="fine-tune")

    assert not server.data_dir.exists()
    with _client(server) as late, pytest.raises(openai.APIConnectionError):
        late.models.list()


def test_two_at_once_know_nothing_of_each_other() -> None:
    with mock_openai() as first, mock_openai() as second, _client(first) as client, _client(second) as other:
        file = client.files.create(file=("a.jsonl", b"{}"), purpose="fine-tune")

        assert first.api_key != second.api_key
        with pytest.raises(openai.NotFoundError):
            other.files.retrieve(file.id)


def test_a_wrong_script_is_refused_before_anything_starts() -> None:
    with pytest.raises(InputError, match=r"unknown field .*colour"), mock_openai({"colour": "red"}):
        raise AssertionError("never reached")
