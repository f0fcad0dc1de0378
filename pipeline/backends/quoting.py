"""A server's own words, without the chats it may have put in them."""

import mmap
from pathlib import Path

import msgspec

WINDOW = 4
LONGEST = 300
HIDDEN = "[chat text]"


def quote(said: str, private: Path) -> str:
    """`said` in one line of at most 300 characters; four words in a row that stand in `private` too are hidden.

    Errors of providers can repeat a line of the training file; terminals and CI logs are no place for it.

    Args:
        private: the training file (JSONL); it may be missing.
    """
    words = said.split()
    hidden = [False] * len(words)
    if private.is_file() and private.stat().st_size:
        with private.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            for start in range(len(words) - WINDOW + 1):
                phrase = " ".join(words[start : start + WINDOW]).strip("\"'“”‘’.,:;()")
                if text.find(msgspec.json.encode(phrase)[1:-1]) >= 0:
                    hidden[start : start + WINDOW] = [True] * WINDOW
    shown: list[str] = []
    for word, is_hidden in zip(words, hidden, strict=True):
        if not is_hidden:
            shown.append(word)
        elif shown[-1:] != [HIDDEN]:
            shown.append(HIDDEN)
    text_shown = " ".join(shown)
    return text_shown if len(text_shown) <= LONGEST else text_shown[: LONGEST - 1] + "…"
