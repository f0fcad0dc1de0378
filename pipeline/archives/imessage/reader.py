"""Reads macOS's ~/Library/Messages/chat.db and iOS's sms.db: iMessage, SMS and RCS.

Conversation by conversation, and long ones piece by piece: never the whole archive at once. Every row of `message`
either becomes one message of a session or is counted under the reason why not.
"""

import bisect
import functools
import itertools
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from pipeline.archives.imessage.bodies import Attachments
from pipeline.archives.imessage.contacts import Cards, read_contacts
from pipeline.archives.imessage.database import Database, opened
from pipeline.archives.imessage.people import DIRECT, GROUP, UNKNOWN_SENDER, Conversation, People, conversations
from pipeline.archives.imessage.speech import OutOfOrder, Speech, read_alone
from pipeline.archives.pseudonyms import Names
from pipeline.errors import FinetuneError, InputError
from pipeline.sessions.session import Listener, Message, Person, Session
from pipeline.sessions.stream import Stream

DELETED, ORPHANED = "recently deleted", "not in any chat"

Half = Literal[1, 2]

_BLOCKS = 8  # of a conversation that is
_LONG = 30_000  # rows of a conversation that is not held in memory


def stream_imessage(
    path: Path,
    dropped: Counter[str],
    *,
    attachments: Attachments = "drop",
    contacts: Path | None = None,
    names: Names = "pseudonyms",
    noted: Counter[str] | None = None,
    half: Half | None = None,
    listener: Listener | None = None,
) -> Iterator[Stream]:
    """Yield the sessions of a chat.db as streams, by chat.ROWID; those without speech are left out.

    Args:
        path: the database; opened read-only.
        dropped: counts by reason of the rows that are no speech, complete when the iterator is exhausted: then these
            and the messages of all sessions add up to the rows of `message`, which `require_balance` checks.
        attachments: leave no trace of them, or write "[image]" and the like where they stood; a message of nothing
            else then has `only_context` set.
        contacts: an AddressBook folder, whose names then stand for addresses; nothing is read without.
        names: what training data call people; senders are addresses, or names of contacts, whatever this says.
        noted: counts what was kept and may be worth a word.
        half: of the messages, only the conversations that hold the first half or the second; rows that are in none
            count to the first.
        listener: told of every row that is counted in `dropped`.

    Raises:
        InputError: not a database, damaged (names the row), or without the tables of an iMessage database.
    """
    cards = read_contacts(contacts) if contacts is not None else Cards()
    reading = _Reading(dropped, attachments, cards, names, Counter() if noted is None else noted, listener)
    try:
        with opened(path) as db:
            yield from reading.streams(Database(path, db, with_attachments=attachments == "tokens"), half)
    except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes damaged names as they are
        raise _unreadable(
            str(path) if reading.rowid is None else f"{path}, soon after message {reading.rowid}", error
        ) from None


def require_balance(path: Path, accounted: int) -> None:
    """Check that so many messages are all that a chat.db has.

    Raises:
        InputError: they are not, and SQLite finds the file damaged.
        FinetuneError: they are not: a mistake of ours.
    """
    try:
        with opened(path) as db:
            database = Database(path, db)
            rows = database.messages()
            if rows == accounted:
                return
            if not database.is_intact():
                raise sqlite3.DatabaseError("its indexes contradict its tables")
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise _unreadable(str(path), error) from None
    raise FinetuneError(
        str(path),
        f"has {rows:,} messages, which did not add up",
        got=f"{accounted:,} read or left out for a reason",
        fix="This is a mistake in finetune, not in your archive: please report it with these numbers.",
    )


def _unreadable(where: str, error: Exception) -> InputError:
    return InputError(
        where,
        f"not a readable iMessage database ({error})",
        fix="Point `download.source` at a chat.db, then run `finetune run CONFIG --from download`.",
    )


class _Reading:
    """One pass over an archive.

    Attributes:
        rowid: of the last row that could be read, None before any.
    """

    def __init__(
        self,
        dropped: Counter[str],
        attachments: Attachments,
        cards: Cards,
        names: Names,
        noted: Counter[str],
        listener: Listener | None,
    ) -> None:
        self._dropped = dropped
        self._cards = cards
        self._names = names
        self._attachments = attachments
        self._noted = noted
        self._listener = listener
        self._speech: Speech | None = None

    @property
    def rowid(self) -> int | None:
        return self._speech.rowid if self._speech is not None and self._speech.read else None

    @property
    def _listening(self) -> Speech:
        if self._speech is None:
            raise TypeError("nobody listens yet")
        return self._speech

    def streams(self, database: Database, half: Half | None) -> Iterator[Stream]:
        people = People(database.handles(), self._cards, self._names)
        found = conversations(database, people)
        ids, sizes, elsewhere = _session_ids(found), _sizes(database, found), _elsewhere(database, found)
        for number in _part(sizes, half):
            conversation = found[number]
            listener = _of_one_reason(self._listener, conversation.why_not)
            is_direct = conversation.style == DIRECT
            listen = functools.partial(
                Speech,
                database,
                people,
                elsewhere[number],
                self._attachments,
                is_direct,
                _only_other(conversation, people) if is_direct else UNKNOWN_SENDER,
                listener,
            )
            is_long = sizes[number] > _LONG or listener is not None  # which is to be told once
            blocks = self._hear(database, conversation.chats, listen, is_long=is_long)
            if conversation.why_not is not None:
                for message in itertools.chain.from_iterable(blocks):
                    if listener is not None:
                        listener(conversation.why_not, message)
                self._dropped[conversation.why_not] += self._listening.read
                continue
            if first := next(filter(None, blocks), None):
                stream = self._stream(first, blocks, ids[number], conversation, people)
                yield stream
                _exhaust(stream.blocks)
            self._dropped.update(self._listening.dropped)
        if half != 2:
            missing = {DELETED: database.recently_deleted(), ORPHANED: database.orphans()}
            self._dropped.update({reason: n for reason, n in missing.items() if n})
            if self._listener is not None:
                for reason in missing:
                    for row in database.rows_in_no_chat(deleted=reason == DELETED):
                        self._listener(reason, read_alone(row, people.senders))

    def _hear(
        self, database: Database, chats: Sequence[int], listen: Callable[[], Speech], *, is_long: bool
    ) -> Iterator[list[Message]]:
        """What is said in a conversation; read at once unless it is long."""
        self._speech = speech = listen()
        if is_long:
            yield from speech.hear(database.rows(chats, by_their_own_dates=not database.is_in_order(chats)))
            return
        blocks: list[list[Message]] = []
        try:
            for block in speech.hear(database.rows(chats)):
                if len(blocks) == _BLOCKS:
                    raise OutOfOrder  # nor is it held in memory: few rows, but long ones
                blocks.append(block)
        except OutOfOrder:
            blocks.clear()
            self._speech = speech = listen()
            yield from speech.hear(database.rows(chats, by_their_own_dates=True))
            return
        yield from blocks

    def _stream(
        self,
        first: list[Message],
        blocks: Iterator[list[Message]],
        session_id: str,
        conversation: Conversation,
        people: People,
    ) -> Stream:
        if not conversation.people or conversation.style is None:  # then who speaks tells who is in it
            first = [*first, *itertools.chain.from_iterable(blocks)]
        senders = {sender for person in conversation.people if (sender := people.sender(person)) is not None}
        session = Session(session_id, _kind(conversation.style, first), conversation.title, [], {}, "iMessage")

        def meet(senders: set[str]) -> None:
            for sender in sorted(senders - session.people.keys()):
                session.people[sender] = people.known.get(sender) or Person(sender)

        def told() -> Iterator[list[Message]]:
            for block in itertools.chain([first], blocks):
                meet(_others(block))
                if conversation.is_filtered:
                    self._noted["from unknown senders"] += len(block)
                yield block
            session.people = dict(sorted(session.people.items()))  # once: a group may have a new member in every row

        meet(senders | _others(first))
        return Stream(session, told())


def _only_other(conversation: Conversation, people: People) -> str:
    """The sender of a conversation between two."""
    others = [people.sender(person) for person in conversation.people]
    return (others[0] if len(others) == 1 else None) or UNKNOWN_SENDER


def _of_one_reason(listener: Listener | None, reason: str | None) -> Listener | None:
    """A listener that hears of that reason, whatever else there is; None hears as it is."""
    if listener is None or reason is None:
        return listener
    return lambda _, message: listener(reason, message)


def _exhaust(blocks: Iterator[list[Message]]) -> None:
    for _ in blocks:
        pass


def _session_ids(found: Sequence[Conversation]) -> list[str]:
    ids: dict[str, None] = {}
    for conversation in found:
        guid = conversation.guid
        ids[guid if guid not in ids else f"{guid}#{conversation.chats[0]}"] = None
    return list(ids)


def _sizes(database: Database, found: Sequence[Conversation]) -> list[int]:
    listed = database.sizes()
    return [sum(listed.get(chat, 0) for chat in conversation.chats) for conversation in found]


def _part(sizes: Sequence[int], half: Half | None) -> range:
    """Which conversations to read: all, or those with the first or the second half of the messages."""
    before = list(itertools.accumulate(sizes, initial=0))
    cut = bisect.bisect_left(before, before[-1] / 2)
    if half is None:
        return range(len(sizes))
    return range(cut) if half == 1 else range(cut, len(sizes))


def _elsewhere(database: Database, found: Sequence[Conversation]) -> list[set[int]]:
    """For each conversation, the ROWIDs of its messages that are in an earlier one, too."""
    places = {chat: number for number, conversation in enumerate(found) for chat in conversation.chats}
    pairs = [(rowid, places[chat]) for rowid, chat in database.in_several_chats() if chat in places]
    firsts: dict[int, int] = {}
    for rowid, number in pairs:
        firsts[rowid] = min(number, firsts.get(rowid, number))
    elsewhere: list[set[int]] = [set() for _ in found]
    for rowid, number in pairs:
        if firsts[rowid] < number:
            elsewhere[number].add(rowid)
    return elsewhere


def _kind(style: int | None, messages: list[Message]) -> Literal["direct", "group"]:
    if style in (GROUP, DIRECT):
        return "group" if style == GROUP else "direct"
    return "group" if len(_others(messages)) > 1 else "direct"


def _others(messages: list[Message]) -> set[str]:
    return {message.sender for message in messages if not message.is_me}
