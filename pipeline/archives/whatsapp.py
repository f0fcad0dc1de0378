"""Reads chats exported by WhatsApp: the .txt, the .zip that the phone makes, or a folder of either.

The export has no format: each phone writes dates in its own language. What tells a header from speech is its shape:

    [15/08/2023, 09:12:43] Hare: Speed is key!        iOS
    15.08.23, 09:12 - Hare: Speed is key!             Android
    8/15/23, 9:12 AM - Hare: Speed is key!            with U+202F before AM since 2023 (langchain#6654)

Day and month are told apart over the whole file, never by line. Times are the phone's, of an unnamed zone, and are
kept as they stand. On iOS, U+200E after the name marks WhatsApp's own words in every language (attachments, calls,
deleted messages); Android's are known by their brackets, or in English only.
"""

import io
import itertools
import re
from collections.abc import Iterator
from datetime import datetime
from typing import IO, NamedTuple

from pipeline.archives.members import Member, Members
from pipeline.archives.reader import Asked, Recognised
from pipeline.archives.told import MEDIA, Told
from pipeline.errors import InputError
from pipeline.sessions.session import ENDLESS, LONGEST, QUOTED, Message, Session
from pipeline.sessions.stream import Stream

SYSTEM = "WhatsApp's own words"

_HEADER = re.compile(
    r"\u200e?(?P<bracket>\[)?(?P<a>\d{1,4})[./-]\s?(?P<b>\d{1,2})[./-]\s?(?P<c>\d{2,4})\.?,?\s"
    r"(?:(?P<noon>[上下])午\s?)?(?P<hour>\d{1,2})[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d))?(?:\s?(?P<half>[AaPp])\.?\s?[Mm]\.?)?"
    r"(?(bracket)\]|\s[-–])\s(?P<rest>.*)",
    re.DOTALL,
)
_OWN_WORDS = re.compile(
    r"(?:This message was deleted|You deleted this message|Missed (?:voice|video) call|Waiting for this message.*|null)"
    r"\.?"
)
_MEDIA = re.compile(
    r"<[^<>\n]{3,60}>|[^\s/]+\.\w{2,5} \([^()\n]{3,40}\)|(?:image|video|audio|sticker|GIF|document) omitted"
)
_EDITED = "<This message was edited>"
_DIRECTIONS = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class _Line(NamedTuple):
    """A header and all that follows it up to the next: one message, or something that WhatsApp says.

    Attributes:
        is_whole: False if it is too long for a message, and `text` only its beginning.
    """

    header: re.Match[str]
    text: str
    is_whole: bool


def recognise(members: Members) -> Recognised | None:
    """See readers.Reading.

    Raises:
        InputError: it is WhatsApp's own database.
    """
    chats = [each for each in members if each.suffix == ".txt" and _begins_like_a_chat(each)]
    if len(chats) == 1:
        where = "its lines" if members.only is chats[0] else f"the lines of {chats[0].name} in it"
        return Recognised("a chat exported by WhatsApp", f"{where}, which begin with date, time and name")
    if chats:
        return Recognised("chats exported by WhatsApp", f"what is in it: {len(chats)} of them")
    return None


def _begins_like_a_chat(member: Member) -> bool:
    return looks_like_whatsapp(member.head().decode("utf-8-sig", "replace"))


def read(members: Members, told: Told, _asked: Asked) -> Iterator[Stream]:
    """See readers.Reading. Chats without speech are left out."""
    found = False
    texts = [each for each in members if each.suffix == ".txt" or each is members.only]
    for number, each in enumerate(texts, start=1):
        with each.open() as file:
            lines = list(_lines(file, each))
        found = found or bool(lines)
        told.rows = (told.rows or 0) + len(lines)
        messages = list(_messages(lines, told))
        if messages:
            senders = {message.sender for message in messages}
            session = Session(f"whatsapp-{number}", "group" if len(senders) > 2 else "direct", None, [])
            yield Stream(session, iter([messages]))
    if not found:
        raise InputError(
            str(members.path),
            "no chat exported by WhatsApp",
            fix="In WhatsApp, open the chat, choose Export chat > Without media, and give the .zip or .txt.",
        )


def looks_like_whatsapp(text: str) -> bool:
    """Whether a text that begins like this is an exported chat: most of its first lines are headers, or go on one."""
    lines = text.lstrip("\ufeff").splitlines()[:50]
    headers = sum(_HEADER.match(line) is not None for line in lines)
    return bool(lines) and _HEADER.match(lines[0]) is not None and (headers > 1 or len(lines) == 1)


def _lines(file: IO[bytes], member: Member) -> Iterator[_Line]:
    try:
        with io.TextIOWrapper(file, encoding="utf-8-sig", newline="\n") as text:
            yield from _read_lines(text)
    except UnicodeDecodeError:
        raise InputError(
            str(member), "not UTF-8 text, as WhatsApp exports it", fix="Export the chat again and give it as it is."
        ) from None


def _read_lines(file: IO[str]) -> Iterator[_Line]:
    header: re.Match[str] | None = None
    pieces: list[str] = []
    size, begins = 0, True  # `begins`: no line is so long that this goes on with it
    while line := file.readline(LONGEST):
        text = line.removesuffix("\n").removesuffix("\r")
        if begins and (match := _HEADER.match(text)):
            if header is not None:
                yield _Line(header, "\n".join(pieces), size <= LONGEST)
            header, pieces, size = match, [match["rest"]], len(match["rest"])
        elif size <= LONGEST:
            pieces.append(text)
            size += len(text) + 1
        begins = line.endswith("\n")
    if header is not None:
        yield _Line(header, "\n".join(pieces), size <= LONGEST)


def _messages(lines: list[_Line], told: Told) -> Iterator[Message]:
    order = _order([line.header for line in lines])

    def drop(reason: str, line: _Line, sender: str, words: str) -> None:
        told.drop(reason, sender, _time(line.header, order), words)

    for line in lines:
        name, colon, body = line.text.partition(": ")
        if not line.is_whole:
            drop(ENDLESS, line, _name(name[:QUOTED]), body[:QUOTED])
            continue
        if not colon and line.text.endswith(":"):
            name, colon = line.text[:-1], ":"
        # "X changed the subject from “A: B”" has a colon too, but nobody is called so.
        if not colon or "\n" in name or _breaks_off(name) or body.startswith("\u200e"):
            drop(SYSTEM, line, "WhatsApp", line.text.strip())
            continue
        written = body
        body, media = _speech(written)
        if body:
            yield Message(_name(name), False, _time(line.header, order), body)
        else:
            drop(MEDIA if media else SYSTEM, line, _name(name), written.strip())


def _breaks_off(name: str) -> bool:
    """Whether a quotation begins in `name` and does not end there."""
    return name.count("“") != name.count("”") or name.count('"') % 2 == 1


def _name(name: str) -> str:
    """The sender as the phone shows them: who is not among its contacts has a tilde in front."""
    return " ".join(_DIRECTIONS.sub("", name).split()).removeprefix("~").strip()


def _speech(body: str) -> tuple[str, bool]:
    """What was said, without WhatsApp's words around it, and whether a file was with it."""
    body = _without_tail(body.rstrip()).strip()
    if _OWN_WORDS.fullmatch(body):
        return "", False
    first, _, caption = body.partition("\n")
    if _MEDIA.fullmatch(_DIRECTIONS.sub("", first).strip()):
        return caption.strip(), True
    return body, False


def _without_tail(body: str) -> str:
    """A message without what WhatsApp adds at its end, after U+200E or in English. A pattern would be quadratic."""
    if body.endswith(">"):
        said, mark, added = body.rpartition("\u200e<")
        if mark and not {"<", ">", "\n"} & set(added[:-1]):
            return said
        said = body.removesuffix(_EDITED)
        if said != body and said[-1:].isspace():
            return said
    return body


def _order(headers: list[re.Match[str]]) -> str:
    """Which of the three numbers is year, month and day, decided over the whole file."""
    if any(len(each["a"]) == 4 for each in headers):
        return "ymd"
    orders = [
        order for order, month in (("dmy", "b"), ("mdy", "a")) if all(1 <= int(each[month]) <= 12 for each in headers)
    ] or ["dmy"]
    if len(orders) > 1:  # no day above the 12th: time goes forward; AM and PM with slashes are American
        american = any(each["half"] for each in headers)
        orders.sort(key=lambda order: (_steps_back(headers, order), (order == "mdy") != american))
    return orders[0]


def _steps_back(headers: list[re.Match[str]], order: str) -> int:
    times = [time for each in headers if (time := _time(each, order))]
    return sum(later < earlier for earlier, later in itertools.pairwise(times))


def _time(header: re.Match[str], order: str) -> str | None:
    parts = dict(zip(order, (int(header[each]) for each in "abc"), strict=True))
    hour = int(header["hour"])
    if half := header["half"] or header["noon"]:
        hour = hour % 12 + (12 if half in "Pp下" else 0)
    year = parts["y"] + (2000 if parts["y"] < 100 else 0)
    try:
        time = datetime(year, parts["m"], parts["d"], hour, int(header["minute"]), int(header["second"] or 0))
    except ValueError:
        return None
    return f"{time.isoformat()}Z"  # strftime writes years before 1000 with three digits
