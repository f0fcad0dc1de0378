"""JSON decoded at once into what is wanted of it, several times as fast as value by value: documents, or long lists.

What is not wanted is skipped without being read. What is not as expected in any way is read by json_file instead, which
says what is wrong: so nothing is refused here.
"""

import codecs
import functools
import json
import re
from typing import Generic, TypeVar

import msgspec

from pipeline.archives.members import Member

ORDINARY = 32_000_000
"""Bytes of a document that is decoded at once."""

NOTHING = msgspec.Raw(b"")
"""A value that is not there."""

_SMALLEST, _USUAL = 1 << 12, 1 << 16  # characters of a stretch
_FEW, _MANY = 16, 4096  # items
_BEGIN = re.compile(r'\{[ \t\n\r]*"[^"\\]{0,100}"')
_BEGIN_OF_VALUE = re.compile(r'"[^"\\]{0,100}("[ \t\n\r]*:[ \t\n\r]*\{[ \t\n\r]*"[^"\\]{0,100}")')
_WRONG = (msgspec.DecodeError, UnicodeError, RecursionError)
_LONG = 40  # bytes; shorter ones may be brackets around blanks
_EMPTY = frozenset({b"", b"null", b"[]", b"{}", b'""', b"false", b"0"})

T = TypeVar("T", bound=msgspec.Struct)
Document = TypeVar("Document")


def decoded(member: Member, decoder: msgspec.json.Decoder[Document]) -> Document | None:
    """All of a document; None if it must be read by json_file."""
    if member.size > ORDINARY:
        return None
    try:
        return decoder.decode(member.read().removeprefix(codecs.BOM_UTF8))
    except _WRONG:
        return None


class Stretches(Generic[T]):
    """The items of a long list, or the values of a long object, decoded a stretch at a time.

    A stretch ends where there stands what stood between the first two items: `}, {` and the first key. That may be
    within a text or within an item, too, but what is cut there is no list: brackets or quotation marks are left open.
    So a stretch that can be decoded is whole; one that cannot be is tried shorter, and then its items are read one by
    one, as those are that msgspec does not take, such as half characters.
    """

    def __init__(self, kind: type[T], *, is_object: bool) -> None:
        self._is_object = is_object
        self._decode = _of_objects(kind).decode if is_object else _of_lists(kind).decode
        self._between = self._after_key = ""
        self._longest = _USUAL
        self._pause = self._paused = 0

    def rows(self, text: str, end: int, begin: int) -> tuple[list[T], int] | None:
        """As many items as can be decoded at once, and where they end; None to read one the other way.

        Args:
            end: where in `text` the item before ends.
            begin: where the next one begins, or its key.
        """
        if self._paused:
            self._paused -= 1
            return None
        if not self._between and not self._learn(text, end, begin):
            return None
        longest = self._longest
        while longest >= _SMALLEST and (cut := self._cut(text, begin, begin + longest)):
            piece = text[begin:cut]
            try:
                found = self._decode(f"{{{piece}}}" if self._is_object else f"[{piece}]")
            except _WRONG:
                longest = min(longest, cut - begin) // 4
                continue
            self._longest = longest * 2 if cut - begin > longest // 2 else longest
            self._pause = 0
            return list(found.values()) if isinstance(found, dict) else found, cut
        # Perhaps the first items were not as the others are.
        self._between, self._longest = "", _USUAL
        self._pause = self._paused = min(max(_FEW, 2 * self._pause), _MANY)
        return None

    def _learn(self, text: str, end: int, begin: int) -> bool:
        opening = (_BEGIN_OF_VALUE if self._is_object else _BEGIN).match(text, begin)
        if opening is None or not 0 < end < begin or text[end - 1] != "}":
            return False
        self._between = text[end - 1 : begin + 1] if self._is_object else text[end - 1 : opening.end()]
        self._after_key = opening[1] if self._is_object else ""
        return True

    def _cut(self, text: str, begin: int, last: int) -> int:
        """Where an item seems to end, as late as possible; 0 if none does."""
        if self._after_key:
            last = text.rfind(self._after_key, begin, last)
        return text.rfind(self._between, begin, max(last, begin)) + 1


class _Key:
    """A key of which nothing is wanted, not even that it is not there twice."""

    __slots__ = ()


@functools.cache
def _of_lists(kind: type[T]) -> msgspec.json.Decoder[list[T]]:
    return msgspec.json.Decoder(list[kind])  # type: ignore[valid-type] # mypy knows no types that are values


@functools.cache
def _of_objects(kind: type[T]) -> msgspec.json.Decoder[dict[_Key, T]]:
    return msgspec.json.Decoder(dict[_Key, kind], dec_hook=lambda _, __: _Key())  # type: ignore[valid-type]


def struct_of(kind: type[T], row: dict[str, object]) -> T:
    """What `decoded` would have made of an object that json_file has read."""
    made, fields = kind(), _fields(kind)
    for key, value in row.items():
        if field := fields.get(key):
            name, is_raw = field
            setattr(made, name, msgspec.Raw(json.dumps(value).encode()) if is_raw else value)
    return made


def is_there(value: msgspec.Raw) -> bool:
    """Whether a value that is not decoded is one, and not empty."""
    words = bytes(value)
    return words not in _EMPTY and (len(words) > _LONG or bool(value_of(value)))


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
