"""Reads Hangouts.json, as Google Takeout exported it up to 2022.

    {"conversations": [{"conversation": {"conversation": {…}}, "events": [{…}, …]}, …]}
    {"conversation_state": [{"conversation_state": {"conversation": {…}, "event": [{…}, …]}}, …]}      before 2017

Keys and values as public parsers read them (adrish96/Hangouts-JSON-Parser, ammgws/wynbot, bitbucket.org/dotcs'
hangouts-log-reader): `participant_data` with `id.gaia_id` and `fallback_name`; `self_conversation_state` names the
owner; an event has `sender_id.gaia_id`, a `timestamp` in microseconds and, if it is speech,
`chat_message.message_content.segment`, whose parts are TEXT, LINK and LINE_BREAK. A conversation's description stands
before its events.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from pipeline.archives import json_file
from pipeline.archives.gathered import Gathered
from pipeline.archives.members import Member, Members
from pipeline.archives.told import CALL, MEDIA, NO_TEXT, Told
from pipeline.archives.typed_json import NOTHING, value_of
from pipeline.archives.unix_time import unix_time
from pipeline.sessions.session import OWNER, Message, Session
from pipeline.sessions.stream import Stream

APP = "Google Hangouts"
SYSTEM = "joins, leaves and other events"

_HEAD = re.compile(rb'\s*\{.{0,200}?"conversation(?:s|_state)"\s*:\s*\[', re.DOTALL)
_MARKS = (b'"self_conversation_state"', b'"participant_data"', b'"conversation_id"', b'"current_participant"')
_KINDS: dict[str, Literal["direct", "group"]] = {
    "STICKY_ONE_TO_ONE": "direct",
    "ONE_TO_ONE": "direct",
    "GROUP": "group",
}
_CALLS = ("HANGOUT_EVENT", "PHONE_CALL")

Json = dict[str, Any]


class _Event(msgspec.Struct, gc=False):
    """What a row may have."""

    sender: msgspec.Raw = msgspec.field(default=NOTHING, name="sender_id")
    timestamp: Any = None
    chat_message: Any = None
    event_type: Any = None


_LISTS = {"events": _Event, "event": _Event}
_NOTHING = _Event()


def is_hangouts(member: Member) -> bool:
    """Whether it begins like such a file."""
    head = member.head().removeprefix(b"\xef\xbb\xbf")
    return _HEAD.match(head) is not None and any(mark in head for mark in _MARKS)


def read_hangouts(members: Members, member: Member, told: Told) -> Iterator[Stream]:
    """Its conversations; each is held as gathered.py says."""
    about: Json = {}
    place: tuple[object, ...] = ()
    gathered = Gathered(members.path, told)
    number = 0
    try:
        for path, value in json_file.values(member, _LISTS):
            if path[:2] != place:
                yield from _streams(gathered, about, number)
                gathered.close()
                gathered, about, place, number = Gathered(members.path, told), {}, path[:2], number + 1
            if path and path[-1] in _LISTS and isinstance(value, list):
                chat = _Chat(about, told)
                for event in value:
                    if (message := chat.message(event)) is not None:
                        gathered.add("", message)
            else:
                _put(about, path[2:], value)
        yield from _streams(gathered, about, number)
    finally:
        gathered.close()


def _streams(gathered: Gathered, about: Json, number: int) -> Iterator[Stream]:
    for key in gathered:  # the only one, if anything was said
        chat = _find(about, "self_conversation_state") or {}
        kind = _KINDS.get(_at(chat, "type")) or gathered.kind(key)
        identity = _at(chat, "id", "id") or _at(about, "conversation_id", "id") or f"hangouts-{number}"
        title = (str(chat.get("name") or "") or None) if kind == "group" else None
        yield Stream(Session(f"hangouts/{identity}", kind, title, [], platform=APP), gathered.blocks(key))


def _put(about: Json, path: tuple[object, ...], value: object) -> None:
    here = about
    for key in path[:-1]:
        inner = here.setdefault(str(key), {})
        if not isinstance(inner, dict):
            return
        here = inner
    if path:
        here[str(path[-1])] = value


def _find(about: Json, key: str) -> Json | None:
    """The innermost description of the conversation: how deep it lies differs between versions."""
    if key in about or "participant_data" in about:
        return about
    for name in ("conversation", "conversation_state"):
        inner = about.get(name)
        if isinstance(inner, dict) and (found := _find(inner, key)) is not None:
            return found
    return None


def _at(value: Json, *keys: str) -> str:
    here: object = value
    for key in keys:
        here = here.get(key) if isinstance(here, dict) else None
    return str(here) if here is not None and not isinstance(here, dict) else ""


class _Chat:
    """A conversation's people."""

    def __init__(self, about: Json, told: Told) -> None:
        chat = _find(about, "self_conversation_state") or {}
        self._told = told
        self._me = _at(chat, "self_conversation_state", "self_read_state", "participant_id", "gaia_id")
        self._names = {}
        self._known: dict[bytes, tuple[str, bool]] = {}
        people = chat.get("participant_data")
        for each in people.values() if isinstance(people, dict) else ():
            if isinstance(each, dict) and (identity := _at(each, "id", "gaia_id")):
                self._names[identity] = _at(each, "fallback_name")

    def _sender(self, raw: msgspec.Raw) -> tuple[str, bool]:
        """Somebody, and whether that is the owner."""
        words = bytes(raw)
        known = self._known.get(words)
        if known is None:
            described = value_of(raw)
            person = described if isinstance(described, dict) else {}
            identity = _at(person, "gaia_id") or _at(person, "chat_id")
            is_me = bool(identity) and identity == self._me
            sender = OWNER if is_me else self._told.senders.of(identity or "unknown", self._names.get(identity))
            known = self._known[words] = sender, is_me
        return known

    def message(self, event: _Event | None) -> Message | None:
        told, row = self._told, event or _NOTHING
        told.rows = (told.rows or 0) + 1
        sender, is_me = self._sender(row.sender)
        time = _time("" if row.timestamp is None or isinstance(row.timestamp, dict) else str(row.timestamp))
        content = row.chat_message
        inner = content.get("message_content") if isinstance(content, dict) else None
        inner = inner if isinstance(inner, dict) else {}
        text = _text(inner.get("segment"))
        if text.strip():
            return Message(sender, is_me, time, text)
        kind = row.event_type
        spoken = isinstance(content, dict)
        reason = MEDIA if inner.get("attachment") else NO_TEXT if spoken else CALL if kind in _CALLS else SYSTEM
        told.drop(reason, sender, time, is_me=is_me)
        return None


def _text(segments: object) -> str:
    if isinstance(segments, list) and len(segments) == 1 and isinstance(only := segments[0], dict):  # nearly every one
        return "\n" if only.get("type") == "LINE_BREAK" else str(only.get("text") or "")
    parts = [each for each in segments if isinstance(each, dict)] if isinstance(segments, list) else []
    return "".join("\n" if each.get("type") == "LINE_BREAK" else str(each.get("text") or "") for each in parts)


def _time(stamp: str) -> str | None:
    try:
        return unix_time(int(stamp))
    except ValueError:
        return None
