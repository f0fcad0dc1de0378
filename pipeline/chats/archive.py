"""Any archive to sessions, as the config's `load` section says: which reader, whose names, what to leave out."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from pipeline.chats.filters import Chosen, Filters, require_all_found
from pipeline.chats.pseudonyms import introduced
from pipeline.chats.session import ENDLESS, LONGEST, QUOTED, Listener, Message
from pipeline.chats.stream import Sink, Stream, streamed, write_stream
from pipeline.helper import by_two, is_worth_two

if TYPE_CHECKING:
    from pipeline.config import Load
    from pipeline.durable import HashingWriter

_CONTACTS = Path("~/Library/Application Support/AddressBook")


class Reading(msgspec.Struct, frozen=True):
    """How to read an archive; a `load` section, as far as another process can be told of it.

    Attributes:
        loader: LangChain's, None for our own readers.
        contacts: an AddressBook folder, None to read none.
        half: of an iMessage database, only the conversations that hold that half of the messages.
    """

    path: str
    source: Literal["imessage", "whatsapp", "langchain"] = "imessage"
    loader: str | None = None
    attachments: Literal["drop", "tokens"] = "drop"
    contacts: str | None = None
    names: Literal["pseudonyms", "contacts", "addresses"] = "pseudonyms"
    filters: Filters = Filters()
    half: Literal[1, 2] | None = None


class Loaded(msgspec.Struct):
    """What became of an archive.

    Attributes:
        dropped: by reason the messages in no session: rows that are no speech, and what the filters leave out. For an
            iMessage database these and `messages` add up to its rows.
        noted: what was kept and may be worth a word.
        found: names in the filters that stand for somebody.
    """

    sessions: int = 0
    messages: int = 0
    dropped: Counter[str] = msgspec.field(default_factory=Counter)
    noted: Counter[str] = msgspec.field(default_factory=Counter)
    found: set[tuple[str, str]] = msgspec.field(default_factory=set)

    def __iadd__(self, other: "Loaded") -> "Loaded":
        self.sessions += other.sessions
        self.messages += other.messages
        self.dropped.update(other.dropped)
        self.noted.update(other.noted)
        self.found |= other.found
        return self


def reading_of(settings: "Load", path: Path) -> Reading:
    """What a `load` section says about the archive at `path`."""
    contacts = settings.contacts if isinstance(settings.contacts, str) else _CONTACTS if settings.contacts else None
    return Reading(
        str(path),
        settings.source,
        settings.loader,
        settings.attachments,
        str(Path(contacts).expanduser()) if contacts else None,
        settings.names,
        Filters(
            tuple(settings.only_people),
            tuple(settings.exclude_people),
            tuple(settings.only_chats),
            tuple(sorted(set(settings.kinds))),
            settings.since,
            settings.until,
        ),
    )


def read_archive(
    reading: Reading, loaded: Loaded | None = None, *, strict: bool = True, listener: Listener | None = None
) -> Iterator[Stream]:
    """Yield the sessions that are asked for, as streams; some may have no messages left.

    Args:
        loaded: is told what became of the rest, complete when the iterator is exhausted.
        strict: whether a filter that names nobody in the archive is a mistake.
        listener: told of each message that is in no session.

    Raises:
        InputError: the archive or the contacts cannot be read, or a filter names nobody.
    """
    loaded = Loaded() if loaded is None else loaded
    for stream in _read(reading, loaded, listener):
        yield Stream(stream.session, _counted(stream.blocks, loaded))
    _require_sound(reading, loaded, strict=strict)


def load_archive(reading: Reading, file: "HashingWriter", folder: Path) -> Loaded:
    """Write all sessions to `file`, one a line; where the archive is large, with the help of a second process.

    What is written does not depend on that.

    Args:
        folder: where the second process may keep its half meanwhile.

    Raises:
        InputError: the archive or the contacts cannot be read, or a filter names nobody.
    """
    if reading.source == "imessage" and is_worth_two(Path(reading.path)):
        halves = (msgspec.structs.replace(reading, half=1), msgspec.structs.replace(reading, half=2))
        loaded, second = by_two("load", halves, load_part, file, folder)
        loaded += second
    else:
        loaded = load_part(reading, file)
    _require_sound(reading, loaded, strict=True)
    return loaded


def load_part(reading: Reading, file: Sink) -> Loaded:
    """Write the sessions of an archive, or of one half of it, to `file`."""
    loaded = Loaded()
    for stream in _read(reading, loaded):
        messages = write_stream(file, stream)
        loaded.messages += messages
        loaded.sessions += bool(messages)
    return loaded


def _read(reading: Reading, loaded: Loaded, listener: Listener | None = None) -> Iterator[Stream]:
    path, dropped = Path(reading.path), loaded.dropped
    if reading.loader is not None:
        from pipeline.chats.langchain import APPS, read_langchain

        found = read_langchain(reading.loader, path, dropped, listener)
        app = APPS.get(reading.loader, reading.loader)
        streams: Iterator[Stream] = map(streamed, introduced(found, reading.names, app))
    elif reading.source == "whatsapp":
        from pipeline.chats.whatsapp import read_whatsapp

        found = read_whatsapp(path, dropped, listener)
        streams = map(streamed, introduced(found, reading.names, "WhatsApp"))
    else:
        from pipeline.chats.imessage import stream_imessage

        streams = stream_imessage(
            path,
            dropped,
            attachments=reading.attachments,
            contacts=Path(reading.contacts) if reading.contacts else None,
            names=reading.names,
            noted=loaded.noted,
            half=reading.half,
            listener=listener,
        )
    streams = (Stream(session, _bounded(blocks, dropped, listener)) for session, blocks in streams)
    if reading.filters == Filters():
        return streams
    chosen = Chosen(reading.filters, dropped, listener)
    loaded.found = chosen.found
    return chosen.of(streams)


def _bounded(
    blocks: Iterator[list[Message]], dropped: Counter[str], listener: Listener | None
) -> Iterator[list[Message]]:
    """Without the messages that are too long to be any; the listener is told how they begin."""
    for block in blocks:
        kept = [message for message in block if len(message.content) + len(message.sender) <= LONGEST]
        if len(kept) < len(block):
            dropped[ENDLESS] += len(block) - len(kept)
            if listener is not None:
                for message in block:
                    if len(message.content) + len(message.sender) > LONGEST:
                        sender, content = message.sender[:QUOTED], message.content[:QUOTED] + "…"
                        listener(ENDLESS, msgspec.structs.replace(message, sender=sender, content=content))
        yield kept


def _counted(blocks: Iterator[list[Message]], loaded: Loaded) -> Iterator[list[Message]]:
    is_first = True
    for block in blocks:
        loaded.messages += len(block)
        loaded.sessions += is_first and bool(block)
        is_first = is_first and not block
        yield block


def _require_sound(reading: Reading, loaded: Loaded, *, strict: bool) -> None:
    """Every message is accounted for, and if `strict`, every name in a filter stands for somebody."""
    if reading.source == "imessage":
        from pipeline.chats.imessage import require_balance

        require_balance(Path(reading.path), loaded.messages + loaded.dropped.total())
    if strict:
        require_all_found(reading.filters, loaded.found)
