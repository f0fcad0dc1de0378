"""Reads Google Chat as Google Takeout exports it, and the Hangouts.json of before 2022.

    Takeout/Google Chat/Users/User 1/user_info.json         {"user": {"name", "email"}, …}: the owner
    Takeout/Google Chat/Groups/DM abc/group_info.json       {"members": [{"name", "email", "user_type"}, …]}
    Takeout/Google Chat/Groups/Space xyz/messages.json      {"messages": [{"creator", "created_date", "text", …}]}

No sample of our own: the layout, the keys of a message and that U+202F stands before AM and PM are as two public
readers describe them (a schema page of a Takeout reader; potluck's generator, whose fixtures follow real exports); the
Chinese and the Korean form of `created_date` from the tests of two others. Dates in other languages are understood by
the names of their months, not verified. Times are UTC. `message_state`, `deletion_metadata` and the annotations of
joins and calls are Google's names for these, not verified in an export.

A direct chat or a space is a conversation; in a space, so is each topic of more than one message, and what nobody
answered in a topic makes up the space's own. `topic_id` is looked at in a first pass.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from pipeline.archives import json_file
from pipeline.archives.addresses import is_address
from pipeline.archives.gathered import Gathered
from pipeline.archives.hangouts import is_hangouts, read_hangouts
from pipeline.archives.members import Member, Members
from pipeline.archives.reader import Asked, Recognised
from pipeline.archives.told import BY_A_BOT, CALL, DELETED, MEDIA, NO_TEXT, Told
from pipeline.archives.typed_json import NOTHING, is_there, value_of
from pipeline.archives.worded_dates import worded_date
from pipeline.errors import InputError
from pipeline.sessions.session import OWNER, QUOTED, Message, Person, Session
from pipeline.sessions.stream import Stream

SYSTEM = "joins, leaves and other events"
EXPORT = "On takeout.google.com, choose Google Chat alone, and give the .zip."
NO_DATE = "with a date that cannot be read"

_SMALL = 64_000_000  # bytes of the files about people
_MARKS = (b'"creator"', b'"created_date"', b'"topic_id"')
_IDS = re.compile(rb'(?<!\\)"topic_id"\s*:\s*"([^"\\]{1,500})"(?:\s*,\s*"message_id"\s*:\s*"([^"\\]{1,1000})")?')
_LONGEST_IDS = 4096
_REMEMBERED = 10_000  # ways in which people are described
_CALLS = ("video_call_metadata", "call_metadata")

Json = dict[str, Any]


class _Raw(msgspec.Struct, gc=False):
    """What a message may have."""

    creator: msgspec.Raw = NOTHING
    created_date: Any = None
    text: Any = None
    topic_id: Any = None
    message_state: Any = None
    deletion_metadata: msgspec.Raw = NOTHING
    attached_files: msgspec.Raw = NOTHING
    annotations: msgspec.Raw = NOTHING
    quoted: msgspec.Raw = msgspec.field(default=NOTHING, name="quoted_message_metadata")


class _Who(NamedTuple):
    """Who wrote a message."""

    sender: str
    is_me: bool
    is_bot: bool


_NOTHING = _Raw()


def recognise(members: Members) -> Recognised | None:
    """See readers.Reading."""
    groups = [each for each in _candidates(members, "messages.json") if _is_chat(each)]
    if groups:
        more = f" and {len(groups) - 1:,} more like it" if len(groups) > 1 else ""
        return Recognised("Google Chat, exported by Google Takeout", f"what is in {groups[0].name}{more}")
    hangouts = [each for each in _candidates(members, "Hangouts.json") if is_hangouts(each)]
    if hangouts:
        return Recognised("Google Hangouts, exported by Google Takeout", f"what is in {hangouts[0].name}")
    return None


def _candidates(members: Members, name: str) -> list[Member]:
    return [members.only] if members.only is not None else members.named(name)


def _is_chat(member: Member) -> bool:
    head = member.head()
    if not any(head.startswith(start) for start in (b"{", b"\xef\xbb\xbf{")):
        return False
    if member.parts[-3:-2] == ("Groups",) and re.fullmatch(rb'\s*\{\s*"messages"\s*:\s*\[\s*\]\s*\}\s*', head):
        return True
    return b'"messages"' in head[:100] and sum(mark in head for mark in _MARKS) >= 2


def read(members: Members, told: Told, _asked: Asked) -> Iterator[Stream]:
    """See readers.Reading."""
    groups = [each for each in _candidates(members, "messages.json") if _is_chat(each)]
    hangouts = [each for each in _candidates(members, "Hangouts.json") if is_hangouts(each)]
    if not groups and not hangouts:
        raise InputError(str(members.path), "nothing of Google Chat", fix=EXPORT)
    mine = {
        _identity(user)
        for each in members.named("user_info.json")
        if isinstance(user := _object(each).get("user"), dict)
    }
    folders: dict[str, list[Member]] = {}
    for each in groups:
        folders.setdefault(each.parts[-2] if len(each.parts) > 1 else "", []).append(each)
    infos = {each.parts[:-1]: each for each in members.named("group_info.json")}
    for folder, parts in folders.items():
        places = dict.fromkeys(each.parts[:-1] for each in parts)
        described = [_object(infos[place]) for place in places if place in infos]
        yield from _Group(members, folder, parts, described[-1] if described else {}, mine, told).streams()
    for each in hangouts:
        yield from read_hangouts(members, each, told)


def _object(member: Member) -> Json:
    """A small file about people."""
    found: Json = {}
    if member.size <= _SMALL:
        for path, value in json_file.values(member, {"members"}):
            here = found
            for key in path[:-1]:
                here = here.setdefault(str(key), {})
            if path and isinstance(here, dict):
                if isinstance(value, list) and isinstance(here.get(str(path[-1])), list):
                    here[str(path[-1])] += value  # a long list comes in batches
                else:
                    here[str(path[-1])] = value
    return found


def _ids(member: Member) -> Iterator[tuple[bytes, bytes]]:
    """The topic and the id of each message, found without reading the JSON."""
    rest, is_end, number = b"", False, 0
    with member.open() as file:
        while not is_end:
            block = file.read(json_file.BLOCK)
            is_end = not block
            data = rest + block
            cut = len(data) if is_end else max(0, len(data) - _LONGEST_IDS)
            for match in _IDS.finditer(data):
                if match.end() > cut:
                    cut = min(cut, match.start())
                    break
                number += 1
                yield match[1], match[2] or b"%d" % number
            rest = data[cut:]


def _identity(person: Json) -> str:
    """What tells somebody from others: deleted accounts have no address."""
    return str(person.get("email") or person.get("name") or "").strip().lower()


class _Group:
    """A folder in Groups; where several exports lie side by side, that folder of all of them."""

    def __init__(
        self, members: Members, folder: str, parts: list[Member], info: Json, mine: set[str], told: Told
    ) -> None:
        self._members = members
        self._parts = parts
        self._mine = mine
        self._told = told
        self._folder = folder
        self._known: dict[bytes, _Who] = {}
        self._title = str(info.get("name") or "") or None
        people = info.get("members")
        self._people = [each for each in people if isinstance(each, dict)] if isinstance(people, list) else []

    def streams(self) -> Iterator[Stream]:
        topics = self._topics()
        with Gathered(self._members.path, self._told, once=len(self._parts) > 1) as gathered:
            for batch in self._batches():
                for row in batch:
                    message = self._message(row)
                    if message is not None:
                        topic = str(row.topic_id)
                        gathered.add(topic if hash(topic.encode("utf-8", "surrogatepass")) in topics else "", message)
            people = {_identity(each) for each in self._people} or self._speakers()
            is_group = self._folder.startswith("Space") or len(people - self._mine) > 1 + (not self._mine)
            members = self._introduced() if is_group else {}
            place = self._folder or "google-chat"
            for key in gathered:
                session = Session(
                    f"{place}/{key}" if key else place,
                    "group" if is_group else "direct",
                    self._title if is_group else None,
                    [],
                    dict(members),
                )
                yield Stream(session, gathered.blocks(key))

    def _batches(self) -> Iterator[list[_Raw]]:
        for part in self._parts:
            for path, batch in json_file.values(part, {"messages": _Raw}):
                if path == ("messages",) and isinstance(batch, list):
                    yield [row or _NOTHING for row in batch]

    def _topics(self) -> set[int]:
        """The topics of a space in which more than one message stands, by their hashes: there may be a million."""
        first: dict[int, int] = {}
        answered: set[int] = set()
        if self._folder.startswith("Space"):
            for part in self._parts:
                for topic, message in _ids(part):
                    mark = hash(topic)
                    if first.setdefault(mark, hash(message)) != hash(message):
                        answered.add(mark)
        return answered

    def _speakers(self) -> set[str]:
        """Who speaks."""
        creators = (value_of(row.creator) for batch in self._batches() for row in batch)
        return {_identity(each) for each in creators if isinstance(each, dict)}

    def _introduced(self) -> dict[str, Person]:
        """The members who have a name, whether they say anything or not."""
        people = {}
        for each in self._people:
            identity, name = _identity(each), str(each.get("name") or "").strip()
            if identity in self._mine or not name or is_address(name) or each.get("user_type") == "Bot":
                continue
            sender = self._told.senders.of(identity, name)
            people[sender] = Person(sender, self._told.senders.addresses(sender))
        return people

    def _who(self, raw: msgspec.Raw) -> _Who:
        """Somebody; nearly all messages of theirs describe them in the very same words."""
        words = bytes(raw)
        known = self._known.get(words)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            described = value_of(raw)
            person = described if isinstance(described, dict) else {}
            identity = _identity(person)
            is_me = identity in self._mine and bool(identity)
            name = str(person.get("name") or "").strip() or None
            sender = OWNER if is_me else self._told.senders.of(identity or "unknown", name)
            known = self._known[words] = _Who(sender, is_me, str(person.get("user_type") or "").lower() == "bot")
        return known

    def _message(self, row: _Raw) -> Message | None:
        told = self._told
        told.rows = (told.rows or 0) + 1
        who = self._who(row.creator)
        text = row.text if isinstance(row.text, str) else ""
        time = worded_date(str(row.created_date or ""))
        if reason := _why_not(row, who, text):
            told.drop(reason, who.sender, time, text, is_me=who.is_me)
            return None
        if time is None:
            told.noted[NO_DATE] += 1
        message = Message(who.sender, who.is_me, time, text)
        quoted = value_of(row.quoted) if row.quoted is not NOTHING else None
        if isinstance(quoted, dict) and isinstance(said := quoted.get("text"), str) and said:
            by = quoted.get("creator")
            if not isinstance(by, dict) or self._who(msgspec.Raw(json.dumps(by).encode())).sender != who.sender:
                message.reply_to = said[:QUOTED]
        return message


def _why_not(row: _Raw, who: _Who, text: str) -> str | None:
    """The reason why a message is no speech."""
    if row.message_state == "DELETED" or (not text and is_there(row.deletion_metadata)):
        return DELETED
    if who.is_bot:
        return BY_A_BOT
    if text.strip():
        return None
    if is_there(row.attached_files):
        return MEDIA
    annotations = value_of(row.annotations)
    listed = annotations if isinstance(annotations, list) else []
    kinds = {key for each in listed if isinstance(each, dict) for key in each}
    if kinds & set(_CALLS):
        return CALL
    return SYSTEM if any(kind.startswith("membership") for kind in kinds) else NO_TEXT
