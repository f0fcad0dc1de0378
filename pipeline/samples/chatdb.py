"""Creates databases in the layout of macOS's chat.db, for the sample archive and for tests."""

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

_SCHEMA = Path(__file__).with_name("chatdb.sql")
_APPLE_EPOCH = datetime(2001, 1, 1, tzinfo=UTC)

GROUP, DIRECT = 43, 45
"""Values of chat.style."""


def create_chat_db(path: Path) -> sqlite3.Connection:
    """Create an empty chat.db and return a connection to it. The caller commits and closes."""
    db = sqlite3.connect(path)
    db.executescript(_SCHEMA.read_text(encoding="utf-8"))
    return db


def insert(db: sqlite3.Connection, table: str, row: Mapping[str, str | int | bytes | None]) -> int:
    """Insert one row; the columns left out have their defaults. Returns its ROWID."""
    places = ", ".join("?" for _ in row)
    cursor = db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", tuple(row.values()))
    return cursor.lastrowid or 0


def apple_nanoseconds(time: datetime) -> int:
    """Nanoseconds since 2001-01-01 UTC, the unit of message.date since macOS 10.13."""
    since = time - _APPLE_EPOCH
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
