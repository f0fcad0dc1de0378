"""Strings of the classic download: UTF-8 whose bytes stand there as characters of their own."""

from pipeline.archives.told import writable


def repaired(text: str) -> str:
    """What was meant; newer downloads have some strings, or all, as they should be, and these stay as they are."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return writable(text)
