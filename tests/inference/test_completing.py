"""A text gone on with, or scored, by a small model, for real: what /v1/completions stands on."""

from pathlib import Path

import pytest

from pipeline.inference.engines import create_engine
from pipeline.inference.generation import ContextLengthError, Engine, PromptError
from pipeline.inference.protocol import Finish, ModelRef, Piece, Prompt, Sampling

pytestmark = [pytest.mark.lora, pytest.mark.xdist_group("lora")]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return create_engine("lora", None)


@pytest.fixture
def base(tiny_model: Path) -> ModelRef:
    return ModelRef(str(tiny_model))


def complete(
    engine: Engine, model: ModelRef, prompt: Prompt, *, echo: bool, max_tokens: int, logprobs: int | None = 1
) -> tuple[list[Piece], Finish]:
    asked = Sampling(temperature=0, max_tokens=max_tokens, top_logprobs=logprobs)
    *pieces, finish = engine.complete(model, prompt, asked, lambda: False, echo=echo)
    assert isinstance(finish, Finish)
    return [piece for piece in pieces if isinstance(piece, Piece)], finish


def test_an_echoed_text_has_the_odds_that_the_model_gives_its_tokens(engine: Engine, base: ModelRef) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    text = "Slow and steady, dear Hare. " * 9
    ids = AutoTokenizer.from_pretrained(base.base_model)(text, add_special_tokens=False)["input_ids"]
    model = AutoModelForCausalLM.from_pretrained(base.base_model, dtype=torch.float32)
    with torch.no_grad():
        logs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    expected = [logs[at, token].item() for at, token in enumerate(ids[1:])]

    for prompt in (text, ids):
        (echoed,), finish = complete(engine, base, prompt, echo=True, max_tokens=0)
        assert (echoed.text, finish.reason, finish.prompt_tokens, finish.completion_tokens) == (
            text, "length", len(ids), 0,
        )  # fmt: skip
        assert [odds.logprob for odds in echoed.tokens[1:]] == pytest.approx(expected, abs=0.02)
        assert b"".join(odds.data for odds in echoed.tokens).decode() == text
        best = [odds.top[0].logprob for odds in echoed.tokens[1:]]
        assert best == pytest.approx(logs[:-1].max(-1).values.tolist(), abs=0.02)


def test_what_comes_after_a_text_is_the_likeliest_without_its_beginning(engine: Engine, base: ModelRef) -> None:
    pieces, finish = complete(engine, base, "Hurry!", echo=False, max_tokens=4)
    assert finish.completion_tokens <= 4
    echoed, again = complete(engine, base, "Hurry!", echo=True, max_tokens=4)
    assert "".join(piece.text for piece in echoed) == "Hurry!" + "".join(piece.text for piece in pieces)
    assert again == finish


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("", "prompt: expected at least one token. Send a text, or the ids of its tokens."),
        ([10**6], "Encode the text with this model's own tokenizer."),
    ],
)
def test_a_prompt_that_the_model_cannot_read_is_refused(
    engine: Engine, base: ModelRef, prompt: Prompt, said: str
) -> None:
    with pytest.raises(PromptError) as refused:
        complete(engine, base, prompt, echo=True, max_tokens=0)
    assert str(refused.value).endswith(said)


def test_a_prompt_longer_than_the_context_is_refused(engine: Engine, base: ModelRef) -> None:
    with pytest.raises(ContextLengthError):
        complete(engine, base, [1] * 5000, echo=True, max_tokens=0)
