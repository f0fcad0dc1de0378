"""Exports that were damaged at random: each is refused in words, or every message of it is accounted for."""

from pathlib import Path

from hypothesis import strategies as st

from pipeline.errors import InputError
from tests.archives.reading import read

BYTES = (
    b"\x00",
    b"\xff",
    b"\xed\xa0\xbd",
    b"{",
    b"}",
    b'"',
    b"\\",
    b"\\u",
    b"[",
    b"<",
    b">",
    b"&#55357;",
    b"&",
    b",",
    b"\n",
    b"null",
    b"1e999",
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """`whole`, cut off, with pieces taken out, put in or repeated."""
    data = whole
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 40)))
        piece = draw(st.sampled_from((b"", data[at:end] * 2, *BYTES)))
        data = data[:at] + piece + data[end:]
    return data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data


def require_words_or_balance(path: Path, source: str) -> None:
    """Read an archive: what it holds adds up (reading.py checks that), or the error is one for people."""
    refusal = ""
    try:
        read(path, source)
    except InputError as error:
        refusal = str(error)
    assert refusal == "" or refusal.startswith(str(path))
