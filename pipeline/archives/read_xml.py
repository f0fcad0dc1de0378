"""The XML of SMS Backup & Restore, element by element, mended where it is none.

The app writes an emoji as two references to halves of a character, "&#55357;&#56832;", and whatever control characters
a message has; XML knows neither (XML 1.0, 2.2). Both are mended as text, before the parser sees them, and the files
within messages, in base64, are left out: so an element is as small as its words. A document type is refused, so there
are no entities of its own that could grow without end or read other files.
"""

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple, NoReturn
from xml.parsers import expat

from pipeline.archives.members import Member
from pipeline.errors import InputError

BLOCK = 1 << 18
"""Bytes that are read at a time."""

_LARGEST = 16_000_000  # characters without an end of an element
_PAIR = re.compile(
    r"&#(?:(5[5-7]\d{3})|[xX]([dD][89abAB][0-9a-fA-F]{2}));&#(?:(5[67]\d{3})|[xX]([dD][c-fC-F][0-9a-fA-F]{2}));"
)
_REFERENCE = re.compile(r"&#(?:(\d{1,9})|[xX]([0-9a-fA-F]{1,7}));")
_UNFINISHED = re.compile(
    r"(?:&[#\w]{0,10}(?:;(?:&[#\w]{0,10};?)?)?|[\ud800-\udbff]"
    r"""| (?:d(?:a(?:t(?:a(?:=(?:["'][A-Za-z0-9+/=]{0,255})?)?)?)?)?)?)\Z"""
)
_CONTROLS = bytes(code for code in range(0x20) if code not in b"\t\n\r")
_NO_CHARACTERS = "\ufffe".encode(), "\uffff".encode()
_DATA = re.compile(r"""(?<= data=["'])[A-Za-z0-9+/=]{256,}""")
_MORE_DATA = re.compile(r"[A-Za-z0-9+/=]*")

Attributes = dict[str, str]


class Element(NamedTuple):
    """A message.

    Attributes:
        name: "sms" or "mms".
        parts, addresses: of an mms.
    """

    name: str
    attributes: Attributes
    parts: list[Attributes]
    addresses: list[Attributes]


def elements(member: Member) -> Iterator[Element]:
    """The messages of a file.

    Raises:
        InputError: it is damaged, cut off, or has a document type.
    """
    yield from _Document(member).elements()


class _Document:
    def __init__(self, member: Member) -> None:
        self._member = member
        self._found: list[Element] = []
        self._open: Element | None = None
        self._parser = expat.ParserCreate("UTF-8")  # whatever the file says: it has been decoded
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.buffer_text = True

    def elements(self) -> Iterator[Element]:
        try:
            for text in _mended(self._member):
                self._parser.Parse(text, False)
                yield from self._found
                self._found.clear()
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise _damaged(self._member, f"{expat.ErrorString(error.code)}, in line {error.lineno:,}") from None
        yield from self._found

    def _begin(self, name: str, attributes: Attributes) -> None:
        if name in ("sms", "mms"):
            self._open = Element(name, attributes, [], [])
        elif self._open is not None and name == "part":
            self._open.parts.append(attributes)
        elif self._open is not None and name == "addr":
            self._open.addresses.append(attributes)

    def _end(self, name: str) -> None:
        if self._open is not None and name == self._open.name:
            self._found.append(self._open)
            self._open = None

    def _refuse(self, *_: object) -> NoReturn:
        raise InputError(
            str(self._member),
            "XML with a document type, which SMS Backup & Restore does not write",
            fix="Give the sms-….xml as the app saved it.",
        )


def _mended(member: Member) -> Iterator[bytes]:
    """The text of a file, as XML in UTF-8."""
    rest, in_data = "", False
    size = 0
    for text in _decoded(member):
        if in_data:
            text = text[_MORE_DATA.match(text).end() :]  # type: ignore[union-attr] # it matches nothing, too
            if not text:
                continue
        text = rest + text
        cut = found.start() if (found := _UNFINISHED.search(text, max(0, len(text) - 270))) else len(text)
        rest, text = text[cut:], text[:cut]
        in_data = False
        if " data=" in text:
            text, in_data = _without_data(text)
            in_data = in_data and not rest
        size = 0 if ">" in text else size + len(text)
        if size > _LARGEST:
            raise _damaged(member, f"an element of more than {_LARGEST:,} characters")
        yield _as_xml(text)
    yield _as_xml(rest)


def _without_data(text: str) -> tuple[str, bool]:
    """A text without the files in it, and whether one goes on behind its end."""
    goes_on = False
    pieces, at = [], 0
    for found in _DATA.finditer(text):
        pieces.append(text[at : found.start()])
        at = found.end()
        goes_on = at == len(text)
    pieces.append(text[at:])
    return "".join(pieces), goes_on


def _as_xml(text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        data = text.encode()
    if "&#" in text:
        data = _REFERENCE.sub(_allowed, _PAIR.sub(_joined, text)).encode()
    data = data.translate(None, _CONTROLS)  # many times as fast as a pattern
    for each in _NO_CHARACTERS:
        data = data.replace(each, b"")
    return data


def _joined(match: re.Match[str]) -> str:
    """One character of its two halves."""
    high = int(match[1]) if match[1] else int(match[2], 16)
    low = int(match[3]) if match[3] else int(match[4], 16)
    if not (0xD800 <= high < 0xDC00 <= low < 0xE000):
        return match[0]
    return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


def _allowed(match: re.Match[str]) -> str:
    """A reference as it is, unless XML knows no such character."""
    code = int(match[1]) if match[1] else int(match[2], 16)
    if code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000:
        return match[0]
    return "" if code < 0x20 else "\ufffd"


def _decoded(member: Member) -> Iterator[str]:
    """The text of a file, block by block; halves of a character that were each encoded alone stay halves."""
    encoding = "utf-16" if member.head(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"
    decode = codecs.getincrementaldecoder(encoding)("surrogatepass").decode
    with member.open() as file:
        is_first = True
        try:
            while data := file.read(BLOCK):
                text = decode(data)
                yield text.removeprefix("\ufeff") if is_first else text
                is_first = False
            yield decode(b"", True)
        except UnicodeDecodeError:
            raise _damaged(member, f"bytes that are no text, near byte {file.tell():,}") from None


def _damaged(member: Member, what: str) -> InputError:
    return InputError(str(member), f"XML that is damaged or cut off ({what})", fix="Back up the messages again.")
