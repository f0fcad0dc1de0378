"""Writes `message.attributedBody` blobs as Messages does, for the sample archive and for tests.

Grammar from python-typedstream's reader and docs/TYPEDSTREAM.md of imessage-chatdb;
archives/imessage/typedstream.py reads them.
"""

from collections.abc import Mapping, Sequence

PART = "__kIMMessagePartAttributeName"
FILE_TRANSFER_GUID = "__kIMFileTransferGUIDAttributeName"
ONE_TIME_CODE = "__kIMOneTimeCodeAttributeName"

Attributes = Mapping[str, int | str]

_HEADER = b"\x04\x0bstreamtyped\x81\xe8\x03"
_NEW, _NIL, _END = b"\x84", b"\x85", b"\x86"
_FIRST_REFERENCE = -110
_VERSIONS = {"NSString": 1, "NSMutableString": 1}


def encode_attributed_body(
    text: str, *, runs: Sequence[tuple[int, Attributes]] | None = None, mutable: bool = False
) -> bytes:
    """Archive `text` as an NSAttributedString.

    Args:
        text: the message.
        runs: (length in UTF-16 code units, attributes), together as long as `text`; by default all of it is part 0.
        mutable: archive an NSMutableAttributedString, as about a third of real messages are.
    """
    archive = _Archive()
    kind = "Mutable" if mutable else ""
    archive.write_type("@")
    archive.begin_object(*(["NSMutableAttributedString"] if mutable else []), "NSAttributedString", "NSObject")
    archive.write_string(text, *([f"NS{kind}String"] if mutable else []), "NSString", "NSObject")
    for index, (length, attributes) in enumerate(runs or [(len(text.encode("utf-16-le")) // 2, {PART: 0})], start=1):
        archive.write_type("iI")
        archive.write_integer(index)
        archive.write_integer(length)
        archive.write_dictionary(attributes)
    archive.end_object()
    return bytes(archive.data)


class _Archive:
    """The stream so far, with its two tables: strings and objects written once are referred to by number."""

    def __init__(self) -> None:
        self.data = bytearray(_HEADER)
        self._strings: list[str] = []
        self._objects: list[str | None] = []  # a class by its name; None for an object, which we never refer to

    def write_integer(self, value: int) -> None:
        """One byte where that cannot be taken for a tag (-128..-111), else a tag and two or four bytes."""
        if -110 <= value <= 127:
            self.data += value.to_bytes(1, "little", signed=True)
        elif -(2**15) <= value < 2**15:
            self.data += b"\x81" + value.to_bytes(2, "little", signed=True)
        else:
            self.data += b"\x82" + value.to_bytes(4, "little", signed=True)

    def write_type(self, types: str) -> None:
        """The type string that precedes a group of values, or any other shared string."""
        if types in self._strings:
            self.write_integer(_FIRST_REFERENCE + self._strings.index(types))
            return
        self._strings.append(types)
        self.data += _NEW
        self.write_integer(len(types))
        self.data += types.encode()

    def begin_object(self, *classes: str) -> None:
        """Begin an object of `classes`, the most derived first."""
        self.data += _NEW
        self._objects.append(None)
        for name in classes:
            if name in self._objects:
                self.write_integer(_FIRST_REFERENCE + self._objects.index(name))
                return
            self.data += _NEW
            self.write_type(name)
            self.write_integer(_VERSIONS.get(name, 0))
            self._objects.append(name)
        self.data += _NIL

    def end_object(self) -> None:
        self.data += _END

    def write_string(self, text: str, *classes: str) -> None:
        self.write_type("@")
        self.begin_object(*classes or ("NSString", "NSObject"))
        self.write_type("+")
        encoded = text.encode()
        self.write_integer(len(encoded))
        self.data += encoded
        self.end_object()

    def write_dictionary(self, attributes: Attributes) -> None:
        self.write_type("@")
        self.begin_object("NSDictionary", "NSObject")
        self.write_type("i")
        self.write_integer(len(attributes))
        for key, value in attributes.items():
            self.write_string(key)
            if isinstance(value, str):
                self.write_string(value)
            else:
                self._write_number(value)
        self.end_object()

    def _write_number(self, value: int) -> None:
        self.write_type("@")
        self.begin_object("NSNumber", "NSValue", "NSObject")
        self.write_type("*")
        self.data += _NEW  # a C string is an object too
        self._objects.append(None)
        self.write_type("i")
        self.write_type("i")
        self.write_integer(value)
        self.end_object()
