"""A server's words are shown, the chats in them are not."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pipeline.backends.quoting import LONGEST, quote

LINE = '{"messages": [{"role": "user", "content": "My \\"secret\\" is the old well behind the mill, naturally."}]}\n'


def test_words_of_the_training_file_are_hidden_and_the_reason_stays(tmp_path: Path) -> None:
    private = tmp_path / "05_train.jsonl"
    private.write_text(LINE)
    said = 'Line 3 is wrong: "the old well behind the mill" has no role'
    assert quote(said, private) == "Line 3 is wrong: [chat text] has no role"
    assert quote('Bad: My "secret" is the old well', private) == "Bad: [chat text]"


def test_without_a_training_file_the_words_are_kept_short(tmp_path: Path) -> None:
    assert quote("a  b\nc", tmp_path / "none") == "a b c"
    long = quote("word " * 200, tmp_path / "none")
    assert len(long) == LONGEST
    assert long.endswith("…")


@given(words=st.lists(st.text(alphabet="abcdefgh", min_size=3, max_size=9), min_size=6, max_size=20))
def test_no_four_words_of_a_chat_pass(words: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        private = Path(folder) / "05_train.jsonl"
        private.write_text(" ".join(words))
        shown = quote("Example 7: " + " ".join(words) + " is no good at all", private)
    for start in range(len(words) - 3):
        assert " ".join(words[start : start + 4]) not in shown
