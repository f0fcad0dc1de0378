"""Stop strings and the odds that go with what is said."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pipeline.inference.generation import Speech, StopFilter
from pipeline.inference.protocol import Piece, TokenOdds


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
