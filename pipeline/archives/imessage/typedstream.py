"""The text inside `message.attributedBody`, an archived NSAttributedString in Apple's typedstream format.

From macOS 13 on, nearly every message has its text here only (`message.text` is NULL). Of the whole object graph we
need one value: the string's characters. They are the first field of type `+` in the stream, in both kinds of root
(NSAttributedString and NSMutableAttributedString), so reading it takes a search and a slice, not a parser.

Layout from the reader of python-typedstream and from docs/TYPEDSTREAM.md of imessage-chatdb, which checked it against
every body of a macOS 27 database.
"""

import re

HEADER = b"\x04\x0bstreamtyped\x81\xe8\x03"

CHARACTERS = b"\x84\x01+"
"""New type string, one byte long, `+`: what follows is a length and that many bytes."""

_VALUE = rb"\x86\x92\x84[\x92-\xff][\x92-\xff]"
"""Between an attribute's name and its value: end of the name, an object, new, of a class and a type written before."""

_LENGTH_BYTES = {0x81: 2, 0x82: 4}
"""Little-endian bytes after a tag; a length below 0x80 is its own byte. 0x83 is a float's tag, 0x85 is nil."""

_UTF16_MARK = b"\xff\xfe"


def decode_attributed_body(blob: bytes) -> str | None:
    """Return the text of an attributedBody, "" if it has none, None if `blob` is damaged or something else.

    Lengths count bytes of UTF-8, not characters. Text that begins with a UTF-16 byte order mark is read as UTF-16.
    """
    if blob.startswith(_UTF16_MARK):
        return _decode(blob)
    found = blob.find(CHARACTERS)
    return _string(blob, found + len(CHARACTERS)) if found >= 0 else None


def decode_attribute(blob: bytes, name: bytes) -> str | None:
    """Return the string that the attribute `name` has in an attributedBody; None if there is none."""
    found = re.search(re.escape(name) + _VALUE, blob)
    return _string(blob, found.end()) if found else None


def _string(blob: bytes, start: int) -> str | None:
    """Read a length and that many bytes at `start`."""
    if start >= len(blob):
        return None
    length, start = blob[start], start + 1
    if length >= 0x80:
        width = _LENGTH_BYTES.get(length)
        if width is None:
            return None
        length, start = int.from_bytes(blob[start : start + width], "little"), start + width
    characters = blob[start : start + length]
    return _decode(characters) if len(characters) == length else None


def _decode(characters: bytes) -> str | None:
    try:
        if characters.startswith(_UTF16_MARK):
            return characters.decode("utf-16")
        return characters.decode("utf-8")
    except UnicodeDecodeError:
        return None
