r"""Reads what signal-export makes of Signal Desktop: a folder for each chat, with data.json and chat.md in it.

Signal itself exports nothing; its databases are encrypted. signal-export (the command `sigexport`) writes, as read in
its code (carderne/signal-export, versions 1 to 3.9.3: create.py, models.py, main.py, merge.py):

    data.json   {"date": "2023-08-28T00:32:03.123000", "sender": "Me", "body": "Hi  ", "quote": "\n\n> Ho\n\n", …}
    chat.md     [2023-08-28 00:32:03] Me: Hi            (index.md and no seconds in version 1)

Times are local, of an unnamed zone, and kept as they stand. "Me" is the owner. Names are letters and digits alone, and
two people of one name are one to it, except that their chats lie in folders of their own. The body lost its backticks
and gained two spaces, U+FFFC stands for a mention; calls are said in the body, marked as such since 3.9. Neither file
says what is a group: a chat in which two others speak is one. Not verified: what Signal's own backup for Android begins
with, from its published protocol buffers, and that mentions reach the files as U+FFFC.
"""

import itertools
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from pipeline.archives.gathered import Gathered
from pipeline.archives.lines import decoded, first_line, lines
from pipeline.archives.members import Member, Members
from pipeline.archives.reader import Asked, Recognised
from pipeline.archives.told import CALL, DELETED, MEDIA, NO_TEXT, Told
from pipeline.errors import InputError
from pipeline.sessions.session import ENDLESS, LONGEST, OWNER, QUOTED, Message, Session
from pipeline.sessions.stream import Stream

STICKER = "sticker"
NOTE = "note to self"
EXPORT = (
    "On a computer with Signal Desktop, run `pip install signal-export` and `sigexport signal-chats`, and give the "
    "folder signal-chats."
)

_JSON, _PAGES = "data.json", ("chat.md", "index.md")
_REMEMBERED = 50_000  # messages that a quotation is looked up in
_LONGEST_LINK = 2_000  # characters: the name of a file and its path
_DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?")
_NO_DATE = ("1969-12-31", "1970-01-01")  # what it writes where a message has none, in any zone
_CALL = re.compile(r"(?:(?:Incoming|Outgoing|Missed) (?:\w+ )?call)(?: \([^()\n]*\))?")
_HEADER = re.compile(r"\[(\d{4}-\d\d-\d\d),? (\d\d:\d\d(?::\d\d)?)\] ([^\n:]{1,100}): ?(.*)", re.DOTALL)
_ATTACHED = ("](./media/", "](media/", "](../exported_stickers/")
_NOT_EXPORTED = re.compile(r"\((?:media|attachment) not exported\)  $")
_ENDS = ("  ", " -)", " ))", "(This message was deleted)")
_SQLITE = b"SQLite format 3\0"


class _Line(msgspec.Struct):
    """A line of data.json."""

    date: str
    sender: str | None
    body: str | None
    quote: str | None = None
    sticker: str | dict[str, Any] | None = None
    attachments: list[Any] | None = None
    deleted: bool = False
    call: bool | None = None


class _Said(NamedTuple):
    """A message, whichever file it stood in.

    Attributes:
        call: whether it says that there was a call; None where the file does not tell.
    """

    sender: str
    time: str | None
    body: str
    quote: str = ""
    sticker: bool = False
    attached: bool = False
    deleted: bool = False
    call: bool | None = None


_decoder = msgspec.json.Decoder(_Line)


def recognise(members: Members) -> Recognised | None:
    """See readers.Reading.

    Raises:
        InputError: it is a database or a backup of Signal's own.
    """
    chats = _chats(members)
    if chats and any(each.size for each in chats):
        more = f" and {len(chats) - 1:,} more like it" if len(chats) > 1 else ""
        return Recognised("chats exported by signal-export", f"what is in {chats[0].name}{more}")
    _require_no_database(members)
    return None


def _chats(members: Members) -> list[Member]:
    """The file of each chat: data.json, or the page where there is none."""
    if members.only is not None:
        each = members.only
        return [each] if _is_json(each) or (each.suffix == ".md" and _is_page(each)) else []
    found: dict[tuple[str, ...], Member] = {}
    for name, is_one in ((_JSON, _is_json), *((page, _is_page) for page in _PAGES)):
        for each in members.named(name):
            if each.parts[:-1] not in found and (each.size == 0 or is_one(each)):
                found[each.parts[:-1]] = each
    return [found[folder] for folder in sorted(found)]


def _is_json(member: Member) -> bool:
    line = first_line(member)
    try:
        decoded(line, _decoder)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return line.startswith(b'{"date": "') and b'"sender": "' in line and b'"body": "' in line
    return b'"text"' not in line


def _is_page(member: Member) -> bool:
    return _HEADER.match(member.head(1000).decode("utf-8-sig", "replace")) is not None


def _require_no_database(members: Members) -> None:
    """Check that it is nothing that Signal itself keeps.

    Raises:
        InputError: it is.
    """
    only = members.only
    desktop = [each for each in members if each.parts[-2:] == ("sql", "db.sqlite")] or ([only] if only else [])
    for each in desktop:
        is_named = each.parts[-1] == "db.sqlite" or members.name == "db.sqlite"
        if is_named and each.size and each.head(len(_SQLITE)) != _SQLITE:
            raise InputError(str(each), "Signal Desktop's own database, which is encrypted", fix=EXPORT)
    backup = only if only and only.suffix == ".backup" else None
    if backup is not None and re.match(rb"\x00\x00..\x0a.\x0a\x10", backup.head(8), re.DOTALL):
        raise InputError(
            str(backup),
            "Signal's own backup of an Android phone, which is encrypted",
            fix=f"Link Signal Desktop to the phone, and let it take the chats over. {EXPORT}",
        )


def read(members: Members, told: Told, _asked: Asked) -> Iterator[Stream]:
    """See readers.Reading. Each folder is a conversation."""
    found = _chats(members)
    if not found:
        raise InputError(str(members.path), "no chat exported by signal-export", fix=EXPORT)
    for number, member in enumerate(found, start=1):
        folder = "/".join(member.parts[:-1])
        with Gathered(members.path, told) as gathered:
            for message in _messages(member, told):
                gathered.add("", message)
            for key in gathered:  # the only one, if anything was said
                others = gathered.others(key)
                kind = gathered.kind(key)
                title = (" ".join(member.parts[-2].split()) if folder else None) if kind == "group" else None
                session = Session(folder or f"signal-{number}", kind, title, [])
                blocks = gathered.blocks(key)
                if not others and "notetoself" in folder.lower().replace(" ", ""):
                    _drop_all(blocks, told)
                else:
                    yield Stream(session, blocks)


def _drop_all(blocks: Iterator[list[Message]], told: Told) -> None:
    for block in blocks:
        for message in block:
            told.drop(NOTE, message.sender, message.time, message.content, is_me=True)


def _messages(member: Member, told: Told) -> Iterator[Message]:
    said_by: dict[str, str] = {}
    folder = member.parts[-2] if len(member.parts) > 1 else ""
    for said in _from_lines(member, told) if _is_json(member) else _from_page(member, told):
        told.rows = (told.rows or 0) + 1
        is_me = said.sender == "Me"
        sender = OWNER if is_me else told.senders.of(_identity(said.sender, folder), said.sender)
        body = _clean(said.body)
        if reason := _why_not(said, body):
            told.drop(reason, sender, said.time, body, is_me=is_me)
            continue
        message = Message(sender, is_me, said.time, body)
        # It says what was quoted but not whom: if that cannot be found, it was probably somebody else.
        quoted = _clean(said.quote)[:QUOTED]
        if quoted and said_by.get(quoted) != sender:
            message.reply_to = quoted
        if len(said_by) >= _REMEMBERED:
            said_by.clear()
        said_by[body[:QUOTED]] = sender
        yield message


def _clean(text: str) -> str:
    """Without what signal-export put behind it, the backticks that a quotation still has, and marks of mentions."""
    return text.replace("`", "").replace("\ufffc ", "").replace("\ufffc", "").rstrip()


def _identity(sender: str, folder: str) -> str:
    """What tells two people of one name apart: the second Ann's chat lies in the folder Ann2."""
    return folder if folder.startswith(sender) and folder[len(sender) :].isdecimal() else sender


def _why_not(said: _Said, body: str) -> str | None:
    if said.deleted:
        return DELETED
    if said.call or (said.call is None and _CALL.fullmatch(body)):
        return CALL
    if body:
        return None
    return STICKER if said.sticker else MEDIA if said.attached else NO_TEXT


def _from_lines(member: Member, told: Told) -> Iterator[_Said]:
    for number, line in lines(member):
        if line is None:
            told.rows = (told.rows or 0) + 1
            told.drop(ENDLESS)
            continue
        try:
            each = decoded(line, _decoder)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(
                f"{member}:{number}", f"no message as signal-export writes it ({error})", fix=f"Export again. {EXPORT}"
            ) from None
        quote = (each.quote or "").strip().removeprefix("> ").replace("\n> ", "\n")
        yield _Said(
            " ".join((each.sender or "").split()) or "No-Sender",
            _time(each.date),
            each.body or "",
            quote,
            bool(each.sticker),
            bool(each.attachments),
            each.deleted,
            each.call,
        )


def _time(date: str) -> str | None:
    if _DATE.match(date) is None or date.startswith(_NO_DATE):
        return None
    time = date[:19].replace(" ", "T")
    time = time if len(time) == 19 else f"{time[:16]}:00"
    try:
        return f"{datetime.fromisoformat(time).isoformat()}Z"
    except ValueError:
        return None


def _from_page(member: Member, told: Told) -> Iterator[_Said]:
    for text in _blocks(member, told):
        match = _HEADER.match(text)
        if match is None:  # what stands before the first header
            continue
        date, clock, sender, rest = match.groups()
        yield _said_on_page(" ".join(sender.split()) or "No-Sender", _time(f"{date}T{clock}"), rest)


def _blocks(member: Member, told: Told) -> Iterator[str]:
    """The text of each message, header and all.

    Since it writes seconds it also writes an empty line after each message, behind the two spaces that end it: then a
    header anywhere else is part of what somebody said. (An editor may have taken the spaces away; the first message
    tells.)
    """
    with member.open() as file:
        pieces: list[str] = []
        size, is_after_blank, has_seconds = 0, True, False
        last, has_ends = "", None
        while data := file.readline(LONGEST):
            line = data.decode("utf-8", "replace")
            if not pieces:
                line = line.removeprefix("\ufeff")
            match = _HEADER.match(line)
            if match and pieces and has_seconds and is_after_blank and has_ends is None:
                has_ends = last.endswith(_ENDS)
            if match and (not pieces or not has_seconds or (is_after_blank and (not has_ends or last.endswith(_ENDS)))):
                if pieces:
                    yield from _whole(pieces, size, told)
                pieces, size, has_seconds = [], 0, len(match[2]) > 5
            size += len(line)
            if size <= LONGEST:
                pieces.append(line)
            is_after_blank = not line.strip()
            last = last if is_after_blank else line.rstrip("\r\n")
        if pieces:
            yield from _whole(pieces, size, told)


def _whole(pieces: list[str], size: int, told: Told) -> Iterator[str]:
    if size <= LONGEST:
        yield "".join(pieces)
    else:
        told.rows = (told.rows or 0) + 1
        told.drop(ENDLESS)


def _said_on_page(sender: str, time: str | None, rest: str) -> _Said:
    """A message taken apart: quotation, body, and what is put behind the two spaces that end the body."""
    rest = rest.replace("\r\n", "\n").rstrip("\n")
    if rest == "(This message was deleted)":
        return _Said(sender, time, "", deleted=True)
    quote: list[str] = []
    if rest.startswith("\n\n> "):
        before = rest.lstrip("\n").split("\n")
        quote = [line[2:] for line in itertools.takewhile(_is_quoted, before)]
        rest = "\n".join(before[len(quote) :]).removeprefix("\n")
    is_sticker = is_attached = False
    end = len(rest)
    while (cut := _added_at(rest, end)) is not None:
        added = rest[cut:end]
        is_sticker = is_sticker or added.startswith("\n((") or "exported_stickers/" in added
        is_attached = is_attached or not added.startswith("\n(")
        end = cut
    return _Said(sender, time, rest[:end], "\n".join(quote), is_sticker, is_attached)


def _is_quoted(line: str) -> bool:
    return line.startswith("> ")


def _added_at(text: str, end: int) -> int | None:
    """Where the last thing before `end` begins that signal-export put behind a body; None if nothing was."""
    last = text.rfind("\n", 0, end) + 1
    for before, behind in (("(- ", " -)"), ("(( ", " ))")):
        if text.endswith(behind, last, end) and text.startswith(before, last, end):
            return max(0, last - 1)
    if match := _NOT_EXPORTED.search(text, max(0, end - 40), end):
        return match.start()
    if text.endswith(")  ", 0, end):
        last = max(last, end - _LONGEST_LINK)
        at = max(text.rfind(mark, last, end) for mark in _ATTACHED)
        if at >= 0 and (begin := text.rfind("[", last, at)) >= 0:
            return begin - (text[begin - 1 : begin] == "!")
    return None
