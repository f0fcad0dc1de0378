"""Any archive to sessions, as the config's `load` section says: which reader, whose names, what to leave out.

A large iMessage database is read by two processes, each half of its conversations: reading it is bound by the
processor, and one core is all that a process has.
"""

import multiprocessing
import os
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from pipeline.archives.addresses import ENOUGH, numbers_of
from pipeline.archives.aliases import Aliases, People, require_all_met
from pipeline.archives.filters import Chosen, Filters, require_all_found
from pipeline.archives.members import Members
from pipeline.archives.pseudonyms import Names, Pseudonyms, introduced
from pipeline.archives.reader import Asked, Half
from pipeline.archives.readers import AUTO, EXAMPLES, LANGCHAIN, MARKS_OWNER, READ_BY_HALVES, Reader, reader_of
from pipeline.archives.recognise import recognise
from pipeline.archives.told import Told, writable
from pipeline.durable import TEMPORARY, expand_home
from pipeline.errors import FinetuneError, InputError
from pipeline.sessions.session import ENDLESS, LONGEST, OWNER, QUOTED, Listener, Message, Person, Session
from pipeline.sessions.stream import Sink, Stream, streamed, write_stream

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from pipeline.config.settings import Load

WORTH_TWO = 32_000_000
"""Bytes of a database that two processes get through sooner than one."""

NAMESAKE = f"{OWNER} (not the archive's owner)"
"""Sender of a message of somebody whom an archive without ids calls as we call its owner."""

_COPIED = 1 << 20
_encoder = msgspec.json.Encoder()
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CONTACTS = Path("~/Library/Application Support/AddressBook")


class Reading(msgspec.Struct, frozen=True):
    """How to read an archive; a `load` section, as far as another process can be told of it.

    Attributes:
        source: as `load.source` takes it.
        loader: LangChain's, None for our own readers.
        contacts: an AddressBook folder, None to read none.
        half: of an iMessage database, only the conversations that hold that half of the messages.
        people: whom to call what.
        name: what the file is a copy of was called; "" where that is its own name.
    """

    path: str
    source: str = "auto"
    loader: str | None = None
    attachments: Literal["drop", "tokens"] = "drop"
    contacts: str | None = None
    names: Names = "pseudonyms"
    filters: Filters = Filters()
    half: Half | None = None
    people: People = ()
    name: str = ""

    @property
    def asked(self) -> Asked:
        """What a reader must know of it."""
        return Asked(self.attachments, Path(self.contacts) if self.contacts else None, self.names, self.half)


class Loaded(msgspec.Struct):
    """What became of an archive.

    Attributes:
        dropped: by reason the messages in no session: rows that are no speech, and what the filters leave out.
        noted: what was kept and may be worth a word.
        rows: of the archive, all that `messages` and `dropped` must add up to; None where that is not known.
        found: names in the filters that stand for somebody.
        met: names in `load.people` that do.
        numbers: some telephone numbers with their country's code.
        cut: zips of which nothing was read.
    """

    sessions: int = 0
    messages: int = 0
    dropped: Counter[str] = msgspec.field(default_factory=Counter)
    noted: Counter[str] = msgspec.field(default_factory=Counter)
    rows: int | None = None
    found: set[tuple[str, str]] = msgspec.field(default_factory=set)
    met: set[str] = msgspec.field(default_factory=set)
    numbers: set[str] = msgspec.field(default_factory=set)
    cut: list[str] = msgspec.field(default_factory=list)

    def __iadd__(self, other: "Loaded") -> "Loaded":
        self.sessions += other.sessions
        self.messages += other.messages
        self.dropped.update(other.dropped)
        self.noted.update(other.noted)
        self.found |= other.found
        self.met |= other.met
        self.numbers |= other.numbers
        self.cut += other.cut
        return self


def reading_of(settings: "Load", path: Path, name: str = "") -> Reading:
    """What a `load` section says about the archive at `path`, a copy of what was called `name`."""
    contacts = settings.contacts if isinstance(settings.contacts, str) else _CONTACTS if settings.contacts else None
    return Reading(
        str(path),
        settings.source,
        settings.loader,
        settings.attachments,
        str(expand_home(str(contacts), "load.contacts")) if contacts else None,
        settings.names,
        Filters(
            tuple(settings.only_people),
            tuple(settings.exclude_people),
            tuple(settings.only_chats),
            tuple(sorted(set(settings.kinds))),
            settings.since,
            settings.until,
        ),
        people=tuple((called, tuple(aliases)) for called, aliases in settings.people.items()),
        name=name,
    )


def resolved(reading: Reading) -> tuple[Reading, str]:
    """A reading of what an archive turns out to be, where the config leaves that open, and what that is in words.

    Raises:
        InputError: it is nothing that can be read.
    """
    if reading.source != AUTO:
        return reading, ""
    found = recognise(Path(reading.path), reading.name)
    return msgspec.structs.replace(reading, source=found.source, path=str(found.path)), found.what


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
    reading, _ = resolved(reading)
    for stream in _read(reading, loaded, listener):
        yield Stream(stream.session, _counted(stream.blocks, loaded))
    _require_sound(reading, loaded, strict=strict)


def load_archive(reading: Reading, file: Sink, folder: Path) -> Loaded:
    """Write all sessions to `file`, one a line; of a large archive two processes do so, which changes no byte of it.

    Args:
        folder: where the second process may keep its half meanwhile.

    Raises:
        InputError: the archive or the contacts cannot be read, or a filter names nobody.
    """
    reading, _ = resolved(reading)
    is_large = reading.source in READ_BY_HALVES and Path(reading.path).stat().st_size >= WORTH_TWO
    loaded = _load_halves(reading, file, folder) if is_large and (os.cpu_count() or 1) > 1 else load_part(reading, file)
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


def _load_halves(reading: Reading, file: Sink, folder: Path) -> Loaded:
    """Write all sessions: the first half here, while another process writes the second to a file in `folder`.

    If that process fails, whatever the reason, its half is read here: then the error, if it is one, comes up here too.
    """
    first, second = msgspec.structs.replace(reading, half=1), msgspec.structs.replace(reading, half=2)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".half-", suffix=TEMPORARY) as made:
        process, answer = _start_half(second, made.name)
        try:
            loaded = load_part(first, file)
            try:
                told: Loaded = answer.recv()
            except EOFError:
                loaded += load_part(second, file)
                return loaded
        finally:
            process.kill()
            process.join()
            answer.close()
        loaded += told
        while chunk := made.read(_COPIED):
            file.write(chunk)
    return loaded


def _start_half(half: Reading, target: str) -> "tuple[SpawnProcess, Connection[object, Loaded]]":
    """Start a process that reads `half`; what comes out of the connection at its end is what it was told of it."""
    context = multiprocessing.get_context("spawn")
    answer, tell = context.Pipe(duplex=False)
    process = context.Process(target=write_half, args=(half, target, tell))
    # Started with the first process otherwise, and then it takes these signals out of the mask (Python 3.11).
    resource_tracker.ensure_running()
    # Ctrl-C reaches every process of a terminal, and a closed terminal too; only the parent is to act on it. What is
    # blocked here stays blocked in the child.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        tell.close()
    return process, answer


def write_half(half: Reading, target: str, tell: "Connection[Loaded, object]") -> None:
    """What the second process does: write its half to `target`, and tell of it. It dies with its parent."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with Path(target).open("wb", buffering=_COPIED) as file:
            loaded = load_part(half, file)
        tell.send(loaded)
    except Exception:  # noqa: BLE001, S110 - whatever it is, the parent does this half itself and meets it there
        pass
    finally:
        tell.close()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _read(reading: Reading, loaded: Loaded, listener: Listener | None = None) -> Iterator[Stream]:
    if reading.source == EXAMPLES and (reading.filters != Filters() or reading.people):
        raise InputError(
            "load",
            "filters and `people` are for chats, and the archive holds training examples, which stay as they are",
            fix="Take them out of `load`.",
        )
    told = Told(loaded.dropped, loaded.noted, listener)
    streams = _found(reading, loaded, told)
    if reading.filters == Filters():
        return streams
    chosen = Chosen(reading.filters, loaded.dropped, listener)
    loaded.found = chosen.found
    return chosen.of(streams)


def _found(reading: Reading, loaded: Loaded, told: Told) -> Iterator[Stream]:
    """The conversations as the reader finds them, each with who is in it and the app's name."""
    pseudonyms = Pseudonyms(reading.names)
    aliases = Aliases(reading.people, knows_owner=reading.source in MARKS_OWNER, noted=loaded.noted)
    loaded.met = aliases.found
    if reading.source == LANGCHAIN:
        from pipeline.archives.langchain import app_of, read_langchain

        app = app_of(reading.loader)
        streams: Iterator[Stream] = map(
            streamed, read_langchain(reading.loader or "", Path(reading.path), told.dropped, told.listener)
        )
        told.rows = None
    else:
        reader = reader_of(reading.source)
        app = reader.app
        streams = _opened(reader, reading, told, loaded)
    names_people = bool(reading.filters.only_people or reading.filters.exclude_people)
    for stream in streams:
        if stream.session.platform is None:
            stream.session.platform = app
        if stream.session.owner is msgspec.UNSET and told.owner:
            stream.session.owner = min(told.owner)
        _make_writable(stream.session)
        blocks = _sound(_not_the_owner(stream.blocks), told)
        known = introduced(Stream(stream.session, blocks), pseudonyms, told.senders)
        known = aliases.of(known) if reading.people else known
        if names_people and not stream.session.people:
            # Whether a conversation stays depends on who is in it, and such an archive tells by who speaks alone.
            known = Stream(known.session, iter(list(known.blocks)))
        yield known
        for _ in known.blocks:  # what the caller left
            pass
        if len(loaded.numbers) < ENOUGH:
            loaded.numbers.update(numbers_of(known.session.people))
    loaded.rows = told.rows


def _opened(reader: Reader, reading: Reading, told: Told, loaded: Loaded) -> Iterator[Stream]:
    with Members(Path(reading.path), reading.name) as members:
        loaded.cut = members.cut()
        yield from reader.code.read(members, told, reading.asked)


def _not_the_owner(blocks: Iterator[list[Message]]) -> Iterator[list[Message]]:
    """Nobody else is taken for the archive's owner for being called as the owner is here."""
    for block in blocks:
        for message in block:
            if message.sender == OWNER and not message.is_me:
                message.sender = NAMESAKE
        yield block


def _sound(blocks: Iterator[list[Message]], told: Told) -> Iterator[list[Message]]:
    """Without the messages that are too long to be any, and with text that can be written.

    JSON can hold half characters (lone surrogates), which no file of text can: they become question marks.
    """
    encoded = bytearray()
    for block in blocks:
        if any(len(message.content) + len(message.sender) > LONGEST for message in block):
            block = [message for message in block if not _is_endless(message, told)]
        try:
            _encoder.encode_into(block, encoded)
        except UnicodeEncodeError:
            for message in block:
                message.content, message.sender = writable(message.content), writable(message.sender)
                if isinstance(message.reply_to, str):
                    message.reply_to = writable(message.reply_to)
        yield block


def _make_writable(session: Session) -> None:
    session.id = writable(session.id)
    session.title = session.title and writable(session.title)
    session.owner = writable(session.owner) if isinstance(session.owner, str) else session.owner
    if session.people:
        session.people = {
            writable(sender): Person(writable(person.name), [writable(each) for each in person.addresses])
            for sender, person in session.people.items()
        }


def _is_endless(message: Message, told: Told) -> bool:
    if len(message.content) + len(message.sender) <= LONGEST:
        return False
    told.drop(ENDLESS, message.sender[:QUOTED], message.time, message.content[:QUOTED] + "…")
    return True


def _counted(blocks: Iterator[list[Message]], loaded: Loaded) -> Iterator[list[Message]]:
    is_first = True
    for block in blocks:
        loaded.messages += len(block)
        loaded.sessions += is_first and bool(block)
        is_first = is_first and not block
        yield block


def _require_sound(reading: Reading, loaded: Loaded, *, strict: bool) -> None:
    """Every message is accounted for, and if `strict`, every name in a filter stands for somebody."""
    accounted = loaded.messages + loaded.dropped.total()
    if reading.source == "imessage":
        from pipeline.archives.imessage import require_balance

        require_balance(Path(reading.path), accounted)
    elif loaded.rows is not None and loaded.rows != accounted:
        raise FinetuneError(
            reading.path,
            f"has {loaded.rows:,} messages, which did not add up",
            got=f"{accounted:,} read or left out for a reason",
            fix="This is a mistake in finetune, not in your archive: please report it with these numbers.",
        )
    if strict:
        require_known(reading, loaded)


def require_known(reading: Reading, loaded: Loaded) -> None:
    """Check, once everything is read, that every name in the config stands for somebody.

    Raises:
        InputError: one does not.
    """
    require_all_found(reading.filters, loaded.found)
    require_all_met(reading.people, loaded.met)
