"""The text of an exported chat, line by line: WhatsApp writes UTF-8, but people open and save files."""

import codecs
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.archives.members import HEAD, Member
from pipeline.sessions.session import LONGEST

UTF_8 = "utf-8-sig"
_OF_MARKS = ((codecs.BOM_UTF8, UTF_8), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_BLOCK = 1 << 18
_ASCII = bytes(range(128))


class Encoding(NamedTuple):
    """How to read a file.

    Attributes:
        name: for a codec.
        errors: "replace" where a file of UTF-8 is damaged.
        newline: what ends lines: "\\r" in files of an old Mac, where nothing else does.
    """

    name: str = UTF_8
    errors: str = "strict"
    newline: str = "\n"

    @property
    def is_guessed(self) -> bool:
        """Whether it is no encoding that tells itself from others."""
        return not self.name.startswith("utf")

    @property
    def is_damaged(self) -> bool:
        """Whether there are bytes in it that are no text."""
        return self.errors != "strict"


def encoding_of(head: bytes) -> Encoding:
    """How a file that begins so is probably written."""
    name = next((name for mark, name in _OF_MARKS if head.startswith(mark)), None)
    if name is None and head.count(0) * 3 > len(head):  # each second byte of UTF-16 is 0 in European texts
        name = "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
    text = head_of(head, Encoding(name or UTF_8))
    return Encoding(name or UTF_8, newline="\r" if "\r" in text and "\n" not in text else "\n")


def head_of(head: bytes, encoding: Encoding) -> str:
    """The first bytes as text, as well as it can be; the last line may be cut."""
    return codecs.getincrementaldecoder(encoding.name)("replace").decode(head)


def second_choice(member: Member) -> Encoding:
    """How to read a file that is not the UTF-8 that it seemed to be: damaged UTF-8, or what Windows calls ANSI."""
    decoder = codecs.getincrementaldecoder("utf-8")("ignore")
    encoded = understood = 0
    with member.open() as file:
        while data := file.read(_BLOCK):
            encoded += len(data.translate(None, _ASCII))
            understood += sum(len(each.encode()) for each in decoder.decode(data) if each > "\x7f")
    encoding = encoding_of(member.head())
    if understood * 2 > encoded:
        return encoding._replace(errors="replace")
    return encoding._replace(name="cp1252", errors="replace")


def lines(member: Member, encoding: Encoding) -> Iterator[str]:
    """Its lines, each with its end; of endless ones LONGEST characters at a time.

    Raises:
        UnicodeDecodeError: it is not in this encoding.
        InputError: the zip that it is in cannot be read.
    """
    decoder, newline, held = codecs.getincrementaldecoder(encoding.name)(encoding.errors), encoding.newline, ""
    with member.open() as file:
        while True:
            data = file.read(_BLOCK)
            *whole, held = (held + decoder.decode(data, final=not data)).split(newline)
            for each in whole:
                if len(each) < LONGEST:
                    yield each + newline
                else:
                    yield from _parted(each + newline)
            if len(held) > LONGEST:
                *parts, held = _parted(held)
                yield from parts
            if not data:
                break
    if held:
        yield held


def _parted(line: str) -> list[str]:
    return [line[at : at + LONGEST] for at in range(0, len(line), LONGEST)]


def first_lines(member: Member) -> list[str]:
    """The lines of its head, for recognising it."""
    head = member.head(HEAD)
    text = head_of(head, encoding_of(head))
    found = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return found if len(head) < HEAD or len(found) == 1 else found[:-1]
