"""Reads macOS's ~/Library/Messages/chat.db and iOS's sms.db: iMessage, SMS and RCS.

Conversation by conversation, never the whole archive at once. Every row of `message` either becomes one message of a
session or is counted under the reason why not.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from pipeline.chats.imessage.bodies import Attachments
from pipeline.chats.imessage.contacts import Card, read_contacts
from pipeline.chats.imessage.database import Database, Row, opened
from pipeline.chats.imessage.people import DIRECT, GROUP, Conversation, People, conversations
from pipeline.chats.imessage.speech import OutOfOrder, Speech
from pipeline.chats.pseudonyms import Names
from pipeline.chats.session import Message, Person, Session
from pipeline.errors import InputError

DELETED, ORPHANED = "recently deleted", "not in any chat"


def read_imessage(
    path: Path,
    dropped: Counter[str],
    *,
    attachments: Attachments = "drop",
    contacts: Path | None = None,
    names: Names = "pseudonyms",
    noted: Counter[str] | None = None,
) -> Iterator[Session]:
    """Yield the sessions of a chat.db, one in memory at a time, by chat.ROWID; those without speech are left out.

    Args:
        path: the database; opened read-only.
        dropped: counts by reason of the rows that are no speech, complete when the iterator is exhausted: then these
            and the messages of all sessions add up to the rows of `message`.
        attachments: leave no trace of them, or write "[image]" and the like where they stood; a message of nothing
            else then has `only_context` set.
        contacts: an AddressBook folder, whose names then stand for addresses; nothing is read without.
        names: what training data call people; senders are addresses, or names of contacts, whatever this says.
        noted: counts what was kept and may be worth a word.

    Raises:
        InputError: not a database, damaged (names the row), or without the tables of an iMessage database.
    """
    cards = read_contacts(contacts) if contacts is not None else {}
    reading = _Reading(dropped, attachments, cards, names, Counter() if noted is None else noted)
    try:
        with opened(path) as db:
            yield from reading.sessions(Database(path, db, with_attachments=attachments == "tokens"))
    except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes damaged names as they are
        raise InputError(
            str(path) if reading.rowid is None else f"{path}, soon after message {reading.rowid}",
            f"not a readable iMessage database ({error})",
            fix="Point `download.source` at a chat.db, then run `finetune run CONFIG --from download`.",
        ) from None


class _Reading:
    """One pass over an archive.

    Attributes:
        rowid: of the last row that could be read, None before any.
    """

    def __init__(
        self,
        dropped: Counter[str],
        attachments: Attachments,
        cards: Mapping[str, Card],
        names: Names,
        noted: Counter[str],
    ) -> None:
        self._dropped = dropped
        self._cards = cards
        self._names = names
        self._attachments = attachments
        self._noted = noted
        self._elsewhere: set[int] = set()
        self._speech: Speech | None = None

    @property
    def rowid(self) -> int | None:
        return self._speech.rowid if self._speech is not None and self._speech.read else None

    def sessions(self, database: Database) -> Iterator[Session]:
        people = People(database.handles(), self._cards, self._names)
        several = database.in_several_chats()
        ids: set[str] = set()
        read = 0
        for conversation in conversations(database, people):
            speech = self._hear(database, people, conversation)
            read += speech.read
            if several:
                self._elsewhere.update(several.intersection(database.rowids(conversation.chats)))
            if conversation.why_not is not None:
                self._dropped[conversation.why_not] += speech.read
                continue
            self._dropped.update(speech.dropped)
            if not speech.messages:
                continue
            if conversation.is_filtered:
                self._noted["from unknown senders"] += len(speech.messages)
            session_id = (
                conversation.guid if conversation.guid not in ids else f"{conversation.guid}#{conversation.chats[0]}"
            )
            ids.add(session_id)
            yield Session(
                session_id,
                _kind(conversation.style, speech.messages),
                conversation.title,
                speech.messages,
                _present(people, conversation, speech.messages),
                "iMessage",
            )
        deleted = database.recently_deleted()
        orphans = database.messages() - read - deleted
        self._dropped.update({reason: n for reason, n in ((DELETED, deleted), (ORPHANED, orphans)) if n})

    def _hear(self, database: Database, people: People, conversation: Conversation) -> Speech:
        try:
            return self._hear_in_order(database, people, conversation, database.rows(conversation.chats))
        except OutOfOrder:
            rows = sorted(database.rows(conversation.chats), key=lambda row: row[:2])
            return self._hear_in_order(database, people, conversation, rows)

    def _hear_in_order(
        self, database: Database, people: People, conversation: Conversation, rows: Iterable[Row]
    ) -> Speech:
        is_direct = conversation.style == DIRECT
        self._speech = Speech(database, people, self._elsewhere, self._attachments, is_direct)
        self._speech.hear(rows)
        return self._speech


def _present(people: People, conversation: Conversation, messages: list[Message]) -> dict[str, Person]:
    """Who else is in a conversation, and who else has said something in it."""
    senders = {sender for person in conversation.people if (sender := people.sender(person)) is not None}
    senders.update(message.sender for message in messages if not message.is_me)
    return {sender: people.known.get(sender) or Person(sender) for sender in sorted(senders)}


def _kind(style: int | None, messages: list[Message]) -> Literal["direct", "group"]:
    if style in (GROUP, DIRECT):
        return "group" if style == GROUP else "direct"
    return "group" if len({message.sender for message in messages if not message.is_me}) > 1 else "direct"
