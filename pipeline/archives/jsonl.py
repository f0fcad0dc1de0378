"""Reads chats of one message a line, for whatever has no reader of its own; docs/jsonl.md is its description.

    {"conversation": "ann", "id": 7, "ts": 1693182723, "sender": "Ann", "is_me": false, "text": "Hi", "reply_to": 5}

Conversations may be mixed and messages out of order: see gathered.py for what is held. To resolve `reply_to`, the
beginnings of the last 50,000 to 100,000 messages are held.
"""

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

import msgspec

from pipeline.archives.gathered import Gathered
from pipeline.archives.lines import decoded, first_line, lines
from pipeline.archives.members import Member, Members
from pipeline.archives.reader import Asked, Recognised
from pipeline.archives.told import NO_TEXT, Told
from pipeline.archives.unix_time import unix_time
from pipeline.errors import InputError
from pipeline.sessions.session import ENDLESS, OWNER, QUOTED, Message, Session
from pipeline.sessions.stream import Stream

SUFFIXES = (".jsonl", ".ndjson", ".json", ".txt")
REMEMBERED = 50_000
"""Messages, of all conversations together, that `reply_to` may point at."""

PLATFORM = "a messenger"
"""What the app is called where the lines do not say."""

_KINDS: dict[str, Literal["direct", "group"]] = {"direct": "direct", "group": "group"}
_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{1,9})?")
_UNKNOWN = re.compile(r"unknown field `(.{1,40})`")
_SHOWN = "docs/jsonl.md shows what a line holds."


class _Line(msgspec.Struct):
    conversation: str | int
    text: str | None
    sender: str | int | None = None
    sender_id: str | int | None = None
    is_me: bool | int | None = False
    ts: str | int | float | None = None
    id: str | int | None = None
    reply_to: str | int | None = None
    title: str | None = None
    kind: str | None = None
    platform: str | None = None


class _Exact(_Line, forbid_unknown_fields=True):
    """A line without any other key."""


class _Chat(msgspec.Struct):
    """What any line of a conversation says of it first."""

    kind: Literal["direct", "group"] | None = None
    title: str | None = None
    platform: str | None = None


_line = msgspec.json.Decoder(_Line)
_exact = msgspec.json.Decoder(_Exact)


def recognise(members: Members) -> Recognised | None:
    """See readers.Reading."""
    found = [each for each in members if _is_read(each, members)]
    if found:
        return Recognised("chats of one message a line", f"the keys of the first line of {found[0].name}")
    return None


def _is_read(member: Member, members: Members) -> bool:
    if member is not members.only and member.suffix not in SUFFIXES[:2]:
        return False
    try:
        decoded(first_line(member), _line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        keys = set(re.findall(rb'"(\w+)"\s*:', first_line(member)))
        return {b"conversation", b"text"} <= keys and bool({b"sender", b"is_me"} & keys)
    return True


def read(members: Members, told: Told, _asked: Asked) -> Iterator[Stream]:
    """See readers.Reading."""
    chats: dict[str, _Chat] = {}
    ids: dict[str, bool] = {}
    found = [each for each in members if _is_read(each, members)]
    if not found and members.only is not None:
        found = [members.only]  # to say what is wrong with its first line
    with Gathered(members.path, told, once=len(found) > 1) as gathered:
        for member in found:
            for conversation, message in _Reader(member, told, chats, ids).messages():
                gathered.add(conversation, message)
        if not told.rows:
            raise InputError(str(members.path), "no messages", fix=_SHOWN)
        for key in gathered:
            chat = chats[key]
            session = Session(key, chat.kind or gathered.kind(key), chat.title, [], platform=chat.platform or PLATFORM)
            yield Stream(session, gathered.blocks(key))


class _Remembered:
    """The last messages by conversation and id: who said what, at least REMEMBERED of them and at most twice that."""

    def __init__(self) -> None:
        self._new: dict[tuple[str, str], tuple[str, str]] = {}
        self._old: dict[tuple[str, str], tuple[str, str]] = {}

    def add(self, key: tuple[str, str], said: tuple[str, str]) -> None:
        if len(self._new) >= REMEMBERED:
            self._old, self._new = self._new, {}
        self._new[key] = said

    def get(self, key: tuple[str, str]) -> tuple[str, str] | None:
        return self._new.get(key) or self._old.get(key)


class _Reader:
    """The messages of a file, each with its conversation."""

    def __init__(self, member: Member, told: Told, chats: dict[str, _Chat], ids: dict[str, bool]) -> None:
        self._member = member
        self._told = told
        self._chats = chats
        self._ids = ids  # whether each identity was an id when first met
        self._said = _Remembered()

    def messages(self) -> Iterator[tuple[str, Message]]:
        told = self._told
        for number, text in lines(self._member):
            told.rows = (told.rows or 0) + 1
            if text is None:
                told.drop(ENDLESS)
                continue
            line = self._decoded(number, text)
            conversation = str(line.conversation)
            chat = self._chats.setdefault(conversation, _Chat())
            if line.kind is not None and line.kind not in _KINDS:
                raise self._wrong(number, '`kind` is neither "direct" nor "group"')
            chat.kind = chat.kind or _KINDS.get(line.kind or "")
            chat.title = chat.title or _on_one_line(line.title) or None
            chat.platform = chat.platform or _on_one_line(line.platform) or None
            message = self._message(number, line, conversation)
            if message.content.strip():
                yield conversation, message
            else:
                told.drop(NO_TEXT, message.sender, message.time, is_me=message.is_me)

    def _decoded(self, number: int, text: bytes) -> _Line:
        try:
            return decoded(text, _exact)
        except msgspec.ValidationError as error:
            if match := _UNKNOWN.search(str(error)):
                self._told.noted[f"on a line with the key `{match[1]}`, which is not read"] += 1
            else:
                raise self._wrong(number, str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._wrong(number, str(error)) from None
        try:
            return decoded(text, _line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._wrong(number, str(error)) from None

    def _message(self, number: int, line: _Line, conversation: str) -> Message:
        if line.is_me not in (True, False, None):
            raise self._wrong(number, "`is_me` is neither true nor false")
        is_me = bool(line.is_me)
        name = _on_one_line(line.sender)
        if not is_me and not name:
            raise self._wrong(number, "`sender` is missing, and `is_me` is not true")
        sender = OWNER if is_me else self._told.senders.of(self._identity(line.sender_id, name), name)
        message = Message(sender, is_me, self._time(number, line.ts), line.text or "")
        if line.reply_to is not None:
            answered = self._said.get((conversation, str(line.reply_to)))
            if answered is None:
                self._told.noted["whose `reply_to` is the id of no message before it"] += 1
            elif answered[0] != sender:
                message.reply_to = answered[1]
        if line.id is not None:
            self._said.add((conversation, str(line.id)), (sender, message.content[:QUOTED]))
        return message

    def _identity(self, sender_id: str | int | None, name: str) -> str:
        """What tells people apart: an id, or without one the name. An id that is also a name is somebody else."""
        by_id = _on_one_line(sender_id)
        identity = by_id or name
        if self._ids.setdefault(identity, bool(by_id)) != bool(by_id):
            return f"id {identity}" if by_id else f"{identity}, without an id"
        return identity

    def _time(self, number: int, ts: str | float | None) -> str | None:
        """ISO 8601, or seconds, milliseconds or microseconds since 1970; a time of no zone stays as it is."""
        if ts is None or ts == "":
            return None
        found: str | None = None
        if not isinstance(ts, str):
            found = unix_time(ts)
        elif _NUMBER.fullmatch(written := ts.strip()):
            found = unix_time(float(written))
        else:
            with contextlib.suppress(ValueError, OverflowError):
                time = datetime.fromisoformat(written)
                time = time if time.tzinfo is None else time.astimezone(UTC)
                found = f"{time.replace(tzinfo=None, microsecond=0).isoformat()}Z"
        if found is None:
            raise self._wrong(number, "`ts` is neither a time in ISO 8601 nor one in seconds since 1970")
        return found

    def _wrong(self, number: int, what: str) -> InputError:
        return InputError(f"{self._member}:{number}", f"no message ({what})", fix=_SHOWN)


def _on_one_line(text: str | int | None) -> str:
    """Names stand in prompts, in which a line break would begin a line of somebody else."""
    return "" if text is None else " ".join(str(text).split())
