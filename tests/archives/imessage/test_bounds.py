"""Databases that are made to be slow or large: reading them takes time and memory as their size does."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.archives.imessage import database, reader, require_balance, speech, stream_imessage
from pipeline.archives.imessage.database import Database, opened
from pipeline.archives.imessage.owner import received_through
from pipeline.errors import InputError
from tests.archives.phone import Phone, Value, read, said

FIX = "Point `download.source` at a chat.db as Messages wrote it, then run `finetune run CONFIG --from download`."


def drop_indexes(phone: Phone, *tables: str) -> None:
    """Make tables anew, as programs do that copy a database: without indexes and constraints."""
    triggers = phone.db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    phone.db.executescript("".join(f"DROP TRIGGER {name};" for (name,) in triggers))
    for table in tables:
        columns = [(name, kind) for _, name, kind, *_ in phone.db.execute(f"PRAGMA table_info({table})")]
        typed = ", ".join(f"{name} {kind}{' PRIMARY KEY' * (name == 'ROWID')}" for name, kind in columns)
        phone.db.executescript(
            f"CREATE TABLE anew ({typed}); INSERT INTO anew SELECT * FROM {table}; "
            f"DROP TABLE {table}; ALTER TABLE anew RENAME TO {table};"
        )


def fill(phone: Phone, count: int, start: int = 0) -> None:
    hare = phone.handle(f"Hare-{start}")
    for number in range(start, start + count):
        chat = phone.chat(f"c{number}", members=(hare, phone.handle(f"u{number}")))
        row: dict[str, Value] = {
            "text": f"message {number}",
            "handle_id": hare,
            "is_from_me": number % 2,
            "subject": "about",
        }
        message = phone.message(chat, {**row, "thread_originator_guid": f"guid-{number * 2 - 1}"})
        phone.attach(message, {"mime_type": "image/png"})


TABLES = ("message", "chat_message_join", "message_attachment_join", "chat_handle_join")


def test_a_database_without_indexes_says_the_same(phone: Phone) -> None:
    fill(phone, 20)
    expected = read(phone, "tokens")
    assert sum(message.reply_to is not None for session in expected[0] for message in session.messages)
    drop_indexes(phone, *TABLES)
    assert read(phone, "tokens") == expected


def steps(path: Path, ask: Callable[[Database], object]) -> int:
    """How many instructions SQLite runs for a question."""
    taken = 0

    def count() -> None:
        nonlocal taken
        taken += 1

    with opened(path) as db:
        asked = Database(path, db, with_attachments=True)
        db.set_progress_handler(count, 1)
        ask(asked)
        db.set_progress_handler(None, 0)
    return taken


@pytest.mark.parametrize(
    "ask",
    [
        lambda asked: asked.detail(20),
        lambda asked: asked.attachments(20),
        lambda asked: list(asked.rows([20])),
        lambda asked: received_through(asked, 20, 50),
    ],
    ids=["detail", "attachments", "rows", "received_through"],
)
def test_one_message_of_a_database_without_indexes_is_found_without_a_look_at_all(
    phone: Phone, ask: Callable[[Database], object]
) -> None:
    fill(phone, 30)
    drop_indexes(phone, *TABLES)
    few = steps(phone.save(), ask)
    fill(phone, 300, start=30)
    assert steps(phone.save(), ask) < 2 * few


def test_a_message_is_read_once_for_all_replies_to_it(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    words = Database.words

    def counted(self: Database, rowid: int) -> tuple[object, ...]:
        asked.append(rowid)
        return words(self, rowid)

    monkeypatch.setattr(Database, "words", counted)
    hare = phone.handle("Hare")
    chat = phone.chat("c", members=(hare,))
    original = phone.message(chat, {"text": "a b" * 1000, "handle_id": hare})
    for _ in range(20):
        phone.message(chat, {"text": "yes", "is_from_me": 1, "thread_originator_guid": "guid-1"})
    quoted = {message.reply_to for message in read(phone)[0][0].messages[1:]}
    assert quoted == {("a b" * 1000)[:120]}
    assert asked == [original]


def test_a_column_whose_default_is_a_text_is_not_of_messages(phone: Phone) -> None:
    phone.message(phone.chat("c"), {"text": "hello"})
    phone.db.execute(f"ALTER TABLE message ADD COLUMN destination text DEFAULT '{'a b ' * 1000}'")
    with pytest.raises(InputError) as caught:
        read(phone)
    what = "not a database that Messages wrote: its table message has 4,002 bytes as the default of 'destination'"
    assert str(caught.value) == f"{phone.path}: {what}. {FIX}"


@pytest.mark.parametrize(
    "row", [{"text": "a" * 5000}, {"attributedBody": b"a" * 5000}, {"text": "a", "subject": "a" * 5000}]
)
def test_a_file_says_no_more_than_some_times_its_size(
    phone: Phone, monkeypatch: pytest.MonkeyPatch, row: dict[str, str | bytes]
) -> None:
    monkeypatch.setattr(database, "_ROOM", 4000)
    chat = phone.chat("c")
    phone.message(chat, {"text": "hello"})
    assert said(read(phone)[0]) == [[("unknown", "hello")]]
    monkeypatch.setattr(database, "_TIMES", 0)
    phone.message(chat, row)
    phone.save()
    with pytest.raises(InputError) as caught:
        [list(stream.blocks) for stream in stream_imessage(phone.path, Counter())]
    what = "not a database that Messages wrote: what it says is over 0 times as large as the file"
    assert str(caught.value) == f"{phone.path}: {what}. {FIX}"
    require_balance(phone.path, 2)


@pytest.mark.parametrize("blocks", [1000, 2])
def test_long_messages_are_held_by_their_size_not_their_number(
    phone: Phone, monkeypatch: pytest.MonkeyPatch, blocks: int
) -> None:
    chat = phone.chat("c", members=(phone.handle("Hare"),))
    for number in range(100):
        phone.message(chat, {"text": f"{number} " * 100, "is_from_me": 1})
    expected = read(phone)
    monkeypatch.setattr(speech, "_HELD_BYTES", 2000)
    monkeypatch.setattr(reader, "_BLOCKS", blocks)
    assert read(phone) == expected
    sizes = [len(block) for stream in stream_imessage(phone.path, Counter()) for block in stream.blocks]
    assert sum(sizes) == 100
    assert max(sizes) <= speech._RECENT_LINKS + 10
