r"""JSON of any size, piece by piece: long lists in batches, everything else value by value.

Exports are JSON documents that hold one long list, or one in each of many conversations. A document of 2 GB must not
be held whole, so it is read as text, and the standard library's scanner is asked for one item of a list after the
other: where the text read so far ends within an item, more is read and the item is begun again.

Telegram writes control characters as \x0B, which is no JSON; that is read as \u000b.
"""

import codecs
import json
import re
from collections.abc import Container, Iterator, Mapping
from typing import IO, NamedTuple

import msgspec

from pipeline.archives.members import Member
from pipeline.archives.typed_json import Stretches, struct_of
from pipeline.errors import InputError

BLOCK = 1 << 20
"""Bytes that are read at a time."""

LARGEST = 64_000_000
"""Characters of a single value. What is larger is no message."""

_DEEPEST = 40
_SPACE = re.compile(r"[ \t\n\r]*")
_BETWEEN = re.compile(r"[ \t\n\r]*,?[ \t\n\r]*")
_COLON = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_HEX_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\x([0-9A-Fa-f]{2})")
_ENDS = tuple(" \t\n\r,]}")  # after a value
_scan = json.JSONDecoder().raw_decode

Path = tuple[str | int, ...]


class Value(NamedTuple):
    """A value in a document.

    Attributes:
        path: keys and positions that lead to it, such as ("chats", "list", 3, "name").
        value: text, number, boolean or None; or a batch of the items of a list that was asked for, whose path is the
            list's own. What has such a key and is an object comes as a list of its values.
    """

    path: Path
    value: object


Kinds = Mapping[str, type[msgspec.Struct]]


def values(member: Member, lists: Container[str] | Kinds) -> Iterator[Value]:
    """The values of a JSON document in its own order.

    Args:
        lists: keys whose lists come in batches of whole items, "" for a document that is a list; empty ones come as an
            empty batch. With what items become, each object is one of these, and whatever else stands there is None:
            several times as fast, for what they have no fields for is skipped.

    Raises:
        InputError: it is damaged or cut off; names the file, and the byte as nearly as it is known.
    """
    with member.open() as file:
        yield from _Document(file, str(member), lists).values()


class _Document:
    def __init__(self, file: IO[bytes], where: str, lists: Container[str] | Kinds) -> None:
        self._file = file
        self._where = where
        self._lists = lists
        self._kinds: Kinds = lists if isinstance(lists, Mapping) else {}
        self._text = ""
        self._at = 0
        self._decode: codecs.IncrementalDecoder | None = None
        self._ended = False

    def values(self) -> Iterator[Value]:
        yield from self._value(())
        if self._next():
            raise self._damaged("something follows its end")

    def _value(self, path: Path) -> Iterator[Value]:
        if len(path) > _DEEPEST:
            raise self._damaged(f"nested more than {_DEEPEST} times")
        match self._next():
            case ("{" | "[") as mark if path and path[-1] in self._lists:
                yield from self._batches(path, "]" if mark == "[" else "}")
            case "{":
                yield from self._object(path)
            case "[" if not path and "" in self._lists:
                yield from self._batches(path, "]")
            case "[":
                yield from self._list(path)
            case _:
                yield Value(path, self._scanned())

    def _object(self, path: Path) -> Iterator[Value]:
        self._at += 1
        while (mark := self._after_comma()) != "}":
            if mark != '"':
                raise self._damaged("a key is missing")
            key = self._scanned()
            if self._next() != ":":
                raise self._damaged("a colon is missing")
            self._at += 1
            yield from self._value((*path, str(key)))
        self._at += 1

    def _list(self, path: Path) -> Iterator[Value]:
        self._at += 1
        number = 0
        while self._after_comma() != "]":
            yield from self._value((*path, number))
            number += 1
        self._at += 1

    def _batches(self, path: Path, end_mark: str) -> Iterator[Value]:
        """The items of a list, or the values of an object, so many at a time as the text that is here holds whole."""
        self._at += 1
        batch: list[object] = []
        yielded = False
        kind = self._kinds.get(str(path[-1]) if path else "")
        stretches = Stretches(kind, is_object=end_mark == "}") if kind else None
        while True:
            at = _BETWEEN.match(self._text, self._at).end()  # type: ignore[union-attr] # it matches nothing, too
            if at < len(self._text) and self._text[at] == end_mark:
                self._at = at + 1
                if batch or not yielded:
                    yield Value(path, batch)
                return
            if stretches and (some := stretches.rows(self._text, self._at, at)):
                rows, self._at = some
                yield Value(path, [*batch, *rows])
                batch, yielded = [], True
                continue
            try:
                item, end = self._scan(at if end_mark == "]" else self._after_key(at))
            except (ValueError, RecursionError) as error:
                if batch:
                    yield Value(path, batch)
                    batch, yielded = [], True
                self._at = at
                self._go_on(error)
                continue
            if kind:
                item = struct_of(kind, item) if isinstance(item, dict) else None
            batch.append(item)
            self._at = end

    def _after_key(self, at: int) -> int:
        """Where the value of the key that stands here begins.

        Raises:
            ValueError: it is not to be seen, or no key stands here.
        """
        _, end = _scan(self._text, at)
        colon = _COLON.match(self._text, end)
        if colon is None or self._text[at] != '"':
            raise json.JSONDecodeError("a key is missing", self._text, at)
        return colon.end()

    def _scanned(self) -> object:
        """The scalar that begins here."""
        while True:
            try:
                value, end = self._scan(self._at)
            except (ValueError, RecursionError) as error:
                self._go_on(error)
                continue
            self._at = end
            return value

    def _scan(self, at: int) -> tuple[object, int]:
        """The value that begins there, and where it ends.

        Raises:
            ValueError: it is damaged, or the text that is here ends within it. A number has no mark at its end: "1." is
                the beginning of "1.5".
        """
        value, end = _scan(self._text, at)
        if not isinstance(value, dict | list | str) and not self._ended and self._text[end : end + 1] not in _ENDS:
            raise ValueError("it may go on")
        return value, end

    def _after_comma(self) -> str:
        """The first mark of what comes next in a list or an object."""
        if self._next() == ",":
            self._at += 1
        if not (mark := self._next()):
            raise self._damaged("it ends too early")
        return mark

    def _next(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr] # it matches nothing, too
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read():
                return ""

    def _go_on(self, error: Exception) -> None:
        """Get more text for a value that could not be read.

        Raises:
            InputError: there is none.
        """
        if len(self._text) - self._at > LARGEST:
            raise self._damaged(f"a value of more than {LARGEST:,} characters, or one that does not end")
        if isinstance(error, RecursionError):
            raise self._damaged("a value nested too deeply")
        if not self._read():
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "it ends too early"
            raise self._damaged(reason[0].lower() + reason[1:])

    def _read(self) -> bool:
        """Read on, as much as there is already, so that a long value is not begun anew too often; False at the end."""
        if self._ended:
            return False
        self._text = self._text[self._at :]
        self._at = 0
        data = self._file.read(max(BLOCK, len(self._text)))
        if self._decode is None:
            self._decode = codecs.getincrementaldecoder(_encoding(data))()
        try:
            more = self._decode.decode(data, final=not data)
        except UnicodeDecodeError:
            raise self._damaged("it holds bytes that are no text") from None
        self._ended = not data
        self._text += more
        if "\\x" in self._text:
            self._text = _HEX_ESCAPE.sub(r"\1\\u00\2", self._text)
        return True

    def _damaged(self, what: str) -> InputError:
        return InputError(
            self._where,
            f"JSON that is damaged or cut off near byte {self._file.tell() - len(self._text) + self._at:,}: {what}",
            fix="Export it again, or take it out of its zip again.",
        )


def _encoding(data: bytes) -> str:
    """UTF-8, unless it begins like UTF-16, as some editors on Windows save it."""
    return "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
