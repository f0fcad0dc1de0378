import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.archives.imessage import stream_imessage
from pipeline.archives.langchain import read_langchain
from pipeline.dataset.checks import check_example
from pipeline.dataset.notebook import to_example
from pipeline.errors import InputError
from pipeline.samples import SAMPLES, sample_path
from pipeline.samples.build import SOURCE, TARGET, build
from pipeline.samples.chatdb import create_chat_db
from pipeline.sessions.session import Session
from pipeline.sessions.stream import whole
from pipeline.sessions.transform import map_roles
from tests.sessions.files import merge_session


@pytest.fixture
def sessions() -> list[Session]:
    return list(map(whole, stream_imessage(sample_path("tortoise-hare"), Counter())))


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


def columns(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: db.execute(f"PRAGMA table_info({table})").fetchall() for table in tables}


def test_the_checked_in_archive_is_what_its_source_builds(tmp_path: Path) -> None:
    build(SOURCE, tmp_path / "built.db")
    assert dump(tmp_path / "built.db") == dump(TARGET)


def test_building_over_an_archive_replaces_it(tmp_path: Path) -> None:
    build(SOURCE, tmp_path / "built.db")
    first = (tmp_path / "built.db").read_bytes()
    build(SOURCE, tmp_path / "built.db")
    assert (tmp_path / "built.db").read_bytes() == first


def test_a_line_that_is_nothing_known_is_named(tmp_path: Path) -> None:
    source = tmp_path / "source.txt"
    source.write_text("== Race | 2021-03-06 09:12\nTortoise says nothing\n")
    with pytest.raises(ValueError, match=r"^line 2 is no heading, message or tapback: Tortoise says nothing$"):
        build(source, tmp_path / "built.db")


def test_the_archive_has_the_genuine_layout_and_travels_as_one_file(tmp_path: Path) -> None:
    create_chat_db(tmp_path / "empty.db").close()
    assert columns(TARGET) == columns(tmp_path / "empty.db")
    assert len(columns(TARGET)["message"]) == 95
    with closing(sqlite3.connect(TARGET)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert db.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_it_holds_what_real_archives_hold() -> None:
    with closing(sqlite3.connect(TARGET)) as db:
        chats = db.execute("SELECT count(DISTINCT guid), count(DISTINCT group_id), min(style) FROM chat").fetchone()
        both = "SELECT count(*) FROM message WHERE attributedBody IS NOT NULL AND text IS "
        (in_both,), (in_body_only,) = db.execute(both + "NOT NULL").fetchone(), db.execute(both + "NULL").fetchone()
        (tapbacks,) = db.execute("SELECT count(*) FROM message WHERE associated_message_type >= 2000").fetchone()
        (attachments,) = db.execute("SELECT count(*) FROM message_attachment_join").fetchone()
    assert chats == (10, 10, 43)
    assert min(in_both, in_body_only) >= 20
    assert (tapbacks, attachments) == (14, 2)


def test_its_ten_dialogues_are_long_enough_and_begin_like_the_well_known_one(sessions: list[Session]) -> None:
    assert [len(session.messages) for session in sessions] == [12, 14, 10, 10, 15, 13, 12, 12, 14, 14]
    assert [(message.sender, message.content) for message in sessions[0].messages[:3]] == [
        ("Tortoise", "Slow and steady, that's my motto."),
        ("Hare", "Speed is key!"),
        ("Tortoise", "A balanced approach is more reliable."),
    ]
    assert Counter(message.sender for session in sessions for message in session.messages) == {
        "Hare": 64,
        "Tortoise": 60,
        "me": 2,
    }


def test_no_placeholder_and_no_tapback_is_among_what_is_said(sessions: list[Session]) -> None:
    contents = [message.content for session in sessions for message in session.messages]
    assert not [content for content in contents if "\ufffc" in content or content.startswith(("Loved", "Laughed"))]


@pytest.mark.parametrize("assistant", ["Tortoise", "Hare"])
def test_either_animal_can_be_learnt_from_ten_examples(sessions: list[Session], assistant: str) -> None:
    merged = [merge_session(session, "\n\n") for session in sessions]
    assert sum(len(session.messages) for session in merged) < sum(len(session.messages) for session in sessions)
    examples = [to_example(map_roles(session, assistant), None) for session in merged]
    assert len(examples) == 10
    assert [check_example(example) for example in examples] == [None] * 10


def test_langchains_own_loader_repeats_each_message_under_every_members_name() -> None:
    """Why there is a reader of our own."""
    theirs = read_langchain("imessage", TARGET, Counter())
    said = [(message.sender, message.content) for session in theirs for message in session.messages]
    assert [sender for sender, content in said if content == "Speed is key!"] == ["Tortoise", "Hare"]


def test_an_unknown_sample_is_answered_with_the_names() -> None:
    message = "download.source: no such sample, got 'tortoise'. Choose one of: tortoise-hare."
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        sample_path("tortoise")
    assert all(path.is_file() for path in SAMPLES.values())
