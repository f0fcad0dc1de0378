"""Several archives of one person, read as one: each message once, whatever archive it is in.

The archives may be of several apps, or exports of one app that overlap. What tells two copies of a message is the app,
the conversation, who wrote it, when, and its text; a message without a time is never taken for a copy. Within one
archive nothing is: people do say "ok" twice in a minute. Two people of one name are two where their archives know
their ids or addresses.
"""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.archives.addresses import Numbers, is_address
from pipeline.archives.reading import Loaded, Reading, load_archive, read_archive, reading_of, require_known
from pipeline.archives.told import TWICE
from pipeline.sessions.session import Listener, Message, Session
from pipeline.sessions.stream import Sink, Stream, write_stream

if TYPE_CHECKING:
    from pipeline.config.settings import Load

_OWN_ID = re.compile(r"telegram-[a-z]+-?\d+|discord-\d+")
"""Session ids that are the app's own: a chat keeps its id when it is renamed."""

_WHATSAPP = "WhatsApp"
_EDITED = ("Discord", "Slack", "Telegram")
"""Apps whose exports hold an edited message with its new words, and times to the second."""
_COPY = re.compile(r" \(\d{1,2}\)$")  # what a browser or a phone adds to the name of a second download
_WHOLE_MINUTE = ":00Z"


def readings_of(settings: "Load", archives: Iterable[tuple[Path, str]]) -> list[Reading]:
    """What a `load` section says about each of these archives, which were called so where they came from."""
    return [reading_of(settings, path, name) for path, name in archives]


def read_archives(
    readings: Sequence[Reading], loaded: Loaded | None = None, *, strict: bool = True, listener: Listener | None = None
) -> Iterator[Stream]:
    """Yield the conversations of all archives, as `reading.read_archive` does those of one.

    Of several archives, a conversation is held in memory while it is read, where its app does not tell beforehand who
    is in it. Session ids of all but the first archive begin with the archive's number.

    Raises:
        InputError: an archive or the contacts cannot be read, or a name in the config stands for nobody.
    """
    loaded = Loaded() if loaded is None else loaded
    copies = _Copies({name for reading in readings for name, _ in reading.people})
    for number, reading in enumerate(readings, start=1):
        part = Loaded()
        for stream in read_archive(reading, part, strict=False, listener=listener):
            kept = copies.left_out_of(stream, part, listener) if len(readings) > 1 else stream
            if number > 1:
                stream.session.id = f"{number}-{stream.session.id}"
            yield kept
        copies.next_archive()
        loaded += part
    if strict:
        require_known(readings[0], loaded)


def load_archives(readings: Sequence[Reading], file: Sink, folder: Path) -> Loaded:
    """Write all conversations to `file`, one a line.

    Args:
        folder: where `load_archive` may keep what a second process reads.

    Raises:
        InputError: as `read_archives`.
    """
    if len(readings) == 1:
        return load_archive(readings[0], file, folder)
    loaded = Loaded()
    sessions = sum(bool(write_stream(file, stream)) for stream in read_archives(readings, loaded))
    loaded.sessions = sessions  # a conversation of nothing but copies is none
    return loaded


class _Copies:
    """Finds what was in an earlier archive. Holds 8 bytes and what a Counter takes for a message, twice for some apps.

    Args:
        named: names that the config gives; whoever has one is one person, whatever their addresses.
    """

    def __init__(self, named: Collection[str]) -> None:
        self._before: Counter[int] = Counter()
        self._here: Counter[int] = Counter()
        self._by_minute: set[_Conversation] = set()
        self._people = _Known(named)

    def next_archive(self) -> None:
        self._before |= self._here
        self._here = Counter()

    def left_out_of(self, stream: Stream, loaded: Loaded, listener: Listener | None) -> Stream:
        session, blocks = stream
        may_lack_seconds = session.platform == _WHATSAPP
        in_whole_minutes = False
        if may_lack_seconds or not session.people:
            held = list(blocks)
            in_whole_minutes = may_lack_seconds and _in_whole_minutes(held)
            blocks = iter(held)
        conversation = self._conversation(session)
        if in_whole_minutes:
            self._by_minute.add(conversation)

        def first_ones() -> Iterator[list[Message]]:
            for block in blocks:
                copies = [
                    self._is_copy(message, session, conversation, may_lack_seconds=may_lack_seconds)
                    for message in block
                ]
                if session.platform in _EDITED:
                    self._find_edited(block, copies, session, conversation)
                kept = []
                for message, is_copy in zip(block, copies, strict=True):
                    if not is_copy:
                        kept.append(message)
                    elif listener is not None:
                        listener(TWICE, message)
                if len(kept) < len(block):
                    loaded.messages -= len(block) - len(kept)
                    loaded.dropped[TWICE] += len(block) - len(kept)
                yield kept

        return Stream(session, first_ones())

    def _is_copy(
        self, message: Message, session: Session, conversation: "_Conversation", *, may_lack_seconds: bool
    ) -> bool:
        if message.time is None:
            return False
        sender = self._people.of(session, message.sender)
        times = [message.time]
        if may_lack_seconds:  # Android's exports have none, the iPhone's do
            times.append(message.time[: -len(_WHOLE_MINUTE)])
        keys = [hash((conversation, sender, time, message.content)) for time in times]
        for key in keys:
            self._here[key] += 1
        key = keys[-1] if conversation in self._by_minute else keys[0]
        return self._here[key] <= self._before[key]

    def _find_edited(
        self, block: list[Message], copies: list[bool], session: Session, conversation: "_Conversation"
    ) -> None:
        """Mark as copies what was said in other words in an earlier archive, and edited before the later export.

        So it is if somebody's messages of one second are no more than there were, whatever their words.
        """
        for _, run in itertools.groupby(range(len(block)), lambda at: block[at].time):
            of_sender: dict[int, list[int]] = defaultdict(list)
            for at in run:
                if (time := block[at].time) is not None:
                    of_sender[hash((conversation, self._people.of(session, block[at].sender), time))].append(at)
            for key, places in of_sender.items():
                self._here[key] += len(places)
                edited = self._before[key] - sum(copies[at] for at in places)
                for at in [at for at in places if not copies[at]][: max(0, edited)]:
                    copies[at] = True

    def _conversation(self, session: Session) -> "_Conversation":
        """Equal for a conversation in two exports of it."""
        if _OWN_ID.fullmatch(session.id):
            return session.platform, session.kind, (session.id,)
        if session.title is not None:
            title = _COPY.sub("", session.title) if session.platform == _WHATSAPP else session.title
            return session.platform, session.kind, (title,)
        people = {self._people.of(session, sender) for sender in session.people}
        return session.platform, session.kind, tuple(sorted(people))


_Conversation = tuple[str | None, str, tuple[str, ...]]


class _Known:
    """Tells who in one archive is who in another, by their ids or addresses, else by their names."""

    def __init__(self, named: Collection[str]) -> None:
        self._named = named
        self._known: dict[tuple[str | None, str], str] = {}
        self._numbers: defaultdict[str | None, Numbers] = defaultdict(Numbers)

    def of(self, session: Session, sender: str) -> str:
        """What is the same for one person in every archive."""
        person, sign_of = session.people.get(sender), self._numbers[session.platform].of
        if person is None or not person.addresses or sender in self._named:
            signs = [sign_of(sender)]
        else:
            # Of what is no address, the first is the id: what follows are names, which several may have.
            written = [each for each in (sender, *person.addresses) if is_address(each)]
            signs = list(map(sign_of, written or person.addresses[:1]))
        known = (self._known[session.platform, sign] for sign in signs if (session.platform, sign) in self._known)
        who = next(known, signs[0])
        for sign in signs:
            self._known.setdefault((session.platform, sign), who)
        return who


def _in_whole_minutes(blocks: Iterable[Iterable[Message]]) -> bool:
    return all(message.time is None or message.time.endswith(_WHOLE_MINUTE) for block in blocks for message in block)
