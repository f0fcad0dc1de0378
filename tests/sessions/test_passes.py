"""Merging and casting a file of sessions: block by block or whole, the same comes out."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sessions import stream
from pipeline.sessions.session import Message, Person, Session, read_sessions
from pipeline.sessions.transform import (
    Cast,
    Merged,
    cast_file,
    map_roles,
    merge_file,
)
from tests.sessions.files import merge_session, write_sessions

SENDERS = ["me", "Hare", "Owl"]


def session(number: int, said: list[tuple[int, int]]) -> Session:
    messages = [
        Message(SENDERS[who], who == 0, f"2023-08-28T00:{minute:02}:00Z", f"{number}.{place}")
        for place, (who, minute) in enumerate(said)
    ]
    return Session(f"chat-{number}", "group", None, messages)


@pytest.mark.parametrize("max_gap_s", [None, 600.0])
@given(
    said=st.lists(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 59)), min_size=1, max_size=40), min_size=1, max_size=4
    ),
    piece=st.integers(200, 2000),
)
def test_a_file_is_merged_and_cast_as_its_sessions_are(
    tmp_path_factory: pytest.TempPathFactory, said: list[list[tuple[int, int]]], piece: int, max_gap_s: float | None
) -> None:
    folder = tmp_path_factory.mktemp("passes")
    sessions = [session(number, each) for number, each in enumerate(said)]
    merged = [merge_session(each, "\n", max_gap_s) for each in sessions]
    mapped = [map_roles(each, "me") for each in merged]
    write_sessions(folder / "02", sessions)
    before, stream.BLOCK = stream.BLOCK, piece
    try:
        with (folder / "03").open("wb") as file:
            counts = merge_file(folder / "02", file, "\n", max_gap_s)
        with (folder / "04").open("wb") as file:
            cast = cast_file(folder / "03", file, frozenset({"me"}))
    finally:
        stream.BLOCK = before
    assert list(read_sessions(folder / "03")) == merged
    assert list(read_sessions(folder / "04")) == mapped
    total = [sum(len(each.messages) for each in found) for found in (sessions, merged)]
    own = sum(message.role == "assistant" for each in mapped for message in each.messages)
    assert counts == Merged(*total)
    assert cast == Cast(own, total[1] - own, {message.sender for each in merged for message in each.messages})


def test_names_that_are_no_senders_tell_who_is_meant(tmp_path: Path) -> None:
    said = [Message("me", True, None, "Hi"), Message("Ann", False, None, "Ho")]
    people = {"Ann": Person("Ann", ["user7", "ann_7"])}
    write_sessions(tmp_path / "03", [Session("one", "direct", None, said, people, owner="Olo Quay")])
    with (tmp_path / "04").open("wb") as file:
        cast = cast_file(tmp_path / "03", file, frozenset({"Olo Quay", "ann_7", "Bo"}))
    assert cast.meant == {"Olo Quay": "me", "ann_7": "Ann"}
    assert cast.senders == {"me", "Ann"}
