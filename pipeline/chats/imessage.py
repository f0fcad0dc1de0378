"""Reads macOS's ~/Library/Messages/chat.db: iMessage, SMS and RCS.

Who wrote a message is told by `is_from_me` alone. `handle_id` names the writer only of what came in; on the owner's own
messages it is the recipient, 0 or NULL, so handles are LEFT JOINed. `chat_handle_join` lists members, without the
owner, and says nothing about authors. The columns differ between machines even on one release of macOS: those that are
not there read as NULL.

Sources: ReagentX/imessage-exporter (message.rs, tables and docs), imessage-chatdb (docs/TYPEDSTREAM.md, counted on a
live database), imessage-conversation-analyzer (core.py).
"""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.chats.session import OWNER, Message, Session
from pipeline.chats.text_tapbacks import is_text_tapback
from pipeline.chats.typedstream import decode_attributed_body
from pipeline.errors import InputError

UNKNOWN_SENDER = "unknown"
"""Sender of a message that came in without a handle."""

_NEEDED_TABLES = ("message", "handle", "chat_message_join")
_GROUP, _DIRECT = 43, 45  # chat.style
_APPLE_EPOCH = datetime(2001, 1, 1)  # UTC, without saying so: datetime formats it twice as fast
_LATEST_IN_SECONDS = 10**11
_PLACEHOLDERS = str.maketrans("", "", "\ufffc\ufffd")  # where attachments and apps stand in the text
_LINK_PREVIEW = "com.apple.messages.URLBalloonProvider"  # the one balloon whose text somebody typed
_ONE_TIME_CODE = b"__kIMOneTimeCodeAttributeName"


class _Row(NamedTuple):
    """The columns of `message` that are read, and the handle's address."""

    rowid: int
    date: int | None
    is_from_me: int | None
    text: str | bytes | None
    attributedBody: bytes | str | None  # noqa: N815 - the column's name
    subject: str | None
    service: str | None
    associated_message_type: int | None
    item_type: int | None
    balloon_bundle_id: str | None
    is_system_message: int | None
    is_service_message: int | None
    is_auto_reply: int | None
    is_corrupt: int | None
    is_spam: int | None
    handle: str | None


def read_imessage(path: Path, dropped: Counter[str]) -> Iterator[Session]:
    """Yield the sessions of a chat.db, one in memory at a time, by chat.ROWID; chats without speech are left out.

    Args:
        path: the database; opened read-only.
        dropped: counts by reason of the messages that are no speech, complete when the iterator is exhausted.

    Raises:
        InputError: not a database, damaged, or without the tables of an iMessage database.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            db.execute("PRAGMA query_only = 1")
            db.text_factory = lambda data: data.decode("utf-8", "replace")
            _require_tables(path, db)
            if orphans := _count_orphans(db):
                dropped["not in any chat"] += orphans
            for chat_id, guid, style, title in _chats(db):
                messages = _speech(_rows(db, chat_id), dropped)
                if messages:
                    yield Session(guid or f"chat-{chat_id}", _kind(style, messages), title or None, messages)
    except sqlite3.Error as error:
        raise InputError(
            str(path),
            f"not a readable iMessage database ({error})",
            fix="Point `download.source` at a chat.db, then run `finetune run CONFIG --from download`.",
        ) from None


def utc_time(date: int) -> str | None:
    """Turn `message.date` into "2023-08-28T00:32:03Z"; None where it is 0 or out of range.

    The unit is nanoseconds since 2001-01-01 UTC, whole seconds before macOS 10.13; one database can hold both.
    """
    try:
        time = _APPLE_EPOCH + timedelta(microseconds=_nanoseconds(date) // 1000)
    except OverflowError:
        return None
    return time.isoformat(timespec="seconds") + "Z" if date else None


def _nanoseconds(date: int | None) -> int:
    date = date or 0
    return date if abs(date) > _LATEST_IN_SECONDS else date * 10**9


def _require_tables(path: Path, db: sqlite3.Connection) -> None:
    present = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    missing = [name for name in _NEEDED_TABLES if name not in present]
    if missing:
        raise InputError(
            str(path),
            f"not an iMessage database: it has no table {' and no table '.join(missing)}",
            fix="Point `download.source` at a chat.db, or say with `load.source` and `load.loader` what it is.",
        )


def _count_orphans(db: sqlite3.Connection) -> int:
    """Messages of deleted chats, mostly; Recently Deleted ones are among them."""
    query = "SELECT count(*) FROM message WHERE ROWID NOT IN (SELECT message_id FROM chat_message_join)"
    return int(db.execute(query).fetchone()[0])


def _chats(db: sqlite3.Connection) -> list[tuple[int, str | None, int | None, str | None]]:
    """ROWID, guid, style and display_name of every chat that has messages, with or without a row in `chat`."""
    columns = _columns(db, "chat", ["guid", "style", "display_name"])
    join = "LEFT JOIN chat ON chat.ROWID = chat_id" if "chat." in columns else ""
    return db.execute(
        f"SELECT chat_id, {columns} FROM (SELECT DISTINCT chat_id FROM chat_message_join) {join} ORDER BY chat_id"
    ).fetchall()


def _rows(db: sqlite3.Connection, chat_id: int) -> list[_Row]:
    """The messages of one chat in order of time: sorted here, since raw dates of two units do not compare."""
    columns = _columns(db, "message", _Row._fields[1:-1])
    cursor = db.execute(
        f"SELECT message.ROWID, {columns}, handle.id FROM chat_message_join "
        "JOIN message ON message.ROWID = message_id LEFT JOIN handle ON handle.ROWID = message.handle_id "
        "WHERE chat_id = ?",
        (chat_id,),
    )
    return sorted(map(_Row._make, cursor), key=lambda row: (_nanoseconds(row.date), row.rowid))


def _columns(db: sqlite3.Connection, table: str, wanted: Sequence[str]) -> str:
    present = {column for _, column, *_ in db.execute(f"PRAGMA table_info({table})")}
    return ", ".join(f"{table}.{name}" if name in present else "NULL" for name in wanted)


def _speech(rows: list[_Row], dropped: Counter[str]) -> list[Message]:
    messages: list[Message] = []
    said: set[str] = set()
    for row in rows:
        content = _text(row)
        reason = _why_no_speech(row) or (None if content else "no text")
        if reason is None and row.service in ("SMS", "RCS", "rcs") and is_text_tapback(content, said):
            reason = "tapback in words"
        if reason is not None:
            dropped[reason] += 1
            continue
        said.add(content)
        sender = OWNER if row.is_from_me else row.handle or UNKNOWN_SENDER
        messages.append(Message(sender, bool(row.is_from_me), utc_time(row.date or 0), content))
    return messages


def _why_no_speech(row: _Row) -> str | None:
    """The reason to drop a row whatever its text says; types and flags as in imessage-exporter's message.rs."""
    associated = row.associated_message_type or 0  # 2 and 3 are apps' ordinary messages
    if associated in (1000, 4000) or 2000 <= associated < 4000:
        return "tapback, sticker or vote"
    if row.item_type:  # members come and go, names change, locations are shared
        return "event"
    if row.is_system_message or row.is_service_message or row.is_auto_reply or row.is_corrupt:
        return "system message or automatic reply"
    if row.is_spam:
        return "spam"
    if row.balloon_bundle_id not in (None, "", _LINK_PREVIEW):
        return "app message"
    if isinstance(row.attributedBody, bytes) and _ONE_TIME_CODE in row.attributedBody:
        return "one-time code"
    return None


def _text(row: _Row) -> str:
    """What was typed: the body's text, else the text column's; "" for an attachment alone."""
    body = decode_attributed_body(row.attributedBody) if isinstance(row.attributedBody, bytes) else None
    text = body or (row.text if isinstance(row.text, str) else "")
    return "\n".join(part for part in ((row.subject or "").strip(), text.translate(_PLACEHOLDERS).strip()) if part)


def _kind(style: int | None, messages: list[Message]) -> Literal["direct", "group"]:
    if style in (_GROUP, _DIRECT):
        return "group" if style == _GROUP else "direct"
    return "group" if len({message.sender for message in messages if not message.is_me}) > 1 else "direct"
