from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.training import scripted
from pipeline.training.generation import Speech, StopFilter, create_engine
from pipeline.training.protocol import ChatMessage, Finish, JobSpec, ModelRef, Piece, Sampling, TokenOdds

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


def expected_up_to_stop(text: str, stops: Sequence[str]) -> str:
    """Read a character at a time; the first stop string that is complete ends the text."""
    for end in range(1, len(text) + 1):
        complete = [len(stop) for stop in stops if stop and text[:end].endswith(stop)]
        if complete:
            return text[: end - max(complete)]
    return text


@given(st.lists(st.text("ab"), max_size=8), st.lists(st.text("ab", max_size=4), max_size=3))
def test_a_stop_filter_gives_the_same_however_the_text_is_cut(pieces: list[str], stops: list[str]) -> None:
    filter_ = StopFilter(stops)
    said = "".join(filter_.feed(piece) for piece in pieces) + filter_.flush()
    assert said == expected_up_to_stop("".join(pieces), stops)


@given(st.text("ab", max_size=12), st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3))
def test_a_stop_filter_holds_back_no_more_than_it_must(text: str, stops: list[str]) -> None:
    filter_ = StopFilter(stops)
    said = filter_.feed(text)
    held = filter_.flush()
    assert filter_.stopped or any(stop.startswith(held) and stop != held for stop in stops)
    assert filter_.stopped or said + held == text


@given(st.lists(st.text("ab", max_size=3), max_size=8), st.lists(st.text("ab", min_size=1, max_size=3), max_size=2))
def test_the_odds_of_exactly_the_tokens_that_are_seen_come_with_them(texts: list[str], stops: list[str]) -> None:
    speech = Speech(stops)
    pieces: list[Piece] = []
    for number, text in enumerate(texts):
        pieces += speech.feed(text, TokenOdds(text.encode(), float(number)))
        if speech.ended:
            break
    pieces += speech.finish()

    said = "".join(piece.text for piece in pieces)
    tokens = [token for piece in pieces for token in piece.tokens]
    assert said == expected_up_to_stop("".join(texts), stops)
    assert [token.logprob for token in tokens] == [float(number) for number in range(len(tokens))]
    fed = b"".join(token.data for token in tokens).decode()
    assert fed.startswith(said)
    assert speech.ended or len(tokens) == len(texts)
    assert not tokens or not said or len(fed) - len(said) < max(1, len(tokens[-1].data))
