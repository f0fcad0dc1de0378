"""Who and what there is in an export: its people, its channels, and their files.

One archive may hold several exports: of several workspaces, or of one at several times. Slack's ids are unique in all
workspaces, so people and channels are known by these; names are for reading alone.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from pipeline.archives.json_file import values
from pipeline.archives.members import Member, Members
from pipeline.archives.told import writable

Kind = Literal["direct", "group"]

PEOPLE = ("users.json", "org_users.json")
CHANNELS: dict[str, Kind] = {
    "channels.json": "group",
    "groups.json": "group",
    "mpims.json": "group",
    "dms.json": "direct",
}

_DAY = re.compile(r"(\d{4}-\d\d-\d\d)\.json")
_ID = re.compile(r"[CDG][A-Z0-9]{7,}")
_DIRECT_ID = re.compile(r"D[A-Z0-9]{7,}")
_STAMP = re.compile(rb'"ts"\s*:\s*"\d{9,11}\.\d+"')


class User(NamedTuple):
    """Somebody who is in users.json."""

    name: str
    is_bot: bool


class Channel(NamedTuple):
    """A conversation.

    Attributes:
        id: Slack's, or where it lies if that is not known.
        members: their ids, where it is a conversation of few.
    """

    id: str
    kind: Kind
    title: str | None
    members: tuple[str, ...] = ()


class Workspace:
    """What an archive says of people and channels."""

    def __init__(self, members: Members) -> None:
        self.users: dict[str, User] = {}
        self._channels: dict[tuple[tuple[str, ...], str], Channel] = {}
        self._names: dict[str, str] = {}
        self._roots: set[tuple[str, ...]] = set()
        for member in members.named(*PEOPLE, *CHANNELS):
            for row in _rows(member):
                if member.parts[-1] in PEOPLE:
                    self._meet(row)
                else:
                    self._find(row, member)

    def user(self, identity: str) -> str | None:
        """The name of somebody."""
        user = self.users.get(identity)
        return None if user is None else user.name

    def channel(self, identity: str) -> str | None:
        """The name of a channel."""
        return self._names.get(identity)

    def days(self, members: Members) -> Iterator[tuple[Channel, list[list[Member]]]]:
        """Each channel with its files by day; a day has several where exports overlap."""
        found: dict[str, tuple[Channel, dict[str, list[Member]]]] = {}
        for member in members:
            placed = self._placed(member)
            if placed is not None:
                channel, day = placed
                found.setdefault(channel.id, (channel, {}))[1].setdefault(day, []).append(member)
        for identity in sorted(found):
            channel, days = found[identity]
            yield channel, [days[day] for day in sorted(days)]

    def _placed(self, member: Member) -> tuple[Channel, str] | None:
        """The channel of a file, and its day; None if it holds no messages."""
        parts = member.parts
        if day := _DAY.fullmatch(parts[-1]):
            return self._of(parts[:-2], parts[-2] if len(parts) > 1 else ""), day[1]
        stem = parts[-1].removesuffix(".json")
        if stem != parts[-1] and _ID.fullmatch(stem):
            return self._of(parts[:-1], stem), ""
        return None

    def _of(self, root: tuple[str, ...], folder: str) -> Channel:
        known = self._channels.get((root, folder))
        if known is None:
            where = "/".join((*root, folder)) if len(self._roots) > 1 or root not in {(), *self._roots} else folder
            if _DIRECT_ID.fullmatch(folder):
                known = Channel(where, "direct", None)
            else:
                is_named = folder and not folder.startswith("mpdm-")
                known = Channel(where or "channel", "group", writable(folder) if is_named else None)
        return known

    def _meet(self, row: dict[str, object]) -> None:
        identity = row.get("id")
        if isinstance(identity, str) and identity not in self.users:
            is_bot = row.get("is_bot") is True or row.get("is_workflow_bot") is True or identity == "USLACKBOT"
            self.users[identity] = User(name_of(row) or identity, is_bot)

    def _find(self, row: dict[str, object], member: Member) -> None:
        identity, name = row.get("id"), row.get("name")
        if not isinstance(identity, str):
            return
        root, kind = member.parts[:-1], CHANNELS[member.parts[-1]]
        self._roots.add(root)
        is_small = member.parts[-1] in {"dms.json", "mpims.json"}
        title = writable(name) if isinstance(name, str) and not is_small else None
        listed = row.get("members")
        people = (
            tuple(each for each in listed if isinstance(each, str)) if is_small and isinstance(listed, list) else ()
        )
        channel = Channel(identity, kind, title, people)
        for folder in (identity, name):
            if isinstance(folder, str):
                self._channels.setdefault((root, folder), channel)
        if title:
            self._names.setdefault(identity, title)


def name_of(row: dict[str, object]) -> str:
    """What people call a user: the display name, else the real name, else the account's; "" if there is none."""
    profile = row.get("profile")
    rows = (profile, row) if isinstance(profile, dict) else (row,)
    for key in ("display_name", "real_name", "name", "username"):
        for each in rows:
            name = each.get(key)
            if isinstance(name, str) and name.strip():
                return writable(name.strip())
    return ""


def is_users(member: Member) -> bool:
    """Whether a file lists the people of a workspace."""
    head = member.head()
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[") and b'"id"' in head and b'"profile"' in head


def is_day(member: Member) -> bool:
    """Whether a file holds messages."""
    head = member.head()
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"[", b"{"} and _STAMP.search(head) is not None


def looks_like_a_day(member: Member) -> bool:
    """Whether a file is called as those are that hold messages."""
    name = member.parts[-1]
    return _DAY.fullmatch(name) is not None or (name.endswith(".json") and _ID.fullmatch(name[:-5]) is not None)


def _rows(member: Member) -> Iterator[dict[str, object]]:
    for path, value in values(member, {""}):
        if path == () and isinstance(value, list):
            yield from (row for row in value if isinstance(row, dict))
