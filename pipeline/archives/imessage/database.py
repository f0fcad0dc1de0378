"""The tables of chat.db: what is there, and how to ask for it.

The columns differ between machines even on one release of macOS, and between 10.11 and 27 by dozens: those that are not
there read as NULL. Values are taken as bytes and integers as they come: nothing in a row may be relied on.

Sources: ReagentX/imessage-exporter (message.rs, capabilities.rs, group_action.rs, filter_action.rs), imessage-chatdb
(DESIGN.md), tagatac/bagoup#24 (10.11 has no chat_message_join.message_date).
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.archives import sqlite
from pipeline.archives.imessage.indexes import add_indexes, has_index, text_of
from pipeline.archives.imessage.times import when_expression
from pipeline.errors import InputError

LINK_PREVIEW = b"com.apple.messages.URLBalloonProvider"
"""The one balloon whose text somebody typed."""

_NEEDED_TABLES = ("message", "handle", "chat_message_join")
TABLES = (
    *_NEEDED_TABLES,
    "chat",
    "chat_handle_join",
    "chat_recoverable_message_join",
    "attachment",
    "message_attachment_join",
)
"""All that is read."""

_CACHE_KB = 16_384
_TIMES, _ROOM = 20, 64_000_000  # how much is read at most: so many times the file, and so many bytes
_LONGEST_DEFAULT = 200  # bytes of the SQL of a column's default, which is 0 or NULL

# The keys first, from an index alone where there is one; then the rows, in that order, one by one.
_IN_ORDER = (
    "FROM (SELECT message_id FROM chat_message_join WHERE chat_id IN (?) ORDER BY {order} LIMIT -1) "
    "CROSS JOIN message ON message.ROWID = message_id"
)
_IN_ORDER_OF_DATES = (
    "FROM (SELECT message.ROWID AS own FROM chat_message_join CROSS JOIN message ON message.ROWID = message_id "
    "WHERE chat_id IN (?) ORDER BY {date}, own LIMIT -1) CROSS JOIN message ON message.ROWID = own"
)
_ITS_CHATS = "SELECT 1 FROM chat_message_join WHERE message_id = message.ROWID AND typeof(chat_id) = 'integer'"

ORDINARY, IN_WORDS, LINK, IN_DETAIL = 0, 1, 2, 3
"""Kinds of rows that may be speech: plain; by SMS or RCS, where tapbacks come in words; a link with its preview; with
more columns to look at."""

NO_SPEECH = {
    10: "tapback, sticker or vote",
    11: "event",
    12: "system message or automatic reply",
    13: "spam",
    14: "junk, promotion or transaction",
    15: "app message",
    16: "not sent yet",
}
"""Kinds of rows that are none, whatever their text says."""

_Kind = tuple[int, tuple[str, ...], str]

_KINDS: tuple[_Kind, ...] = (  # in order of precedence: kind, the columns it needs, the condition
    (10, ("associated_message_type",), "{0} IN (1000, 4000) OR {0} BETWEEN 2000 AND 3999"),
    (11, ("item_type",), "{0} <> 0"),  # members come and go, names change, locations are shared
    (12, ("is_system_message",), "{0} <> 0"),
    (12, ("is_service_message",), "{0} <> 0"),
    (12, ("is_auto_reply",), "{0} <> 0"),
    (12, ("is_corrupt",), "{0} <> 0"),
    (13, ("is_spam",), "{0} <> 0"),
    (14, ("filter_action",), "{0} IN (2, 3, 4)"),
    (15, ("balloon_bundle_id",), f"{{0}} <> '' AND {{0}} <> '{LINK_PREVIEW.decode()}'"),
    (16, ("schedule_type", "is_sent"), "{0} = 2 AND ifnull({1}, 0) = 0"),  # Send Later
    (IN_DETAIL, ("is_audio_message",), "{0} <> 0"),
    (IN_DETAIL, ("thread_originator_guid",), "{0} <> ''"),
    (IN_DETAIL, ("subject",), "{0} <> ''"),
    (IN_DETAIL, ("date_edited",), "{0} <> 0"),
    (IN_DETAIL, ("date_retracted",), "{0} <> 0"),
    # the keys `ec` and `rp` of a binary plist; in a plist of another kind, look at it
    (
        IN_DETAIL,
        ("message_summary_info",),
        "{0} IS NOT NULL AND (instr({0}, x'526563') OR instr({0}, x'527270') OR substr({0}, 1, 6) <> x'62706c697374')",
    ),
)
_LESSER_KINDS: tuple[_Kind, ...] = (
    (LINK, ("balloon_bundle_id",), "{0} <> ''"),
    (IN_WORDS, ("service",), "{0} IN ('SMS', 'RCS', 'rcs')"),
)

_ATTACHED: _Kind = (IN_DETAIL, ("cache_has_attachments",), "{0} <> 0")

Value = int | float | bytes | None
Row = tuple[int, int, int, Value, Value, Value, Value]
"""Microseconds since 2001, ROWID, kind, is_from_me, handle_id, text, attributedBody."""


SMS = (b"SMS", b"RCS", b"rcs")
"""Values of message.service for what is no iMessage."""


class Detail(NamedTuple):
    """What else there is to know of a row of kind IN_DETAIL; the last is the ROWID of the message it replies to."""

    service: Value
    subject: Value
    is_audio_message: Value
    cache_has_attachments: Value
    date_retracted: Value
    message_summary_info: Value
    thread_originator_guid: Value
    original: Value


class Attachment(NamedTuple):
    """The columns of `attachment` that are read."""

    mime_type: str
    uti: str
    transfer_name: str
    is_sticker: bool
    user_info: Value


class Chat(NamedTuple):
    """A row of `chat`, or what stands for one that is missing."""

    rowid: int
    guid: str
    style: int | None
    title: str | None
    identifier: str | None
    group: str | None
    is_filtered: bool


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a chat.db to read; see sqlite.opened.

    Raises:
        InputError: it is not as Messages writes it.
        sqlite3.Error: no database, or damaged.
    """
    with sqlite.opened(path, TABLES) as db:
        db.text_factory = bytes  # damaged text is ours to mend
        db.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        yield db


def _size(path: Path) -> int:
    """Bytes of a database and of its log."""
    log = path.with_name(f"{path.name}-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)


def _not_by_messages(path: Path, what: str) -> InputError:
    fix = "Point `download.source` at a chat.db as Messages wrote it, then run `finetune run CONFIG --from download`."
    return InputError(str(path), f"not a database that Messages wrote: {what}", fix=fix)


class Database:
    """Questions to one chat.db."""

    def __init__(self, path: Path, db: sqlite3.Connection, *, with_attachments: bool = False) -> None:
        self._db = db
        tables = {text_of(name) for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        missing = [name for name in _NEEDED_TABLES if name not in tables]
        if missing:
            raise InputError(
                str(path),
                f"not an iMessage database: it has no table {' and no table '.join(missing)}",
                fix="Point `download.source` at a chat.db, or say with `load.source` and `load.loader` what it is.",
            )
        self._path, self._counted, self._most = path, 0, _TIMES * _size(path) + _ROOM
        self._present = {table: self._columns(table) for table in TABLES if table in tables}
        add_indexes(db, self._present)
        kinds = (*_KINDS, *([_ATTACHED] if with_attachments else []), *_LESSER_KINDS)
        usual = f"{'message_date, ' if 'message_date' in self._present['chat_message_join'] else ''}message_id"
        self._columns_of_rows = self._select_rows(kinds)
        self._rows_query = self._columns_of_rows + _IN_ORDER.format(order=usual)
        self._sorted_query = self._columns_of_rows + _IN_ORDER_OF_DATES.format(date=self._date())
        self._dates_query = f"SELECT {self._date()}, message.ROWID " + _IN_ORDER.format(order=usual)
        self._detail_query = self._build_detail_query()

    def has(self, table: str) -> bool:
        """Whether it has that table."""
        return table in self._present

    def messages(self) -> int:
        """How many rows `message` has."""
        return int(self._db.execute("SELECT count(*) FROM message").fetchone()[0])

    def in_several_chats(self) -> list[tuple[int, int]]:
        """ROWID and chat of the messages that are in more than one."""
        listed = "SELECT count(message_id) FROM chat_message_join"
        once = "SELECT count(message_id) FROM (SELECT DISTINCT message_id FROM chat_message_join)"
        if self._db.execute(f"SELECT ({listed}) = ({once})").fetchone()[0]:  # several times as fast, and the usual case
            return []
        query = (
            "SELECT message_id, chat_id FROM chat_message_join WHERE message_id IN "
            "(SELECT message_id FROM chat_message_join GROUP BY message_id HAVING count(*) > 1)"
        )
        return [pair for pair in self._db.execute(query) if all(isinstance(each, int) for each in pair)]

    def sizes(self) -> dict[int, int]:
        """How many messages each chat lists."""
        return dict(self._db.execute("SELECT chat_id, count(*) FROM chat_message_join GROUP BY chat_id"))

    def orphans(self) -> int:
        """How many messages are in no chat, nor under Recently Deleted."""
        odd = "SELECT 1 FROM chat_message_join WHERE typeof(chat_id) <> 'integer' LIMIT 1"
        on = "message_id = message.ROWID"  # which an index has
        if self._db.execute(odd).fetchone():
            on += " AND typeof(chat_id) = 'integer'"
        query = f"SELECT count(*) FROM message LEFT JOIN chat_message_join ON {on} WHERE message_id IS NULL"
        return int(self._db.execute(query).fetchone()[0]) - self.recently_deleted()

    def is_intact(self) -> bool:
        """Whether SQLite finds nothing wrong with the file; it reads all of it."""
        # To check an index, SQLite computes what is in it, which may take for ever; Messages' own compute nothing.
        calls = "SELECT 1 FROM sqlite_master WHERE type = 'index' AND length(sql) - length(replace(sql, '(', '')) > 1"
        check = "quick_check" if self._db.execute(calls).fetchone() else "integrity_check"
        return bool(sqlite.first_row(self._db, f"PRAGMA {check}(1)")[0] == b"ok")

    def recently_deleted(self) -> int:
        """How many messages are in no chat but under Recently Deleted."""
        if "chat_recoverable_message_join" not in self._present:
            return 0
        query = (
            "SELECT count(*) FROM message WHERE ROWID IN (SELECT message_id FROM chat_recoverable_message_join) "
            f"AND NOT EXISTS ({_ITS_CHATS})"
        )
        return int(self._db.execute(query).fetchone()[0])

    def rows_in_no_chat(self, *, deleted: bool) -> Iterator[Row]:
        """The messages that `recently_deleted` counts, or those that `orphans` does."""
        recoverable = "message.ROWID IN (SELECT message_id FROM chat_recoverable_message_join)"
        if "chat_recoverable_message_join" not in self._present:
            recoverable = "0"
        condition = f"NOT EXISTS ({_ITS_CHATS}) AND {'' if deleted else 'NOT '}{recoverable}"
        return self._db.execute(f"{self._columns_of_rows} FROM message WHERE {condition}")

    def chats(self) -> list[Chat]:
        """Every chat that has messages, by ROWID, with or without a row in `chat`."""
        wanted = ("guid", "style", "display_name", "chat_identifier", "group_id", "original_group_id", "is_filtered")
        join = "LEFT JOIN chat ON chat.ROWID = chat_id" if "chat" in self._present else ""
        query = (
            f"SELECT chat_id, {self.select('chat', wanted)} FROM (SELECT DISTINCT chat_id FROM chat_message_join) "
            f"{join} WHERE typeof(chat_id) = 'integer' ORDER BY chat_id"
        )
        return [
            Chat(
                rowid,
                text_of(guid) or f"chat-{rowid}",
                style if isinstance(style, int) else None,
                text_of(name) or None,
                text_of(identifier) or None,
                text_of(group) or text_of(original) or None,
                bool(filtered),
            )
            for rowid, guid, style, name, identifier, group, original, filtered in self.counting(query)
        ]

    def handles(self) -> list[tuple[int, str, str]]:
        """ROWID, address and person_centric_id of every handle."""
        columns = self.select("handle", ("id", "person_centric_id"))
        query = f"SELECT ROWID, {columns} FROM handle ORDER BY ROWID"
        return [(rowid, text_of(address), text_of(person)) for rowid, address, person in self.counting(query)]

    def members(self) -> Iterator[tuple[int, int]]:
        """Pairs of chat and handle: who else is in it. It says nothing about authors, and lacks the owner."""
        if {"chat_id", "handle_id"} <= self._present.get("chat_handle_join", set()):
            yield from self._db.execute("SELECT chat_id, handle_id FROM chat_handle_join")

    def rows(self, chats: Sequence[int], *, by_their_own_dates: bool = False) -> Iterator[Row]:
        """The messages in `chats`, in order of time.

        Usually that is the order of chat_message_join.message_date, which an index has; where it is not, the rows'
        own dates have to be looked at first.
        """
        places = ", ".join("?" for _ in chats)
        query = self._sorted_query if by_their_own_dates else self._rows_query
        return self._db.execute(query.replace("(?)", f"({places})"), chats)

    def is_in_order(self, chats: Sequence[int]) -> bool:
        """Whether the usual order of the messages in `chats` is that of time."""
        places = ", ".join("?" for _ in chats)
        last = (-(2**64), 0)
        for when in self._db.execute(self._dates_query.replace("(?)", f"({places})"), chats):
            if when < last:
                return False
            last = when
        return True

    def detail(self, rowid: int) -> Detail:
        """What else there is to know of a message."""
        found = self._db.execute(self._detail_query, (rowid,)).fetchone()
        self.count(found)
        return Detail._make(found)

    def words(self, rowid: int) -> tuple[Value, Value, Value, Value]:
        """text, attributedBody, is_from_me and handle_id of a message."""
        columns = self.select("message", ("text", "attributedBody", "is_from_me", "handle_id"))
        query = f"SELECT {columns} FROM message WHERE ROWID = ?"
        text, body, is_from_me, handle = self._db.execute(query, (rowid,)).fetchone()
        self.count((text, body))
        return text, body, is_from_me, handle

    def count(self, values: Iterable[object]) -> None:
        """Take note of what was read.

        Raises:
            InputError: it is far more than the file can hold: one value, or the default of a column, stands for many.
        """
        self.add(sum(len(value) for value in values if isinstance(value, bytes)))

    def add(self, size: int) -> None:
        """As `count`, for so many bytes."""
        self._counted += size
        if self._counted > self._most:
            raise _not_by_messages(self._path, f"what it says is over {_TIMES} times as large as the file")

    def attachments(self, rowid: int) -> list[Attachment]:
        """What is attached to a message."""
        if not {"message_attachment_join", "attachment"} <= self._present.keys():
            return []
        columns = self.select("attachment", ("mime_type", "uti", "transfer_name", "is_sticker", "user_info"))
        query = (
            f"SELECT {columns} FROM message_attachment_join JOIN attachment ON attachment.ROWID = attachment_id "
            "WHERE message_id = ? ORDER BY attachment_id"
        )
        return [
            Attachment(text_of(mime), text_of(uti), text_of(name), bool(sticker), info)
            for mime, uti, name, sticker, info in self.counting(query, (rowid,))
        ]

    def counting(self, query: str, parameters: Sequence[int] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, which `count` takes note of."""
        for row in self._db.execute(query, parameters):
            self.count(row)
            yield row

    def _columns(self, table: str) -> set[str]:
        columns = self._db.execute(f"PRAGMA table_info({table})").fetchall()
        for _, column, _, _, default, _ in columns:
            if len(default or b"") > _LONGEST_DEFAULT:
                what = f"its table {table} has {len(default):,} bytes as the default of {text_of(column)[:40]!a}"
                raise _not_by_messages(self._path, what)
        return {text_of(column) for _, column, *_ in columns}

    def select(self, table: str, wanted: Sequence[str]) -> str:
        """Columns for a SELECT; NULL for those that this database does not have."""
        present = self._present.get(table, set())
        return ", ".join(f"{table}.{name}" if name in present else "NULL" for name in wanted)

    def _build_detail_query(self) -> str:
        columns = self.select("message", Detail._fields[:-1])
        if not {"guid", "thread_originator_guid"} <= self._present["message"]:
            return f"SELECT {columns}, NULL FROM message WHERE ROWID = ?"
        originals, own = "message", "ROWID"
        if not has_index(self._db, "message", "guid"):
            self._db.execute(
                "CREATE TEMP TABLE guids AS SELECT guid, ROWID AS own FROM message WHERE length(guid) < 200"
            )
            self._db.execute("CREATE INDEX temp.by_guid ON guids (guid, own)")
            originals, own = "guids", "own"
        return (
            f"SELECT {columns}, original.{own} FROM message LEFT JOIN {originals} AS original "
            "ON original.guid = message.thread_originator_guid AND message.thread_originator_guid <> '' "
            "WHERE message.ROWID = ?"
        )

    def _date(self) -> str:
        return when_expression("message.date") if "date" in self._present["message"] else "0"

    def _select_rows(self, known: Sequence[_Kind]) -> str:
        present = self._present["message"]
        kinds = " ".join(
            f"WHEN {condition.format(*(self.select('message', [name]) for name in names))} THEN {kind}"
            for kind, names, condition in known
            if names[0] in present
        )
        columns = self.select("message", ("is_from_me", "handle_id", "text", "attributedBody"))
        return f"SELECT {self._date()}, message.ROWID, {f'CASE {kinds} ELSE 0 END' if kinds else '0'}, {columns} "
