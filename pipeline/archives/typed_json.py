"""JSON of ordinary size, decoded at once into what is wanted of it: several times as fast as json_file.

What is not wanted is skipped without being read. Where the document is large, or not as expected in any way, json_file
reads it instead, and says what is wrong: so nothing is refused here.
"""

import codecs
import functools
import json
from typing import TypeVar

import msgspec

from pipeline.archives.members import Member

ORDINARY = 32_000_000
"""Bytes of a document that is decoded at once."""

NOTHING = msgspec.Raw(b"")
"""A value that is not there."""

_EMPTY = frozenset({b"", b"null", b"[]", b"{}", b'""', b"false", b"0"})

T = TypeVar("T", bound=msgspec.Struct)
Document = TypeVar("Document")


def decoded(member: Member, decoder: msgspec.json.Decoder[Document]) -> Document | None:
    """All of a document; None if it must be read by json_file."""
    if member.size > ORDINARY:
        return None
    try:
        return decoder.decode(member.read().removeprefix(codecs.BOM_UTF8))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def struct_of(kind: type[T], row: dict[str, object]) -> T:
    """What `decoded` would have made of an object that json_file has read."""
    made, fields = kind(), _fields(kind)
    for key, value in row.items():
        if value is not None and (field := fields.get(key)):
            name, is_raw = field
            setattr(made, name, msgspec.Raw(json.dumps(value).encode()) if is_raw else value)
    return made


def is_there(value: msgspec.Raw) -> bool:
    """Whether a value that is not decoded is one, and not empty."""
    return bytes(value) not in _EMPTY


def value_of(raw: msgspec.Raw) -> object:
    """A value that was not decoded so far; None if it cannot be, or is none."""
    try:
        return json.loads(bytes(raw)) if len(bytes(raw)) else None
    except (ValueError, RecursionError):
        return None


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, tuple[str, bool]]:
    """The names of fields by their keys, and whether they are left undecoded."""
    fields = msgspec.structs.fields(kind)
    return {field.encode_name: (field.name, isinstance(field.default, msgspec.Raw)) for field in fields}
