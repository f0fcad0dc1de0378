"""Which files of an archive make which conversations.

Classic: a folder for each, with message_1.json to message_n.json, wherever it lies, in one zip or spread over several.
Encrypted: a file for each. Where both hold parts of one conversation, they belong together.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pipeline.archives.json_file import values
from pipeline.archives.members import Member, Members
from pipeline.archives.messenger.rows import name_of, text_of

MESSENGER, INSTAGRAM = "messenger", "instagram"

SPAM, BROADCAST, CUTOVER = "filtered_threads", "broadcast", "e2ee_cutover"
FOLDERS = frozenset({"inbox", "archived_threads", "message_requests", SPAM, BROADCAST, CUTOVER})

_PART = re.compile(r"message(?:_\d+)?(?: ?\(\d+\))?\.json", re.IGNORECASE)
_PAGE = re.compile(r"message(?:_\d+)?(?: ?\(\d+\))?\.html?", re.IGNORECASE)
_NUMBER = re.compile(r"_\d+\Z")
_NO_THREADS = frozenset({"messages", "ai_conversations", "your_facebook_activity", "your_instagram_activity"} | FOLDERS)
_GIVEN = "conversation"  # the folder that was given is one; runs have a copy of it, which has another name
_LOOKED_AT = 2_000
_raw_decode = json.JSONDecoder().raw_decode


class Part(NamedTuple):
    """A file with messages of one conversation."""

    member: Member
    is_encrypted: bool
    folder: str


class Thread:
    """A conversation.

    Attributes:
        place: a name that no other has.
        twin: whom it is with, if somebody else has the same name; "" if not.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.parts: list[Part] = []
        self.twin = ""
        self._people: frozenset[str] | None = None
        self._title: str | None = None

    @property
    def folder(self) -> str:
        """Where the export has it: "inbox" or another of FOLDERS, or "" if that is not known."""
        return self.parts[0].folder

    @property
    def people(self) -> frozenset[str]:
        """Who is in it, as its first file says."""
        if self._people is None:
            self._people = _people(self.parts[0])
        return self._people

    @property
    def title(self) -> str:
        """What it is called, as its first file says."""
        if self._title is None:
            self._title = _title(self.parts[0])
        return self._title

    def join(self, other: "Thread") -> None:
        """The other is of the same conversation."""
        self.parts += other.parts


def threads_of(members: Members, app: str) -> list[Thread]:
    """The conversations of an app in an archive, in a fixed order."""
    found: dict[str, Thread] = {}
    encrypted: dict[str, Thread] = {}
    apps = _Apps(members)
    for member, is_encrypted in _files(members):
        if apps.of(member) not in {app, None}:
            continue
        place, folder = _place(member, is_encrypted=is_encrypted)
        thread = (encrypted if is_encrypted else found).setdefault(place, Thread(place))
        thread.parts.append(Part(member, is_encrypted, folder))
    threads = _joined(list(found.values()), list(encrypted.values()))
    return sorted(threads, key=lambda thread: thread.place)


def pages_of(members: Members, app: str) -> Iterator[Member]:
    """The conversations that are web pages."""
    apps = _Apps(members)
    for member in members:
        if _PAGE.fullmatch(member.parts[-1]) and (apps.of(member) or MESSENGER) == app:
            yield member


def any_of(members: Members, app: str) -> Part | None:
    """One file with messages of an app; found by looking at few heads."""
    apps = _Apps(members)
    named = sorted((each for each in members if each.suffix == ".json"), key=lambda each: not _is_part(each))
    for member in named[:_LOOKED_AT]:
        if (apps.of(member) or MESSENGER) == app and (form := _form(member)) is not None:
            return Part(member, form, "")
    return None


def _files(members: Members) -> Iterator[tuple[Member, bool]]:
    for member in members:
        if member.suffix == ".json" or members.only is member:
            form = _form(member)
            if form is None and _is_part(member):
                form = False
            if form is not None:
                yield member, form


def _is_part(member: Member) -> bool:
    return _PART.fullmatch(member.parts[-1]) is not None


def _form(member: Member) -> bool | None:
    """Whether a file holds encrypted chats' messages (True) or the others' (False); None if neither."""
    head = member.head()
    if not head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return None
    if b'"sender_name"' in head and b'"timestamp_ms"' in head:
        return False
    if b'"participants"' in head and (b'"threadName"' in head or b'"senderName"' in head):
        return True
    return False if _is_part(member) and b'"participants"' in head and b'"messages"' in head else None


def _place(member: Member, *, is_encrypted: bool) -> tuple[str, str]:
    """The name of its conversation, and the folder among FOLDERS."""
    parts = member.parts
    folder = next((part for part in reversed(parts[:-1]) if part in FOLDERS), "")
    if not is_encrypted and _is_part(member):
        if len(parts) > 1 and parts[-2] not in _NO_THREADS:
            return parts[-2], folder
        if len(parts) == 1:
            return _GIVEN, folder
    return member.name.removesuffix(".json"), folder


class _Apps:
    """Tells of which app a file is: by the folders above it, then by its keys and those of its neighbours."""

    def __init__(self, members: Members) -> None:
        self._above = _named(members.path.absolute().parts)
        self._known: dict[tuple[str, ...], str] = {}

    def of(self, member: Member) -> str | None:
        parts = member.parts[:-1]
        app = _named(parts)
        if app is not None:
            return app
        while parts and parts[-1] not in FOLDERS:
            parts = parts[:-1]
        app = self._known.get(parts) or _app_by_keys(member)
        if app is None:
            return self._above
        if parts:
            self._known[parts] = app
        return app


def _named(parts: Iterable[str]) -> str | None:
    for part in parts:
        for app in ("facebook", "instagram"):
            if part == f"your_{app}_activity" or part.startswith(f"{app}-"):
                return MESSENGER if app == "facebook" else INSTAGRAM
    return None


def _app_by_keys(member: Member) -> str | None:
    head = member.head()
    if b'"senderName"' in head or b"_by_messenger_kid_parent" in head or b"your_facebook_activity/" in head:
        return MESSENGER
    if b"your_instagram_activity/" in head or b'"is_geoblocked_for_viewer"' in head:
        return INSTAGRAM
    return None


def _joined(classic: list[Thread], encrypted: list[Thread]) -> list[Thread]:
    """Conversations, each once: what came before encryption, and after, is one with the rest."""
    plain = [thread for thread in classic if thread.folder != CUTOVER]
    known = _ByPeople(plain)
    apart = [thread for thread in classic if thread.folder == CUTOVER and not known.join(thread)]
    for thread in apart:
        known.add(thread)
    threads = [*plain, *apart, *(thread for thread in encrypted if not known.join(thread))]
    _tell_twins(plain)
    return threads


class _ByPeople:
    """Conversations by who is in them, in which to find another part of one."""

    def __init__(self, threads: Iterable[Thread]) -> None:
        self._threads: dict[frozenset[str], list[Thread]] = {}
        self._titled: dict[frozenset[str], dict[str, list[Thread]]] = {}
        for thread in threads:
            self.add(thread)

    def add(self, thread: Thread) -> None:
        self._threads.setdefault(thread.people, []).append(thread)
        self._titled.pop(thread.people, None)

    def join(self, thread: Thread) -> bool:
        """Add its parts to the conversation that it is of; False if there is none, or several may be."""
        same = self._same(thread) if thread.people else ()
        if len(same) != 1:
            return False
        same[0].join(thread)
        return True

    def _same(self, thread: Thread) -> Sequence[Thread]:
        people = thread.people
        same = self._threads.get(people, [])
        if len(people) == 2:  # old exports do not list the owner
            return [*same, *(each for name in people for each in self._threads.get(frozenset((name,)), ()))]
        if len(people) < 2 or not same:
            return same
        if people not in self._titled:  # a title is read only where people do not tell: it may stand at a file's end
            self._titled[people] = {}
            for each in same:
                self._titled[people].setdefault(each.title, []).append(each)
        return self._titled[people].get(thread.title, ())


def _tell_twins(threads: list[Thread]) -> None:
    """Two conversations between the same two names are with two people."""
    stems: dict[str, list[Thread]] = {}
    for thread in sorted(threads, key=lambda thread: thread.place):
        if _NUMBER.search(thread.place):
            stems.setdefault(_NUMBER.sub("", thread.place), []).append(thread)
    for alike in stems.values():
        seen: set[frozenset[str]] = set()
        for thread in alike if len(alike) > 1 else ():
            if 0 < len(thread.people) <= 2 and thread.people in seen:
                thread.twin = name_of(
                    thread.title, is_encrypted=True
                )  # a conversation of two is called after the other
            seen.add(thread.people)


def _people(part: Part) -> frozenset[str]:
    found = _in_head(part.member, "participants")
    names = (
        [each.get("name") if isinstance(each, dict) else each for each in found if each]
        if isinstance(found, list)
        else []
    )
    return frozenset(name_of(name, is_encrypted=part.is_encrypted) for name in names)


def _title(part: Part) -> str:
    for path, value in values(part.member, {"messages"}):
        if path in {("title",), ("threadName",)}:
            return title_of(value, is_encrypted=part.is_encrypted)
    return ""


def title_of(value: object, *, is_encrypted: bool) -> str:
    """A conversation's title; behind that of an encrypted chat there is a number."""
    title = text_of(value, is_encrypted=is_encrypted)
    return _NUMBER.sub("", title) if is_encrypted else title


def _in_head(member: Member, key: str) -> object:
    text = member.head().decode("utf-8-sig", "replace")
    _, found, rest = text.partition(f'"{key}"')
    try:
        return _raw_decode(rest.lstrip().removeprefix(":").lstrip())[0] if found else None
    except (ValueError, RecursionError):
        return None
