"""tiktoken counts as the base model's own tokenizer does, for every text that it is given."""

import sys
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from pipeline.dataset.byte_pairs import SEPARATOR, Twin, twin
from pipeline.dataset.tokens import Tokens, tokens_of
from pipeline.training.base_models import prepare
from pipeline.training.chat_format import ChatFormat
from pipeline.training.protocol import ChatMessage, Role
from pipeline.training.token_counts import TokenCounts

MODEL = "smollm2-135m-instruct"
pytestmark = pytest.mark.xdist_group("smollm2")


@cache
def counts() -> TokenCounts:
    return TokenCounts(prepare(MODEL))


@cache
def counterpart() -> Twin:
    found = twin(counts().tokenizer)
    assert found is not None
    return found


@cache
def exact() -> Tokens:
    return tokens_of(MODEL, "exact")


PIECES = st.sampled_from(
    [
        "a",
        "Haha",
        " so",
        "'s",
        "'S",
        "  ",
        " 1",
        "  12",
        "é",
        "ß",
        "日本",
        "😂",
        "...",
        "?!",
        "𝒽",
        "<|im_end|>",
        SEPARATOR,
    ]
)
SPACES = st.sampled_from(["\n", "\n\n", "\t ", "\r\n", "\u200d", "\ufe0f", "\u00a0", "\u0301", "\x04", "\U00011de0"])
TEXTS = st.lists(st.lists(PIECES | SPACES | st.text(max_size=6), max_size=8).map("".join), min_size=1, max_size=6)


@given(TEXTS)
def test_any_texts_have_as_many_tokens_as_their_own_tokenizer_says(texts: list[str]) -> None:
    assert exact().count(texts) == counts().count(texts)


def test_every_character_is_split_off_alike() -> None:
    found = counterpart()
    characters = [chr(code) for code in range(sys.maxunicode) if not 0xD800 <= code < 0xF900]
    characters = [character for character in characters if not found.unsure.match(character)]
    for begin in range(0, len(characters), 2000):
        texts = [f"a{each}a !{each}!  {each}{each} 1{each}1" for each in characters[begin : begin + 2000]]
        assert found.count(texts) == counts().count(texts)


def test_a_tokenizer_of_another_kind_has_no_counterpart() -> None:
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    assert twin(tokenizer) is None


@pytest.mark.parametrize(
    "roles",
    [("assistant",), ("user", "assistant"), ("system", "user", "assistant"), ("system", *("user", "assistant") * 9)],
)
def test_the_template_takes_as_many_tokens_as_in_training(roles: tuple[Role, ...]) -> None:
    messages = [ChatMessage(role, "") for role in roles]
    ids, _ = ChatFormat(prepare(MODEL)).example(messages, [False] * len(roles))
    assert counts().frame(roles) == len(ids)


def test_blanks_that_are_too_many_for_tiktoken_are_counted_all_the_same() -> None:
    blanks = "x" + " " * 1_000_000 + "y"
    with pytest.raises(ValueError, match="Max stack size exceeded"):
        counterpart().count([blanks])
    assert exact().count(["Hi", blanks]) == counts().count(["Hi", blanks])
