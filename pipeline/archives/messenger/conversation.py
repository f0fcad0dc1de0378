"""One conversation, from all its files, in order of time.

The files of a long one are read one after the other, oldest first, where their times do not overlap; what overlaps is
read together, and what is in two files counts once.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from pipeline.archives.addresses import is_address
from pipeline.archives.in_order import InOrder, Row
from pipeline.archives.json_file import values
from pipeline.archives.messenger.edits import with_last_versions
from pipeline.archives.messenger.rows import Raw, Rows, name_of, stamp_of, text_of
from pipeline.archives.messenger.threads import BROADCAST, CUTOVER, SPAM, Part, Thread, title_of
from pipeline.archives.told import TWICE, Told
from pipeline.archives.typed_json import NOTHING, decoded, struct_of
from pipeline.sessions.session import OWNER, Message, Person, Session
from pipeline.sessions.stream import Stream

LEFT_OUT = {SPAM: "in the folder of filtered messages (spam)", BROADCAST: "in a broadcast channel"}
NOTED = {
    "archived_threads": "in archived chats",
    "message_requests": "in message requests",
    CUTOVER: "in chats from before their encryption (e2ee_cutover)",
}
_STAMPS = {
    False: re.compile(rb'"timestamp_ms"\s*:\s*"?(\d{1,17})[^\d]'),
    True: re.compile(rb'"timestamp"\s*:\s*"?(\d{1,17})[^\d]'),
}
_READ, _KEPT = 1 << 20, 64
_SECOND_MS = 1000


class App(NamedTuple):
    """What differs between Messenger and Instagram.

    Attributes:
        own_words: why the app's own sentences are left out.
        has_edits: edited messages are there in all their versions.
    """

    source: str
    own_words: str
    has_edits: bool


class _Document(msgspec.Struct, gc=False):
    """A file."""

    participants: Any = None
    messages: list[Raw] | None = None
    title: Any = None
    thread_name: Any = msgspec.field(default=None, name="threadName")
    thread_path: Any = None
    thread_type: Any = None
    joinable_mode: msgspec.Raw = NOTHING


_decoder = msgspec.json.Decoder(_Document)


class _About:
    """What the files say of the conversation."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.title = ""
        self.thread = ""
        self.is_group = False

    def note(self, document: _Document, *, is_encrypted: bool) -> None:
        for each in document.participants if isinstance(document.participants, list) else ():
            self.names.append(name_of(each.get("name") if isinstance(each, dict) else each, is_encrypted=is_encrypted))
        self.title = self.title or title_of(document.title or document.thread_name, is_encrypted=is_encrypted)
        written = document.thread_name if is_encrypted else document.thread_path
        self.thread = self.thread or text_of(written, is_encrypted=is_encrypted).rpartition("/")[2]
        if document.joinable_mode is not NOTHING or document.thread_type == "RegularGroup":
            self.is_group = True


class Conversation:
    """Reads a thread."""

    def __init__(self, thread: Thread, told: Told, app: App) -> None:
        self._thread = thread
        self._told = told
        self._app = app
        self._about = _About()
        self._rows = Rows(told, thread.place, app.own_words, thread.twin)

    def stream(self) -> Stream | None:
        """All of it; None if it is left out."""
        groups = _apart(self._thread.parts)
        if reason := LEFT_OUT.get(self._thread.folder):
            for part in self._thread.parts:
                self._leave_out(part, reason)
            return None
        first = self._portions(groups[0])
        begun = next(first, [])  # by now the file has been read, and with it who is in the conversation
        session = self._session(begun)
        portions = self._once(self._all(begun, first, groups[1:]))
        if self._app.has_edits:
            portions = with_last_versions(portions, self._told)
        return Stream(session, self._blocks(portions))

    def _all(self, begun: list[Row], first: Iterator[list[Row]], rest: list[list[Part]]) -> Iterator[list[Row]]:
        yield begun
        yield from first
        for group in rest:
            yield from self._portions(group)

    def _blocks(self, portions: Iterable[list[Row]]) -> Iterator[list[Message]]:
        folders = [NOTED.get(part.folder) for part in self._thread.parts]
        for portion in portions:
            if any(folders):
                for row in portion:
                    if noted := folders[row[2]]:
                        self._told.noted[noted] += 1
            yield [row[3] for row in portion]

    def _session(self, begun: list[Row]) -> Session:
        about, named = self._about, {}
        senders = {row[3].sender for row in begun}
        for name in about.names:
            sender = self._rows.sender(name)
            senders.add(sender)
            if sender != OWNER and not is_address(name):
                named[sender] = Person(name or sender, self._told.senders.addresses(sender))
        is_group = about.is_group or len(senders) > 2
        identity = f"{self._app.source}-{about.thread or self._thread.place}"
        return Session(
            identity, "group" if is_group else "direct", (about.title or None) if is_group else None, [], named
        )

    def _portions(self, parts: list[Part]) -> Iterator[list[Row]]:
        order = InOrder()
        for part in parts:
            number = self._thread.parts.index(part)
            is_encrypted = part.is_encrypted
            position, step = 0, 0
            for batch in self._batches(part):
                rows: list[Row] = []
                step = step or _direction(batch, is_encrypted=is_encrypted)
                for raw in batch:
                    position += step
                    if found := self._rows.message(raw, is_encrypted=is_encrypted):
                        rows.append((found[0], position, number, found[1]))
                order.add(rows)
        yield from order.portions()

    def _batches(self, part: Part) -> Iterator[Sequence[Raw | None]]:
        """The rows of a file; a batch comes when the reactions in the next are known, for it may tell of these."""
        held: Sequence[Raw | None] = ()
        for batch in self._read(part):
            self._told.rows = (self._told.rows or 0) + len(batch)
            self._rows.meet_reactions(batch, is_encrypted=part.is_encrypted)
            if held:
                yield held
            held = batch
        if held:
            yield held

    def _read(self, part: Part) -> Iterator[Sequence[Raw | None]]:
        document = decoded(part.member, _decoder)
        if document is not None:
            self._about.note(document, is_encrypted=part.is_encrypted)
            self._rows.meet(self._about.names)
            yield document.messages or ()
            return
        rest: dict[str, object] = {}
        for path, value in values(part.member, {"messages": Raw}):
            if path == ("messages",) and isinstance(value, list):
                yield value
            elif path[:1] == ("participants",):
                people = rest.setdefault("participants", [])
                if isinstance(people, list) and (path[-1] == "name" or len(path) == 2):
                    people.append(value)
                    self._rows.meet([name_of(value, is_encrypted=part.is_encrypted)])
            elif path:
                rest.setdefault(str(path[0]), value)
        self._about.note(struct_of(_Document, rest), is_encrypted=part.is_encrypted)

    def _leave_out(self, part: Part, reason: str) -> None:
        for batch in self._batches(part):
            for raw in batch:
                self._rows.leave_out(raw, reason, is_encrypted=part.is_encrypted)

    def _once(self, portions: Iterator[list[Row]]) -> Iterator[list[Row]]:
        """Rows without those that another file has, too: somebody's same words within a second."""
        if len(self._thread.parts) == 1:
            yield from portions
            return
        for portion in portions:
            if len({row[2] for row in portion}) > 1:
                portion = self._first_of_each(portion)
            yield portion

    def _first_of_each(self, portion: list[Row]) -> list[Row]:
        seen: dict[tuple[str, str, int], Counter[int]] = {}
        kept: Counter[tuple[str, str, int]] = Counter()
        left = []
        for row in portion:
            message = row[3]
            key = (message.sender, message.content.strip(), row[0] // _SECOND_MS)
            counts = seen.setdefault(key, Counter())
            counts[row[2]] += 1
            if counts[row[2]] > kept[key]:
                kept[key] += 1
                left.append(row)
            else:
                self._told.drop(TWICE, message.sender, message.time, message.content, is_me=message.is_me)
        return left


def _direction(batch: Sequence[Raw | None], *, is_encrypted: bool) -> int:
    """-1 for newest first, as all downloads are; 1 for the reverse."""
    stamps = [stamp_of(raw.timestamp if is_encrypted else raw.timestamp_ms) for raw in (batch[0], batch[-1]) if raw]
    return 1 if stamps and stamps[0] < stamps[-1] else -1


def _apart(parts: list[Part]) -> list[list[Part]]:
    """Files in order of time; those that overlap in time together."""
    if len(parts) == 1:
        return [parts]
    spans = sorted(((*_span(part), number) for number, part in enumerate(parts)))
    groups: list[list[Part]] = []
    until = -1
    for first, last, number in spans:
        if groups and first <= until + _SECOND_MS:
            groups[-1].append(parts[number])
        else:
            groups.append([parts[number]])
        until = max(until, last)
    return groups


def _span(part: Part) -> tuple[int, int]:
    """The times of a file's first and last message, without reading more of it than its numbers."""
    first, last = 0, 0
    with part.member.open() as file:
        rest = b""
        while data := file.read(_READ):
            stamps = [int(stamp) for stamp in _STAMPS[part.is_encrypted].findall(rest + data)]
            if stamps:
                first = min(first or stamps[0], *stamps)
                last = max(last, *stamps)
            rest = data[-_KEPT:]
    return first, last
