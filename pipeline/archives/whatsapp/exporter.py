"""What WhatsApp-Chat-Exporter makes of WhatsApp's databases: JSON that knows who the owner is, and UTC.

By its data_model.py and handlers (KnugiHK/WhatsApp-Chat-Exporter, 0.13): one object of chats by their id, each with
`name`, `type` and `messages`, an object of messages by their number. Line breaks are "<br>". `meta` marks what nobody
said; of files `data` is the path, and `caption` what was written to them.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from pipeline.archives.json_file import values
from pipeline.archives.members import Member
from pipeline.archives.pseudonyms import Senders
from pipeline.archives.told import CALL, DELETED, MEDIA, NO_TEXT, Told
from pipeline.archives.unix_time import at_second
from pipeline.archives.whatsapp.own_words import SYSTEM
from pipeline.sessions.session import OWNER, QUOTED, Message, Session
from pipeline.sessions.stream import Stream

STATUS = "status update"

_HEAD = 4096
_LOOKS = re.compile(rb'^[\xef\xbb\xbf\s]*\{\s*"[^"\\]{1,100}"\s*:\s*\{[^{}\[\]]{0,3000}"messages"\s*:\s*\{')
_OWN = re.compile(rb'"(?:my_avatar|their_avatar|media_base)"\s*:')
_BREAK = re.compile(r"<br ?/?>")
_GROUP, _STATUS = "@g.us", "status@broadcast"
_REMEMBERED = 50_000  # messages that may be answered
_MILLISECONDS = 9_999_999_999  # larger times are in these


class _Raw(msgspec.Struct, gc=False):
    """What a message has that matters."""

    from_me: Any = None
    timestamp: Any = None
    key_id: Any = None
    sender: Any = None
    data: Any = None
    caption: Any = None
    media: Any = None
    sticker: Any = None
    mime: Any = None
    meta: Any = None
    reply: Any = None
    quoted_data: Any = None


class _Chat(NamedTuple):
    """A chat.

    Attributes:
        identity: such as "4917012345@s.whatsapp.net".
    """

    identity: str
    name: str | None

    @property
    def is_group(self) -> bool:
        return self.identity.endswith(_GROUP)


def is_exported(member: Member) -> bool:
    """Whether a file begins like what WhatsApp-Chat-Exporter writes."""
    if member.suffix != ".json":
        return False
    head = member.head(_HEAD)
    return _LOOKS.match(head) is not None and _OWN.search(head) is not None


def read_exported(member: Member, told: Told) -> Iterator[Stream]:
    """The conversations of such a file.

    Raises:
        InputError: it is damaged.
    """
    name: str | None = None
    people = _People(told.senders)
    found = values(member, {"messages": _Raw})
    value = next(found, None)
    while value is not None:
        identity = str(value.path[0]) if value.path else ""
        if len(value.path) > 1 and value.path[1] == "name":
            name = value.value if isinstance(value.value, str) else None
        if len(value.path) == 2 and value.path[1] == "messages" and isinstance(value.value, list):
            chat = _Chat(identity, name)
            reading = _Reading(chat, told, people)
            path = value.path

            def batches(first: list[_Raw | None], path: tuple[str | int, ...] = path) -> Iterator[list[_Raw | None]]:
                nonlocal value
                yield first
                while (value := next(found, None)) is not None and value.path == path and isinstance(value.value, list):
                    yield value.value

            session = Session(
                f"whatsapp-{identity}", "group" if chat.is_group else "direct", name if chat.is_group else None, []
            )
            stream = Stream(session, reading.blocks(batches(value.value)))
            yield stream
            for _ in stream.blocks:  # what the caller left
                pass
            name = None
            continue
        value = next(found, None)


class _People:
    """The people of a file: in groups they are known by the names that the owner's contacts have."""

    def __init__(self, senders: Senders) -> None:
        self._senders = senders
        self._addresses: dict[str, str] = {}
        self._named: set[str] = set()

    def known(self, address: str, name: str | None) -> str:
        """Somebody whom the owner writes to directly; the first of a name is who has it in groups."""
        if name and self._addresses.setdefault(name, address) == address and name in self._named:
            return name
        return self._senders.of(address, name)

    def named(self, name: str) -> str:
        """Somebody in a group."""
        if name not in self._addresses:
            self._named.add(name)
        return name


class _Reading:
    """Reads the messages of a chat."""

    def __init__(self, chat: _Chat, told: Told, people: "_People") -> None:
        self._chat = chat
        self._people = people
        self._told = told
        self._by_key: dict[str, str] = {}

    def blocks(self, batches: Iterator[list[_Raw | None]]) -> Iterator[list[Message]]:
        """The messages, in the order of the file."""
        for batch in batches:
            self._told.rows = (self._told.rows or 0) + len(batch)
            block = [message for row in batch if (message := self._message(row)) is not None]
            if block:
                yield block

    def _message(self, row: _Raw | None) -> Message | None:
        if row is None:
            self._told.drop(NO_TEXT)
            return None
        sender, is_me = self._sender(row)
        time = _time(row.timestamp)
        text, reason = _said(row) if self._chat.identity != _STATUS else ("", STATUS)
        if not text:
            self._told.drop(reason, sender, time, _text(row.data), is_me=is_me)
            return None
        message = Message(sender, is_me, time, text)
        if (answered := row.quoted_data) and isinstance(answered, str):
            by = self._by_key.get(str(row.reply))
            if by is not None and by != sender:
                message.reply_to = _text(answered)[:QUOTED]
        self._remember(str(row.key_id), sender)
        return message

    def _remember(self, key: str, sender: str) -> None:
        self._by_key[key] = sender
        if len(self._by_key) >= 2 * _REMEMBERED:
            for old in list(itertools.islice(self._by_key, _REMEMBERED)):
                del self._by_key[old]

    def _sender(self, row: _Raw) -> tuple[str, bool]:
        if row.from_me:
            return OWNER, True
        name = row.sender
        if not self._chat.is_group or not isinstance(name, str) or not name:
            return self._people.known(_address(self._chat.identity), self._chat.name), False
        return self._people.named(_address(name)), False


def _address(identity: str) -> str:
    """A phone number as people write it, of the number that WhatsApp knows people by."""
    number = identity.removesuffix("@s.whatsapp.net")
    return f"+{number}" if number.isdecimal() else number


def _said(row: _Raw) -> tuple[str, str]:
    """What somebody said, and if that is nothing, why."""
    data, caption = _text(row.data), _text(row.caption)
    is_file = bool(row.media) or bool(row.sticker) or row.mime is not None
    if is_file:
        is_transcript = caption.startswith('"') and str(row.mime).startswith("audio")
        return ("" if is_transcript else caption), MEDIA
    if row.meta:
        return "", DELETED if data == "Message deleted" else CALL if " call " in data and "was" in data else SYSTEM
    return data, NO_TEXT


def _text(value: object) -> str:
    return _BREAK.sub("\n", value).strip() if isinstance(value, str) else ""


def _time(value: object) -> str | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        seconds = value / 1000 if value > _MILLISECONDS else value
        return at_second(int(seconds))
    except (ValueError, OverflowError, OSError):
        return None
