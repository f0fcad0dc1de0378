"""Sessions of any length: written block by block, read block by block."""

import io
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.sessions import stream
from pipeline.sessions.session import Message, Person, Session, read_sessions
from pipeline.sessions.stream import Stream, read_streams, whole, write_stream
from tests.sessions.files import write_sessions

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
    finally:
        stream.BLOCK = before
    assert list(read_sessions(path)) == sessions


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
