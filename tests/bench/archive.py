"""Makes a large chat.db that looks like a real one: the same for the same size and seed.

Seven in ten texts are in attributedBody only, as since macOS 13; the oldest tenth has its dates in whole seconds.
People write from several handles, talk in bursts, tap back, send photos and links, edit and reply; a few rows are in no
chat.
"""

import plistlib
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from pipeline.samples.attributed_body import FILE_TRANSFER_GUID, ONE_TIME_CODE, PART, encode_attributed_body
from pipeline.samples.chatdb import DIRECT, GROUP, create_chat_db

_BEGIN, _END = 410_000_000, 780_000_000  # seconds since 2001: early 2014 to autumn 2025
_SYLLABLES = [first + second for first in "bdklmnrst" for second in "aeio"]
_OWNER = "owner@example.test"
_POOL = 20_000
_COLUMNS = (
    "ROWID, guid, text, handle_id, attributedBody, service, account, date, date_read, date_delivered, is_delivered, "
    "is_finished, is_from_me, is_sent, is_read, was_data_detected, cache_has_attachments, item_type, "
    "associated_message_guid, associated_message_type, balloon_bundle_id, message_summary_info, destination_caller_id, "
    "date_edited, thread_originator_guid, thread_originator_part, part_count"
)
_Row = tuple[str | int | bytes | None, ...]


class _Text(NamedTuple):
    text: str
    body: bytes


class _Chat(NamedTuple):
    rowid: int
    service: str
    handles: list[int]


class _Pools(NamedTuple):
    """What can be said, encoded once."""

    said: list[_Text]
    tapbacks: list[_Text]
    photos: list[_Text]
    links: list[_Text]
    codes: list[_Text]
    edits: list[bytes]


def build_archive(path: Path, messages: int, chats: int, seed: int = 0) -> None:
    """Write a chat.db of `messages` rows in `chats` chats to `path`; a million take about fifteen seconds."""
    chance = random.Random(seed)
    with closing(create_chat_db(path)) as db:
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        indexes = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}")
        writer = _Writer(chance, _pools(chance), _people(db, chats, chance), messages)
        places = ", ".join("?" for _ in _COLUMNS.split(", "))
        db.executemany(f"INSERT INTO message ({_COLUMNS}) VALUES ({places})", writer.rows())
        db.executemany(
            "INSERT INTO chat_message_join (chat_id, message_id, message_date) VALUES (?, ?, ?)", writer.joins
        )
        for _, sql in indexes:
            db.execute(sql)
        db.execute("ANALYZE")
        db.commit()


def _people(db: sqlite3.Connection, chats: int, chance: random.Random) -> list[_Chat]:
    """Six in seven chats are with one person, who may have another by SMS; the rest are groups of three to eight."""
    made: list[_Chat] = []
    handles = 0
    people: list[int] = []
    while len(made) < chats:
        rowid = len(made) + 1
        if rowid % 7 == 0:
            members = chance.sample(people, min(len(people), chance.randint(3, 8)))
            _insert_chat(db, rowid, f"iMessage;+;chat{rowid:09}", GROUP, f"Group {rowid}", members)
            made.append(_Chat(rowid, "iMessage", members))
            continue
        number, person = f"+1555{rowid:07}", f"person-{rowid}" if chance.random() < 0.3 else None
        for service in ("iMessage", "SMS") if chance.random() < 0.2 and len(made) + 1 < chats else ("iMessage",):
            handles += 1
            rowid = len(made) + 1
            db.execute(
                "INSERT INTO handle (ROWID, id, service, person_centric_id) VALUES (?, ?, ?, ?)",
                (handles, number, service, person),
            )
            _insert_chat(db, rowid, f"{service};-;{number}", DIRECT, None, [handles])
            made.append(_Chat(rowid, service, [handles]))
        people.append(handles)
    return made


def _insert_chat(
    db: sqlite3.Connection, rowid: int, guid: str, style: int, name: str | None, members: list[int]
) -> None:
    db.execute(
        "INSERT INTO chat (ROWID, guid, style, state, chat_identifier, service_name, account_login, display_name, "
        "group_id, last_addressed_handle) VALUES (?, ?, ?, 3, ?, ?, ?, ?, ?, ?)",
        (rowid, guid, style, guid[11:], guid[:8], f"E:{_OWNER}", name, f"group-{rowid}", _OWNER),
    )
    db.executemany("INSERT INTO chat_handle_join VALUES (?, ?)", [(rowid, member) for member in members])


def _pools(chance: random.Random) -> _Pools:
    words = ["".join(chance.choices(_SYLLABLES, k=chance.choice([1, 1, 2, 2, 3]))) for _ in range(3000)]
    said = []
    for _ in range(_POOL):
        count = chance.choice([1, 2, 2, 3, 4, 5, 6, 8, 9, 12, 15, chance.randint(16, 80)])
        text = " ".join(chance.choices(words, k=count)).capitalize() + chance.choice(
            ["", "", ".", "!", "?", " 😂", "é"]
        )
        said.append(_Text(text, encode_attributed_body(text, mutable=chance.random() < 0.3)))
    return _Pools(
        said,
        [_encoded(f"{chance.choice(['Loved', 'Liked', 'Laughed at'])} “{text.text}”") for text in said[:2000]],
        [_photo(text.text if number % 2 else "") for number, text in enumerate(said[:1000])],
        [_encoded(f"https://example.test/{text.text[:9].replace(' ', '-')}") for text in said[:1000]],
        [_code(number) for number in range(500)],
        [_edit(text) for text in said[:500]],
    )


def _encoded(text: str) -> _Text:
    return _Text(text, encode_attributed_body(text))


def _photo(caption: str) -> _Text:
    text = "\ufffc" + caption
    runs: list[tuple[int, dict[str, int | str]]] = [(1, {FILE_TRANSFER_GUID: "at_0_1", PART: 0})]
    if caption:
        runs.append((len(caption.encode("utf-16-le")) // 2, {PART: 1}))
    return _Text(text, encode_attributed_body(text, runs=runs))


def _code(number: int) -> _Text:
    text = f"{1000 + number} is your code"
    runs: list[tuple[int, dict[str, int | str]]] = [(4, {ONE_TIME_CODE: "1", PART: 0}), (len(text) - 4, {PART: 0})]
    return _Text(text, encode_attributed_body(text, runs=runs))


def _edit(text: _Text) -> bytes:
    """The history of an edited message: what it was, and what it is."""
    versions = [{"d": 700_000_000.0, "t": encode_attributed_body("Wrong")}, {"d": 700_000_060.0, "t": text.body}]
    return plistlib.dumps(
        {"ust": True, "ec": {"0": versions}, "otr": {"0": {"lo": 0, "le": 5}}}, fmt=plistlib.FMT_BINARY
    )


class _Writer:
    """Yields message rows as time goes by, and collects where they belong."""

    def __init__(self, chance: random.Random, pools: _Pools, chats: list[_Chat], messages: int) -> None:
        self._chance = chance
        self._pools = pools
        self._chats = chats
        self._messages = messages
        self.joins: list[tuple[int, int, int]] = []

    def rows(self) -> Iterator[_Row]:
        """A burst of some eight messages in one chat, a pause, another in another: the lower, the likelier."""
        chance, total = self._chance, self._messages
        weights = [1 / (number + 3) for number in range(1, len(self._chats) + 1)]
        pause = (_END - _BEGIN) / (total * 0.125)
        now, chat, is_mine, last = float(_BEGIN), self._chats[0], False, ""
        for number in range(1, total + 1):
            if number == 1 or chance.random() < 0.125:
                now += chance.random() * 2 * pause
                chat = chance.choices(self._chats, weights)[0]
            now += chance.expovariate(1 / 20) if pause > 200 else 1
            if chance.random() < 0.6:
                is_mine = not is_mine
            seconds = int(now)
            date = seconds if number < total // 10 else seconds * 10**9 + number
            if chance.random() > 0.003:
                self.joins.append((chat.rowid, number, date))
            guid = f"{number:08X}-5EED-4000-8000-{chat.rowid:012X}"
            yield self._row(number, guid, chat, is_mine, date, last)
            last = guid

    def _row(self, number: int, guid: str, chat: _Chat, is_mine: bool, date: int, last: str) -> _Row:
        chance, pools = self._chance, self._pools
        draw = chance.random()
        said, kind, target, item, balloon, history, edited, thread = pools.said, 0, None, 0, None, None, 0, None
        if draw < 0.08:
            said, kind, target = pools.tapbacks, 2000 + int(draw * 75), f"p:0/{last}"
        elif draw < 0.12:
            said = pools.photos
        elif draw < 0.14:
            said, balloon = pools.links, "com.apple.messages.URLBalloonProvider"
        elif draw < 0.15:
            said = pools.codes
        elif draw < 0.153:
            item = 2
        text = said[int(chance.random() * len(said))]
        if 0.16 < draw < 0.17:
            history, edited = pools.edits[int(draw * 100_000) % len(pools.edits)], date
        elif 0.17 < draw < 0.20:
            thread = last
        return (
            number, guid, text.text if number <= self._messages * 0.3 else None,
            0 if is_mine and len(chat.handles) > 1 else chance.choice(chat.handles), text.body, chat.service,
            f"E:{_OWNER}", date, date, 0, 1, 1, int(is_mine), int(is_mine), int(not is_mine), 1,
            int(said is pools.photos), item, target, kind, balloon, history, _OWNER, edited, thread,
            thread and "0:0:5", 1,
        )  # fmt: skip
