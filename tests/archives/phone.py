"""A chat.db that a test fills row by row, and reads back."""

import itertools
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Literal

from pipeline.archives.imessage import stream_imessage
from pipeline.config.settings import Config
from pipeline.dataset.checks import check_example
from pipeline.dataset.funnel import funnel
from pipeline.dataset.preset import BURST_GAP_S, texting_of
from pipeline.samples.chatdb import DIRECT, create_chat_db, insert
from pipeline.sessions.session import OWNER, Session
from pipeline.sessions.stream import streamed, whole
from pipeline.sessions.transform import map_roles
from tests.sessions.files import merge_session

Value = str | int | bytes | float | None


class Phone:
    """A chat.db that a test fills row by row."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = create_chat_db(path)
        self.db.execute("PRAGMA synchronous = OFF")
        self._numbers = itertools.count(1)

    def handle(self, address: str, service: str = "iMessage", person: str | None = None) -> int:
        return insert(self.db, "handle", {"id": address, "service": service, "person_centric_id": person})

    def chat(
        self, guid: str, style: int | None = DIRECT, name: str | None = None, *, members: tuple[int, ...] = (),
        group: str | None = None, **columns: str | int,
    ) -> int:  # fmt: skip
        row = {"guid": guid, "style": style, "display_name": name, "group_id": group, **columns}
        chat = insert(self.db, "chat", row)
        for member in members:
            insert(self.db, "chat_handle_join", {"chat_id": chat, "handle_id": member})
        return chat

    def message(self, chat: int | None, row: Mapping[str, Value]) -> int:
        """Insert a message, the n-th at n seconds past 20:26:40 unless `row` says otherwise, into `chat` or none."""
        number = next(self._numbers)
        full = {"guid": f"guid-{number}", "date": (700_000_000 + number) * 10**9, **row}
        places = ", ".join("?" for _ in full)
        cursor = self.db.execute(f"INSERT INTO message ({', '.join(full)}) VALUES ({places})", tuple(full.values()))
        rowid = cursor.lastrowid or 0
        if chat is not None:
            self.join(chat, rowid, full["date"])
        return rowid

    def join(self, chat: int, message: int, date: Value = 0) -> None:
        self.db.execute(
            "INSERT INTO chat_message_join (chat_id, message_id, message_date) VALUES (?, ?, ?)", (chat, message, date)
        )

    def attach(self, message: int, row: Mapping[str, Value]) -> None:
        number = next(self._numbers)
        values = {"guid": f"at-{number}", "original_guid": f"at-{number}", **row}
        places = ", ".join("?" for _ in values)
        cursor = self.db.execute(
            f"INSERT INTO attachment ({', '.join(values)}) VALUES ({places})", tuple(values.values())
        )
        self.db.execute("INSERT INTO message_attachment_join VALUES (?, ?)", (message, cursor.lastrowid))
        self.db.execute("UPDATE message SET cache_has_attachments = 1 WHERE ROWID = ?", (message,))

    def save(self) -> Path:
        self.db.commit()
        return self.path


def read_file(path: Path, attachments: Literal["drop", "tokens"] = "drop") -> tuple[list[Session], Counter[str]]:
    """The sessions and what was dropped; every row must be in exactly one of them."""
    dropped: Counter[str] = Counter()
    sessions = list(map(whole, stream_imessage(path, dropped, attachments=attachments)))
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT count(*) FROM message").fetchone()[0]
    assert sum(len(session.messages) for session in sessions) + dropped.total() == rows
    assert all(count > 0 for count in dropped.values())
    assert_balanced(sessions, dropped)
    return sessions, dropped


def assert_balanced(sessions: list[Session], dropped: Counter[str]) -> None:
    """Every message ends in one place on the way to examples: with `preset: texting` too."""
    config = Config.model_validate({"name": "x", "convert": {"preset": "texting", "window_tokens": 64}})
    mapped = [map_roles(merge_session(session, "\n", BURST_GAP_S), OWNER) for session in sessions]
    texting = texting_of(config, weights=True)
    for written in texting.examples(lambda: map(streamed, mapped)):
        assert check_example(written.example) is None
    assert funnel(sum(len(session.messages) for session in sessions), dropped, texting.train, texting.valid)


def read(phone: Phone, attachments: Literal["drop", "tokens"] = "drop") -> tuple[list[Session], Counter[str]]:
    return read_file(phone.save(), attachments)


def said(sessions: list[Session]) -> list[list[tuple[str, str]]]:
    return [[(message.sender, message.content) for message in session.messages] for session in sessions]


def second(number: int) -> str:
    return f"2023-03-08T20:26:{40 + number}Z"
