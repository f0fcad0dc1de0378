"""/v1/completions over a socket, with a small model that really runs: OpenAI's legacy shape."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from pipeline.server.main import serving
from pipeline.server.settings import ServerSettings
from pipeline.testing import serve_in_thread

pytestmark = [pytest.mark.lora, pytest.mark.xdist_group("lora")]


@pytest.fixture(scope="module")
def client(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    folder = tmp_path_factory.mktemp("server")
    settings = ServerSettings(folder, "sk-short", models=(str(tiny_model),), workers=0)
    with (
        serving(settings) as server,
        serve_in_thread(server),
        openai.OpenAI(base_url=server.base_url, api_key="sk-short", max_retries=0) as client,
    ):
        yield client


def test_prompts_as_texts_and_as_tokens_are_scored_alike(client: openai.OpenAI, tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(tiny_model)("Slow.", add_special_tokens=False)["input_ids"]
    asked = {"model": str(tiny_model), "echo": True, "max_tokens": 0, "logprobs": 1, "temperature": 0}
    by_text = client.completions.create(prompt=["Slow.", "Slow."], **asked)  # type: ignore[call-overload]
    by_ids = client.completions.create(prompt=[ids], **asked)  # type: ignore[call-overload]
    first, second = by_text.choices
    assert (first.index, second.index, first.text, first.finish_reason) == (0, 1, "Slow.", "length")
    told = first.logprobs
    assert told.tokens == second.logprobs.tokens == by_ids.choices[0].logprobs.tokens
    assert "".join(told.tokens) == "Slow."
    assert told.token_logprobs[0] is None
    assert told.token_logprobs[1:] == pytest.approx(by_ids.choices[0].logprobs.token_logprobs[1:], abs=0.02)
    assert told.text_offset == [sum(map(len, told.tokens[:at])) for at in range(len(told.tokens))]
    assert (by_text.usage.prompt_tokens, by_text.usage.completion_tokens) == (2 * len(ids), 0)


def test_a_text_is_gone_on_with_in_one_piece_and_in_a_stream(client: openai.OpenAI, tiny_model: Path) -> None:
    asked = {"model": str(tiny_model), "prompt": "Hurry", "max_tokens": 3, "temperature": 0}
    whole = client.completions.create(**asked)  # type: ignore[call-overload]
    pieces = list(client.completions.create(stream=True, **asked))  # type: ignore[call-overload]
    assert "".join(piece.choices[0].text for piece in pieces) == whole.choices[0].text
    assert pieces[-1].choices[0].finish_reason == whole.choices[0].finish_reason


def test_more_than_openai_allows_is_refused_by_its_name(client: openai.OpenAI, tiny_model: Path) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(model=str(tiny_model), prompt="x", logprobs=6)
    assert refused.value.param == "logprobs"
