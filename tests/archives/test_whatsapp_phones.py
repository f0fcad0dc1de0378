"""Chats of many phones are read to the letter: who said what and when, and nothing else."""

from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.archives.filters import Filters
from pipeline.archives.reading import Loaded, Reading, read_archive
from pipeline.errors import InputError
from tests.archives.reading import read
from tests.archives.whatsapp_exports import exported
from tests.archives.whatsapp_phones import PHONES, Phone

PAIR = ("Nell Harrow", "Otto Finch")
GROUP = ("Nell Harrow", "Otto Finch", '~\u202fBob "the man" Fox', "+49 170 1234567")
COLONS = ("Dr: Who", "Work: Otto", "Work: Ida")

each_phone = pytest.mark.parametrize("phone", PHONES, ids=lambda phone: phone.name)


@each_phone
def test_what_two_people_said_is_read_and_nothing_else(phone: Phone, tmp_path: Path) -> None:
    chat = exported(phone, seed=1, people=PAIR)
    path = tmp_path / "_chat.txt"
    path.write_bytes(chat.data)
    found = read(path)
    (session,) = found.sessions
    assert session.messages == chat.said
    assert (session.kind, session.title, found.loaded.rows) == ("direct", None, chat.rows)


@each_phone
def test_what_a_group_said_is_read_and_nothing_else(phone: Phone, tmp_path: Path) -> None:
    people = ("Nell", "Otto", "Jürgen") if phone.encoding == "cp1252" else GROUP
    chat = exported(phone, seed=2, people=people)
    path = tmp_path / "WhatsApp Chat with Trip - Rome.txt"
    path.write_bytes(chat.data)
    (session,) = read(path).sessions
    assert session.messages == chat.said
    assert (session.kind, session.title) == ("group", "Trip - Rome")


@pytest.mark.parametrize(
    "phone", [each for each in PHONES if each.name in ("android en-GB", "android ja", "ios en-GB", "ios de")]
)
def test_names_that_have_a_colon_are_whole(phone: Phone, tmp_path: Path) -> None:
    chat = exported(phone, seed=3, people=COLONS)
    path = tmp_path / "_chat.txt"
    path.write_bytes(chat.data)
    found = read(path)
    assert [message for session in found.sessions for message in session.messages] == chat.said


def dates_of(folder: Path, phone: Phone) -> tuple[set[str], Counter[str]]:
    path = folder / "chat.txt"
    path.write_bytes(exported(phone, seed=4, count=12).data)
    found = read(path)
    return {(message.time or "")[:4] for session in found.sessions for message in session.messages}, found.loaded.noted


@each_phone
def test_years_of_other_calendars_are_years_of_ours(phone: Phone, tmp_path: Path) -> None:
    years, _ = dates_of(tmp_path, phone)
    assert years == {"2023"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), phone=st.sampled_from(PHONES))
def test_a_damaged_export_is_refused_or_adds_up(tmp_path: Path, data: st.DataObject, phone: Phone) -> None:
    chat = bytearray(exported(phone, seed=5, count=8).data)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(chat)))
        chat[at : at + data.draw(st.integers(0, 9))] = data.draw(
            st.binary(max_size=6) | st.sampled_from([b"\r\n", b"\n", "\u200e".encode(), b": ", b"<", b">", b"15/8/23"])
        )
    path = tmp_path / "chat.txt"
    path.write_bytes(bytes(chat))
    refused, found = "", None
    try:
        found = read(path, "whatsapp")
    except InputError as error:
        refused = str(error)
    if found is None:
        assert str(path) in refused
    else:
        assert found.loaded.rows == found.loaded.messages + found.loaded.dropped.total()


def test_since_leaves_out_what_is_earlier(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_text("01/08/2023, 09:12 - Hare: Early\n02/08/2023, 09:12 - Tortoise: Late\n")
    assert read(path, filters=Filters(since=date(2023, 8, 2))).said == [("Tortoise", "Late")]


def test_blocks_of_a_long_chat_come_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_text("".join(f"01/08/2023, 09:12 - {'AB'[n % 2]}: {n}\n" for n in range(2500)))
    blocks = [
        [message.content for message in block]
        for stream in read_archive(Reading(str(path), "whatsapp"), Loaded())
        for block in stream.blocks
    ]
    assert [len(block) for block in blocks] == [1000, 1000, 500]
    assert [each for block in blocks for each in block] == [str(n) for n in range(2500)]
