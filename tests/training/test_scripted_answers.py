"""What the scripted engine answers, of the base model and of what the scripted trainer made."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.inference import engines
from pipeline.inference.engines import create_engine
from pipeline.inference.protocol import Finish, ModelRef, Piece, Sampling
from pipeline.models.messages import ChatMessage
from pipeline.training import scripted
from pipeline.training.protocol import JobSpec

BASE = ModelRef("smollm2-135m-instruct")
QUESTION = [ChatMessage("user", "What's the golden thread?")]


def answer(script: Path | None, model: ModelRef = BASE, sampling: Sampling | None = None) -> list[Piece | Finish]:
    engine = create_engine("scripted", script)
    return list(engine.generate(model, QUESTION, sampling or Sampling(), lambda: False))


def test_the_base_model_answers_a_word_at_a_time(make_script: Callable[..., Path]) -> None:
    script = make_script(replies={"base": "No golden thread."})
    assert answer(script) == [Piece("No"), Piece(" golden"), Piece(" thread."), Finish("stop", 4, 3)]


def test_the_tuned_model_answers_from_its_adapter(
    make_script: Callable[..., Path], make_spec: Callable[..., JobSpec]
) -> None:
    import threading

    spec = make_spec(script=make_script(replies={"tuned": "Slow."}))
    scripted.train(spec, lambda _: None, threading.Event())
    tuned = ModelRef(spec.base_model, spec.work_dir / "adapter")
    assert answer(None, tuned) == [Piece("Slow."), Finish("stop", 4, 1)]


def test_max_tokens_cuts_the_answer(make_script: Callable[..., Path]) -> None:
    script = make_script(replies={"base": "No golden thread."})
    assert answer(script, sampling=Sampling(max_tokens=1)) == [Piece("No"), Finish("length", 4, 1)]


def test_a_stop_string_over_two_tokens_is_never_seen(make_script: Callable[..., Path]) -> None:
    script = make_script(replies={"base": "No golden thread."})
    assert answer(script, sampling=Sampling(stop=("en th",))) == [Piece("No"), Piece(" gold"), Finish("stop", 4, 3)]


def test_a_cancelled_answer_has_no_finish() -> None:
    engine = create_engine("scripted", None)
    assert list(engine.generate(BASE, QUESTION, Sampling(), lambda: True)) == []


def test_a_folder_that_is_no_scripted_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        answer(None, ModelRef("smollm2-135m-instruct", tmp_path))
    assert str(caught.value) == (
        f"{tmp_path}: not the adapter of a scripted training. Use the trainer that made it, or train it again."
    )


def test_counting_the_words_of_a_long_message_takes_no_memory() -> None:
    question = [ChatMessage("user", "a " * 200_000)]
    engine = create_engine("scripted", None)
    tracemalloc.start()

    *_, finish = engine.generate(BASE, question, Sampling(), lambda: False)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(finish, Finish)
    assert finish.prompt_tokens == 200_000
    assert peak < 5_000_000  # a list of them takes 10 MB


@pytest.mark.parametrize("block", [1, 2, 3, 100])
def test_words_are_counted_however_the_text_is_cut(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(engines, "_BLOCK", block)
    for text in ("", " ", "a", " a", "a ", "aa bb", "  aa\n\u2003bb c  ", "slow and steady"):
        *_, finish = create_engine("scripted", None).generate(
            BASE, [ChatMessage("user", text)], Sampling(), lambda: False
        )
        assert isinstance(finish, Finish)
        assert finish.prompt_tokens == len(text.split())
