"""One file has one shape of header: what else looks like one is text."""

import re
from pathlib import Path

import pytest

from pipeline.archives.whatsapp.messages import GUESSED_ENCODING, GUESSED_ORDER
from pipeline.errors import InputError
from tests.archives.reading import read


def said(folder: Path, text: str | bytes) -> list[tuple[str, str]]:
    path = folder / "_chat.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, "whatsapp").said


def test_pasted_headers_of_an_iphones_own_shape_are_text_where_lines_end_otherwise(tmp_path: Path) -> None:
    chat = (
        "[01/03/24, 10:06:00] Nell: what does the log say?\r\n"
        "[01/03/24, 10:07:00] Otto: here:\n[01/03/24, 09:00:00] PUMP: low\n"
        "[01/03/24, 09:00:01] PUMP: full\nthat is all\r\n"
        "[01/03/24, 10:08:00] Nell: good\r\n"
        "[01/03/24, 10:09:00] Otto: and Ida wrote\n[28/02/24, 21:15:10] Ida: bring the rope\nso do\r\n"
    )
    assert said(tmp_path, chat) == [
        ("Nell", "what does the log say?"),
        ("Otto", "here:\n[01/03/24, 09:00:00] PUMP: low\n[01/03/24, 09:00:01] PUMP: full\nthat is all"),
        ("Nell", "good"),
        ("Otto", "and Ida wrote\n[28/02/24, 21:15:10] Ida: bring the rope\nso do"),
    ]


def test_more_pasted_headers_than_own_ones_stay_text(tmp_path: Path) -> None:
    pasted = "\n".join(f"[01/03/24, 09:00:{n:02}] PUMP: {n}" for n in range(30))
    chat = (
        f"[01/03/24, 10:06:00] Nell: log?\r\n[01/03/24, 10:07:00] Otto: {pasted}\r\n[01/03/24, 10:08:00] Nell: ok\r\n"
    )
    assert said(tmp_path, chat) == [("Nell", "log?"), ("Otto", pasted), ("Nell", "ok")]


def test_a_message_with_the_line_ends_of_windows_does_not_change_the_files_own(tmp_path: Path) -> None:
    head = "01/03/24, 10:0"
    chat = f"{head}6 - Nell: a\r\nb\r\n{head}7 - Otto: c\n{head}8 - Nell: d\n{head}9 - Otto: e\n"
    assert said(tmp_path, chat) == [("Nell", "a\nb"), ("Otto", "c"), ("Nell", "d"), ("Otto", "e")]


@pytest.mark.parametrize(
    "pasted",
    [
        "[28/02/24, 21:15:10] Ida: rope",
        "28.02.24, 21:15 - Ida: rope",
        "28/02/24 21:15 - Ida: rope",
        "28/02/2024, 21:15 - Ida: rope",
        "28/02/24, 9:15 PM - Ida: rope",
        "28/2/24, 21:15 - Ida: rope",
        "28/02/24, 21:15:10 - Ida: rope",
        "28/02/24, 21:15 – Ida: rope",
        "28/02/24,\u202f21:15 - Ida: rope",
        "2024-02-28, 21:15 - Ida: rope",
        "[21:15, 28/02/2024] Ida: rope",
        "[28/02, 21:15] Ida: rope",
        "12/31/24, 21:15 PM - Ida: rope",
    ],
)
def test_a_header_of_another_shape_is_text_and_its_date_counts_for_nothing(tmp_path: Path, pasted: str) -> None:
    chat = f"05/02/24, 10:06 - Nell: so?\n06/02/24, 10:07 - Otto: look\n{pasted}\nend\n07/02/24, 10:08 - Nell: ok\n"
    path = tmp_path / "chat.txt"
    path.write_text(chat)
    (session,) = read(path).sessions
    assert [(message.time, message.sender, message.content) for message in session.messages] == [
        ("2024-02-05T10:06:00Z", "Nell", "so?"),
        ("2024-02-06T10:07:00Z", "Otto", f"look\n{pasted}\nend"),
        ("2024-02-07T10:08:00Z", "Nell", "ok"),
    ]


@pytest.mark.parametrize(
    ("pasted", "first"),
    [
        ("04/02/24, 09:00 - PUMP: low\n04/02/24, 09:01 - PUMP: full", "earlier, by nobody else"),
        ("06/02/24, 10:01 - PUMP: low", "a little earlier, by nobody else"),
        ("04/05/24, 09:00 - Dentist: you", "later, by nobody else"),
        ("05/02/24, 10:06 - Nell: so?", "the same line again"),
    ],
)
def test_a_header_of_the_files_own_shape_out_of_time_is_text(tmp_path: Path, pasted: str, first: str) -> None:
    chat = (
        f"05/02/24, 10:06 - Nell: so?\n06/02/24, 10:07 - Otto: look\n{pasted}\nend\n"
        "06/02/24, 10:08 - Nell: ok\n06/02/24, 10:09 - Otto: yes\n"
    )
    assert said(tmp_path, chat) == [("Nell", "so?"), ("Otto", f"look\n{pasted}\nend"), ("Nell", "ok"), ("Otto", "yes")]


@pytest.mark.parametrize(("above", "is_text"), [("look what she wrote:", True), ("look", False), ("", False)])
def test_lines_pasted_behind_a_colon_are_text_if_they_are_much_earlier(
    tmp_path: Path, above: str, is_text: bool
) -> None:
    pasted = ("04/02/24, 08:00 - Nell: I mean it", "04/02/24, 08:01 - Otto: me too")
    chat = "\n".join(
        (
            "03/02/24, 10:06 - Nell: a", "05/02/24, 10:07 - Otto: b", f"05/02/24, 10:08 - Nell: {above}", *pasted,
            "05/02/24, 10:09 - Otto: c", "05/02/24, 10:10 - Nell: d",
        )
    )  # fmt: skip
    texts = [text for _, text in said(tmp_path, chat)]
    if is_text:
        assert texts == ["a", "b", "\n".join((above, *pasted)), "c", "d"]
    else:
        assert texts == ["a", "I mean it", "me too", "b", *filter(None, [above]), "c", "d"]


def test_a_message_that_came_late_is_a_message_at_its_place_in_time(tmp_path: Path) -> None:
    chat = (
        "05/02/24, 10:06 - Nell: a\n05/02/24, 10:40 - Otto: b\n05/02/24, 10:10 - Nell: late\n"
        "05/02/24, 10:41 - Otto: c\n05/02/24, 10:42 - Nell: d\n"
    )
    assert [text for _, text in said(tmp_path, chat)] == ["a", "late", "b", "c", "d"]


@pytest.mark.parametrize("is_twice", [False, True], ids=["once", "in two exports"])
def test_the_hour_that_comes_twice_in_autumn_keeps_its_order(tmp_path: Path, is_twice: bool) -> None:
    times = ["28/10/23, 20:00", *(f"29/10/23, 0{time}" for time in ("2:10", "2:50", "2:05", "2:20", "2:55", "3:01"))]
    lines = [f"{time} - {'Nell' if at % 2 else 'Otto'}: {at}\n" for at, time in enumerate(times)]
    (tmp_path / "WhatsApp Chat with Nell.txt").write_text("".join(lines))
    if is_twice:
        (tmp_path / "WhatsApp Chat with Nell (1).txt").write_text("".join(lines[:5]))
    assert [text for _, text in read(tmp_path).said] == list("0123456")


def test_at_night_a_message_that_came_late_twice_is_put_in_order(tmp_path: Path) -> None:
    times = ("2:10", "2:50", "2:20", "2:15", "3:01")
    chat = "".join(f"29/10/23, 0{time} - {who}: {time}\n" for time, who in zip(times, "NONON", strict=True))
    assert [text for _, text in said(tmp_path, chat)] == ["2:10", "2:15", "2:20", "2:50", "3:01"]


def test_the_last_message_of_a_short_chat_may_have_come_late(tmp_path: Path) -> None:
    chat = "05/02/24, 10:06 - Nell: a\n06/02/24, 10:40 - Otto: b\n05/02/24, 11:10 - Nell: late\n"
    assert [text for _, text in said(tmp_path, chat)] == ["a", "late", "b"]


def test_people_who_are_only_in_pasted_lines_make_no_group(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_text(
        "05/02/24, 10:06 - Nell: a\n05/02/24, 10:40 - Otto: b\n04/02/24, 10:10 - Ida: x\n05/02/24, 10:41 - Nell: c\n"
    )
    (session,) = read(path).sessions
    assert (session.kind, sorted(session.people)) == ("direct", ["Nell", "Otto"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_files_that_were_saved_otherwise_are_read_alike(tmp_path: Path, encoding: str, end: str) -> None:
    chat = end.join(("05/02/2024, 10:06 - Nell: für dich", "naïve", "05/02/2024, 10:07 - Jürgen: „ja“ …", ""))
    assert said(tmp_path, chat.encode(encoding)) == [("Nell", "für dich\nnaïve"), ("Jürgen", "„ja“ …")]


def test_a_guess_at_the_encoding_is_said(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_bytes("05/02/2024, 10:06 - Nell: für\n06/02/2024, 10:06 - Otto: ja\n".encode("cp1252"))
    assert read(path).loaded.noted == {GUESSED_ENCODING: 2}


@pytest.mark.parametrize(
    ("dates", "noted"),
    [
        (["1/2/23", "13/2/23"], {}),
        (["1/2/23", "2/1/23"], {}),
        (["01/02/23", "02/02/23"], {}),
        (["1.2.23", "2.2.23"], {}),
        (["5/5/23", "5/5/23"], {}),
        (["1/2/23", "1/2/23"], {GUESSED_ORDER: 2}),
        (["1/2/23", "2/2/23"], {GUESSED_ORDER: 2}),
    ],
)
def test_a_guess_at_day_and_month_is_said(tmp_path: Path, dates: list[str], noted: dict[str, int]) -> None:
    path = tmp_path / "chat.txt"
    path.write_text("".join(f"{date}, 09:12 - {who}: Hi\n" for who, date in zip("AB", dates, strict=True)))
    assert read(path).loaded.noted == noted


def test_day_and_month_are_known_from_another_chat_of_the_phone(tmp_path: Path) -> None:
    (tmp_path / "WhatsApp Chat with Ann.txt").write_text("1/2/23, 9:12 AM - Ann: Hi\n1/30/23, 9:12 AM - Bob: Ho\n")
    (tmp_path / "WhatsApp Chat with Eve.txt").write_text("3/2/23, 9:12 AM - Eve: Hi\n3/2/23, 9:12 AM - Bob: Ho\n")
    found = read(tmp_path)
    times = [[(message.time or "")[:10] for message in session.messages] for session in found.sessions]
    assert times == [["2023-01-02", "2023-01-30"], ["2023-03-02", "2023-03-02"]]
    assert found.loaded.noted == {}


@pytest.mark.parametrize(
    ("date", "day"),
    [
        ("29/2/2567", "2024-02-29"),
        ("15/8/66", "2023-08-15"),
        ("1402/5/24", "2023-08-15"),
        ("1403/12/30", "2025-03-20"),
        ("112/8/15", "2023-08-15"),
        ("1402/12/30", None),
    ],
    ids=["Buddhist", "Buddhist, short", "Persian", "Persian leap year", "Republic of China", "no such Persian day"],
)
def test_a_day_of_another_calendar_is_that_day(tmp_path: Path, date: str, day: str | None) -> None:
    path = tmp_path / "chat.txt"
    path.write_text(f"{date} 09:12 - Hare: Hi\n{date} 09:13 - Tortoise: Ho\n")
    (session,) = read(path).sessions
    assert session.messages[0].time == (None if day is None else f"{day}T09:12:00Z")


@pytest.mark.parametrize("place", ["[01/03/24,\0 10:06:00]", "[01/03/24, 10:06:00 \0]", "01/03/24,\0 10:06\0 -"])
def test_a_nought_byte_in_a_header_is_no_place_for_morning_or_afternoon(tmp_path: Path, place: str) -> None:
    path = tmp_path / "_chat.txt"
    path.write_text(f"{place} Nell: a\n{place} Otto: b\n")
    with pytest.raises(InputError, match=re.escape(f"{path}: no chat exported by WhatsApp")):
        read(path, "whatsapp")
