"""Which exported files are of one chat, what it is called, and its messages, each once."""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.archives.members import Member
from pipeline.archives.told import TWICE, Told
from pipeline.archives.whatsapp.messages import messages, places
from pipeline.archives.whatsapp.names import shown
from pipeline.archives.whatsapp.survey import SKETCH, Layout
from pipeline.archives.whatsapp.words import TITLES
from pipeline.sessions.session import Message

_BLOCK = 1000
_TITLES = tuple(
    re.compile(re.escape(each).replace("%s", "(.+)"), re.IGNORECASE) for each in sorted(TITLES, key=len, reverse=True)
)
_COPY = re.compile(r"(?:\s?\(\d+\)|[ _-]\d+|(?: -)? (?:copy|kopie|copie|copia|kopia)(?: \d+)?)$", re.IGNORECASE)
_UNNAMED = re.compile(r"_?chat", re.IGNORECASE)
_MINUTE = len("2023-08-15T21:12")
_MOST_ALIKE = 50  # more files with one message or one name are compared with the last of them alone
_SEVERAL = 3  # messages that two chats do not share by chance


class File(NamedTuple):
    """An exported file.

    Attributes:
        title: as its name has it, or its folder's or zip's.
        base: without the number or the word that tells a copy, in small letters.
    """

    member: Member
    layout: Layout
    title: str | None
    base: str | None


def file_of(member: Member, layout: Layout) -> File:
    """A file with the name of its chat."""
    title = title_of(member)
    base = None if title is None else shown(_COPY.sub("", title) or title).casefold()
    return File(member, layout, title, base)


def title_of(member: Member) -> str | None:
    """The name in "WhatsApp Chat with Hare.txt", in any language; an iPhone gives it to the zip of _chat.txt."""
    *folders, own = (part.removesuffix(".zip").removesuffix(".txt") for part in member.parts)
    names = [own, *reversed(folders), member.file_name.removesuffix(".zip").removesuffix(".txt")]
    if not _UNNAMED.fullmatch(_COPY.sub("", own)):
        names = [own]
    for name in names:
        text = name if " " in name else name.replace("_", " ")
        for pattern in _TITLES:
            if found := pattern.fullmatch(text):
                return found[1].strip() or None
        _, app, rest = text.rpartition("WhatsApp")
        _, dash, title = rest.partition(" - ")
        if app and dash and title:
            return title.strip()
    return None


def conversations(files: Sequence[File]) -> list[list[File]]:
    """The files by chat, in their order."""
    of: list[int] = list(range(len(files)))

    def root(number: int) -> int:
        while of[number] != number:
            number = of[number]
        return number

    for number, others in enumerate(_related(files)):
        for other in others:
            if root(number) != root(other) and _are_one(files[other], files[number]):
                of[max(root(number), root(other))] = min(root(number), root(other))
    found: dict[int, list[File]] = defaultdict(list)
    for number, file in enumerate(files):
        found[root(number)].append(file)
    return list(found.values())


def _related(files: Sequence[File]) -> Iterator[list[int]]:
    """Of each file those before it that have a message or a name in common with it: the last _MOST_ALIKE of each."""
    by_message: dict[int, list[int]] = defaultdict(list)
    by_base: dict[str, list[int]] = defaultdict(list)
    for number, file in enumerate(files):
        related = {other for digest in file.layout.sketch for other in by_message[digest][-_MOST_ALIKE:]}
        if file.base is not None:
            related.update(by_base[file.base][-_MOST_ALIKE:])
            by_base[file.base].append(number)
        yield sorted(related)
        for digest in file.layout.sketch:
            by_message[digest].append(number)


def _are_one(one: File, other: File) -> bool:
    """Whether two files are exports of one chat."""
    shared, senders, least = _shared(one.layout.sketch, other.layout.sketch)
    is_much = shared * 2 >= least > 0
    is_several = shared >= _SEVERAL and senders > 1
    if one.base is None or other.base is None:
        return is_much or (is_several and shared * 20 >= least)
    speakers, others = (each.layout.roster.speakers for each in (one, other))
    if one.base != other.base:
        return is_much and is_several
    if one.title == other.title:
        return not speakers or not others or bool(speakers.keys() & others.keys())
    is_direct = not one.layout.is_group and not other.layout.is_group
    names = {name.casefold() for name in speakers.keys() & others.keys()}
    return is_much or is_several or (is_direct and one.base in names)


def _shared(one: dict[int, str], other: dict[int, str]) -> tuple[int, int, int]:
    """How many messages two sketches share, by how many people, and how many the smaller could."""
    highest = min(max(each) if len(each) >= SKETCH else 1 << 32 for each in (one, other))
    common = [digest for digest in one.keys() & other.keys() if digest <= highest]
    least = min(sum(digest <= highest for digest in each) for each in (one, other))
    return len(common), len({one[digest] for digest in common}), least


def name_of(files: Sequence[File]) -> str | None:
    """What a group is called."""
    titles = sorted((file.title for file in files if file.title is not None), key=len)
    said = (name for file in files for name in (file.layout.founded, file.layout.roster.chat) if name)
    return titles[0] if titles else next(said, None)


def blocks(files: Sequence[File], told: Told) -> Iterator[list[Message]]:
    """The messages of a chat, each once, in order of time."""
    found = messages(files[0].member, files[0].layout, told) if len(files) == 1 else iter(_once(files, told))
    while block := list(itertools.islice(found, _BLOCK)):
        yield block


class _Export(NamedTuple):
    """The messages of a file, and time and sender of those that were edited."""

    messages: list[Message]
    edited: set[tuple[str | None, str]]

    @property
    def reaches(self) -> tuple[str, int]:
        """Until when, and how many there are: of two exports the later one is the truer."""
        return max((message.time or "" for message in self.messages), default=""), len(self.messages)


def _once(files: Sequence[File], told: Told) -> list[Message]:
    """The messages of several exports: of equal ones in one file all, and as many as the file has that has the most."""
    exports = []
    for file in files:
        edited: set[tuple[str | None, str]] = set()
        exports.append(_Export(list(messages(file.member, file.layout, told, edited)), edited))
    exports.sort(key=lambda export: export.reaches, reverse=True)
    precision = None if all(file.layout.form.shape.has_seconds for file in files) else _MINUTE
    kept: list[tuple[str, int, Message]] = []
    known: Counter[tuple[str, str, str]] = Counter()
    changed: set[tuple[str, str]] = set()
    for export in exports:
        here: Counter[tuple[str, str, str]] = Counter()
        for place, message in places(export.messages):
            when = (message.time or "")[:precision], message.sender
            key = (*when, message.content)
            here[key] += 1
            is_known = here[key] <= known[key]
            is_older = when in changed and (message.time, message.sender) not in export.edited
            if is_known or is_older:
                told.drop(TWICE, message.sender, message.time, message.content)
            else:
                kept.append((place, len(kept), message))
        known |= here
        changed.update(((time or "")[:precision], sender) for time, sender in export.edited)
    kept.sort(key=lambda each: each[:2])
    return [message for _, _, message in kept]
