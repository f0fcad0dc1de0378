"""Indexes that a chat.db lacks, as copies by other programs do: without them each look-up goes through a table."""

import sqlite3
from collections.abc import Mapping, Set

_LOOKED_UP = (  # tables of pairs, their columns, and by which they are looked up row by row
    ("chat_message_join", ("message_id", "message_date", "chat_id"), ("chat_id", "message_id")),
    ("message_attachment_join", ("attachment_id", "message_id"), ("message_id",)),
)


def text_of(value: object) -> str:
    """Whatever a TEXT column held, as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def has_index(db: sqlite3.Connection, table: str, column: str) -> bool:
    """Whether rows of `table` are found by `column` without going through all of them."""
    for _, name, _, _, is_partial in db.execute(f"PRAGMA main.index_list({table})").fetchall():
        quoted = '"' + text_of(name).replace('"', '""') + '"'
        first = db.execute(f"PRAGMA main.index_info({quoted})").fetchone()
        if first and not is_partial and text_of(first[2]) == column:
            return True
    return False


def add_indexes(db: sqlite3.Connection, present: Mapping[str, Set[str]]) -> None:
    """Put tables of pairs that lack an index into memory with one, under their own names, which hide the file's.

    Args:
        present: the columns of each table.
    """
    for table, columns, wanted in _LOOKED_UP:
        there = present.get(table, set())
        if not set(wanted) <= there or all(has_index(db, table, column) for column in wanted):
            continue
        kept = [column for column in columns if column in there]
        db.execute(f"CREATE TEMP TABLE {table} ({', '.join(f'{column} INTEGER' for column in kept)})")
        db.execute(f"INSERT INTO temp.{table} SELECT {', '.join(map(_number, kept))} FROM main.{table} ORDER BY rowid")
        for column in wanted:
            rest = ", ".join([column, *(each for each in reversed(kept) if each != column)])
            db.execute(f"CREATE INDEX temp.{table}_by_{column} ON {table} ({rest})")


def _number(column: str) -> str:
    return f"CASE WHEN typeof({column}) IN ('text', 'blob') THEN substr({column}, 1, 40) ELSE {column} END"
