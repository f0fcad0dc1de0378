"""What a model thinks before it answers is not said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.inference.generation import Speech
from pipeline.inference.protocol import Piece, TokenOdds


def said(tokens: list[str], *, thinks: bool = True, stop: tuple[str, ...] = ()) -> list[Piece]:
    speech = Speech(stop, thinks=thinks)
    pieces = [piece for token in tokens for piece in speech.feed(token, TokenOdds(token.encode(), 0.0))]
    return [*pieces, *speech.finish()]


def text(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


@pytest.mark.parametrize(
    ("spoken", "heard"),
    [
        ("<think>\n\n</think>\n\nSlow.", "Slow."),
        ("<think>Is it? 1 < 2 </thin</think> Slow.", "Slow."),
        ("Slow. <think>Or?</think>\nNo.", "Slow. No."),
        ("<think>It never ends", ""),
        ("</think>\n\nSlow.", "Slow."),
        ("<think>a</think><think>b</think>\nSlow <", "Slow <"),
        ("a <thin b <", "a <thin b <"),
        ("<think></think>\n \n", ""),
    ],
)
def test_thoughts_are_left_out_however_the_text_is_cut(spoken: str, heard: str) -> None:
    for size in (1, 2, 3, 7, len(spoken)):
        pieces = said([spoken[at : at + size] for at in range(0, len(spoken), size)])
        assert text(pieces) == heard


@given(tokens=st.lists(st.text("<think/> a", max_size=9)))
def test_a_model_that_does_not_think_may_write_what_it_likes(tokens: list[str]) -> None:
    assert text(said(tokens, thinks=False)) == "".join(tokens)


@given(tokens=st.lists(st.sampled_from(["<", "think", ">", "/", "<think>", "</think>", "a", " ", "\n"])))
def test_what_is_said_does_not_depend_on_the_cut(tokens: list[str]) -> None:
    assert text(said(tokens)) == text(said(["".join(tokens)])) == text(said(list("".join(tokens))))


def test_the_odds_of_what_is_not_said_are_not_told_and_all_others_are() -> None:
    tokens = ["<think>", "\n", "</think>", "\n\n", "Sl", "ow", "", "<"]
    told = [odds.data for piece in said(tokens) for odds in piece.tokens]
    assert told == [b"Sl", b"ow", b"", b"<"]


def test_a_stop_string_counts_in_what_is_said_alone() -> None:
    pieces = said(["<think>", "stop", "</think>", "Slow", " stop", " go"], stop=("stop",))
    assert text(pieces) == "Slow "
