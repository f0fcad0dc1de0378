"""Several archives of one person, read as one: each message once, whatever archive it is in.

The archives may be of several apps, or exports of one app that overlap. What tells two copies of a message is the app,
the conversation, who wrote it, when, and its text. Within one archive nothing is taken for a copy: people do say "ok"
twice in a minute.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.archives.reading import Loaded, Reading, load_archive, read_archive, reading_of, require_known
from pipeline.archives.told import TWICE
from pipeline.sessions.session import Listener, Message, Session
from pipeline.sessions.stream import Sink, Stream, write_stream

if TYPE_CHECKING:
    from pipeline.config.settings import Load


def readings_of(settings: "Load", paths: Iterable[Path]) -> list[Reading]:
    """What a `load` section says about each of these archives."""
    return [reading_of(settings, path) for path in paths]


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
    copies = _Copies()
    for number, reading in enumerate(readings, start=1):
        part = Loaded()
        for stream in read_archive(reading, part, strict=False, listener=listener):
            if number > 1:
                stream.session.id = f"{number}-{stream.session.id}"
            yield copies.left_out_of(stream, part, listener) if len(readings) > 1 else stream
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
    """Finds what was in an earlier archive. Holds 8 bytes and what a Counter takes for each message."""

    def __init__(self) -> None:
        self._before: Counter[int] = Counter()
        self._here: Counter[int] = Counter()

    def next_archive(self) -> None:
        self._before |= self._here
        self._here = Counter()

    def left_out_of(self, stream: Stream, loaded: Loaded, listener: Listener | None) -> Stream:
        session, blocks = stream
        if not session.people:
            blocks = iter(list(blocks))
        conversation = _conversation(session)

        def first_ones() -> Iterator[list[Message]]:
            for block in blocks:
                kept = []
                for message in block:
                    key = hash((conversation, message.sender, message.time, message.content))
                    self._here[key] += 1
                    if self._here[key] > self._before[key]:
                        kept.append(message)
                    elif listener is not None:
                        listener(TWICE, message)
                if len(kept) < len(block):
                    loaded.messages -= len(block) - len(kept)
                    loaded.dropped[TWICE] += len(block) - len(kept)
                yield kept

        return Stream(session, first_ones())


def _conversation(session: Session) -> tuple[str | None, str, str]:
    """Equal for a conversation in two exports of it."""
    who = session.title if session.title is not None else "\n".join(sorted(session.people))
    return session.platform, session.kind, who
