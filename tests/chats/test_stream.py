"""Sessions of any length: written block by block, read block by block, in one process or by two."""

import hashlib
import io
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import helper as second
from pipeline.chats import stream
from pipeline.chats.archive import Loaded, Reading, load_archive, load_part, read_archive
from pipeline.chats.filters import Filters
from pipeline.chats.imessage import reader
from pipeline.chats.session import Message, Person, Session, read_sessions
from pipeline.chats.stream import Stream, middle, read_streams, whole, write_stream
from pipeline.durable import HashingWriter
from pipeline.errors import InputError
from pipeline.helper import COMMAND, helping
from tests.bench.archive import build_archive
from tests.sessions import write_sessions

NASTY = st.sampled_from(['"messages":[', '},{"sender":"', '}],"people":{', "}]}\n", "\\", '"', "\n", "é😂", "x" * 400])
TEXTS = st.lists(NASTY | st.text(st.characters(codec="utf-8"), max_size=8), max_size=4).map("".join)
MESSAGES = st.builds(
    Message,
    TEXTS,
    st.booleans(),
    st.none() | st.just("2023-08-28T00:32:03Z"),
    TEXTS,
    reply_to=st.just(msgspec.UNSET) | TEXTS,
)
SESSIONS = st.builds(
    Session,
    TEXTS,
    st.sampled_from(["direct", "group"]),
    st.none() | TEXTS,
    st.lists(MESSAGES, min_size=1, max_size=30),
    st.dictionaries(TEXTS, st.builds(Person, TEXTS, st.lists(TEXTS, max_size=2)), max_size=3),
    st.none() | TEXTS,
)


def in_blocks(session: Session, size: int) -> Stream:
    """A stream whose people are known at its end only, as the reader's may be."""
    begun = msgspec.structs.replace(session, messages=[], people={})

    def blocks() -> Iterator[list[Message]]:
        for at in range(0, len(session.messages), size):
            yield session.messages[at : at + size]
            yield []
        begun.people = session.people

    return Stream(begun, blocks())


@given(st.lists(SESSIONS, max_size=4), st.integers(1, 9), st.integers(200, 900))
def test_what_is_written_in_blocks_is_what_is_written_whole_and_reads_back_either_way(
    tmp_path_factory: pytest.TempPathFactory, sessions: list[Session], size: int, piece: int
) -> None:
    folder = tmp_path_factory.mktemp("streams")
    path = write_sessions(folder / "whole.jsonl", sessions)
    written = io.BytesIO()
    assert [write_stream(written, in_blocks(session, size)) for session in sessions] == [
        len(session.messages) for session in sessions
    ]
    assert written.getvalue() == path.read_bytes()
    before, stream.BLOCK = stream.BLOCK, piece
    try:
        assert [whole(each) for each in read_streams(path)] == sessions
        cut = middle(path)
        halves = [whole(each) for half in ((0, cut), (cut, None)) for each in read_streams(path, *half)]
    finally:
        stream.BLOCK = before
    assert halves == sessions == list(read_sessions(path))


def test_a_session_without_messages_is_not_written() -> None:
    written = io.BytesIO()
    assert write_stream(written, Stream(Session("a", "direct", None, []), iter([[], []]))) == 0
    assert written.getvalue() == b""


@pytest.mark.parametrize("where", [10, 1_100_000, 1_600_000])
def test_a_long_line_that_is_spoilt_is_named_wherever_that_is(tmp_path: Path, where: int) -> None:
    session = Session("a", "direct", None, [Message("Hare", False, None, "Hurry, hurry!") for _ in range(25_000)])
    path = write_sessions(tmp_path / "02_sessions.jsonl", [session, session])
    content = bytearray(path.read_bytes())
    line = len(content) // 2
    assert line > 1.9 * stream.BLOCK
    content[line + where] = 0xFF
    path.write_bytes(content)
    read = read_streams(path)
    assert len(whole(next(read)).messages) == 25_000
    with pytest.raises(InputError) as caught:
        whole(next(read))
    assert str(caught.value).startswith(f"{path}, byte {line}: not a session (")
    assert str(caught.value).endswith(". Run `finetune run CONFIG --from load` to write it anew.")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough for two processes; its longest conversation is not held in memory, and not in order of its joins."""
    path = tmp_path_factory.mktemp("large") / "chat.db"
    build_archive(path, 80_000, 3)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE chat_message_join SET message_date = 0 WHERE message_id % 97 = 0")
        db.commit()
        sizes = db.execute("SELECT count(*) FROM chat_message_join GROUP BY chat_id").fetchall()
    assert max(sizes)[0] > reader._LONG
    assert path.stat().st_size > second.WORTH_TWO
    return path


def test_two_processes_write_what_one_writes_and_every_row_is_accounted_for(large: Path, tmp_path: Path) -> None:
    reading = Reading(str(large), filters=Filters(exclude_people=("+15550000001",)))
    alone = io.BytesIO()
    expected = load_part(reading, alone)
    with (tmp_path / "02_sessions.jsonl").open("w+b") as file:
        writer = HashingWriter(file)
        loaded = load_archive(reading, writer, tmp_path)
        file.seek(0)
        assert file.read() == alone.getvalue()
    assert writer.sha256 == hashlib.sha256(alone.getvalue()).hexdigest()
    assert loaded == expected
    assert loaded.messages + loaded.dropped.total() == 80_000
    assert {path.name for path in tmp_path.iterdir()} == {"02_sessions.jsonl"}
    again = Loaded()
    times = [
        [message.time or "" for message in whole(each).messages] for each in read_archive(Reading(str(large)), again)
    ]
    assert all(each == sorted(each) for each in times)
    assert max(map(len, times)) > 25_000
    assert again.messages + again.dropped.total() == 80_000


def test_the_second_process_does_its_half(large: Path, tmp_path: Path) -> None:
    expected = io.BytesIO()
    half = Reading(str(large), half=2)
    loaded = load_part(half, expected)
    made = io.BytesIO()
    with helping("load", msgspec.json.encode(half), tmp_path) as helper:
        told = helper.finish(made)
    assert loaded.messages > 10_000
    assert made.getvalue() == expected.getvalue()
    assert told is not None
    assert msgspec.json.decode(told)["messages"] == loaded.messages


@pytest.mark.parametrize("task", [b"{}", b"not JSON", b'{"path": "/nowhere.db"}'])
def test_a_second_process_that_fails_has_no_half(tmp_path: Path, task: bytes) -> None:
    made = io.BytesIO()
    with helping("load", task, tmp_path) as helper:
        assert helper.finish(made) is None
    assert made.getvalue() == b""


def test_a_second_process_dies_with_its_parent(tmp_path: Path) -> None:
    read, write = os.pipe()
    with (tmp_path / "made").open("wb") as made:
        command = [*COMMAND, "load", str(made.fileno())]
        child = subprocess.Popen(command, stdin=read, stdout=subprocess.DEVNULL, pass_fds=[made.fileno()])
        os.close(read)
        child.send_signal(signal.SIGSTOP)
        os.write(write, b'{"path": "/nowhere.db"}\n')
        os.close(write)
        child.send_signal(signal.SIGCONT)
        assert child.wait(timeout=60) == 1


def test_leaving_early_ends_the_second_process(large: Path, tmp_path: Path) -> None:
    with helping("load", msgspec.json.encode(Reading(str(large))), tmp_path) as helper:
        process = helper._process
    assert process.returncode == -signal.SIGKILL


def test_a_message_of_many_blocks_is_searched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = [
        Session("1", "direct", "t" * 4000, [Message("Hare", False, None, "x" * 40_000), Message("A", True, None, "")])
    ]
    path = write_sessions(tmp_path / "one.jsonl", sessions)
    searched = 0

    class Counted(bytearray):
        def rfind(self, what: object, begin: int = 0) -> int:  # type: ignore[override]
            nonlocal searched
            searched += len(self) - begin
            return super().rfind(what, begin)  # type: ignore[arg-type]

    monkeypatch.setattr(stream, "BLOCK", 100)
    monkeypatch.setattr(stream, "bytearray", Counted, raising=False)
    assert [whole(each) for each in read_streams(path)] == sessions
    assert 40_000 < searched < 60_000
