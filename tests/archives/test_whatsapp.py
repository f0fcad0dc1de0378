import re
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.archives.members import Members
from pipeline.archives.told import DELETED, MEDIA
from pipeline.archives.whatsapp.own_words import SYSTEM
from pipeline.archives.whatsapp.source import recognise
from pipeline.archives.whatsapp.survey import looks_like_chat
from pipeline.errors import InputError
from pipeline.sessions.session import ENDLESS, Message, Session
from tests.archives.reading import read as read_archive


def read(path: Path) -> tuple[list[Session], Counter[str]]:
    found = read_archive(path, "whatsapp")
    return found.sessions, found.loaded.dropped


def read_text(folder: Path, text: str) -> tuple[list[Message], Counter[str]]:
    path = folder / "chat.txt"
    path.write_text(text, encoding="utf-8")
    sessions, dropped = read(path)
    return [message for session in sessions for message in session.messages], dropped


@pytest.mark.parametrize(
    "header",
    [
        "[15/08/2023, 21:12:43] ",
        "[15.08.23, 21:12:43] ",
        "[15/08/23 21:12:43] ",
        "[8/15/23, 9:12:43 PM] ",
        "[8/15/23, 9:12:43\u202fPM] ",
        "\u200e[15/08/2023, 21:12:43] ",
        "[2023/8/15 下午9:12:43] ",
        "15/08/2023 21:12:43: ",
        "2023-08-15, 9:12:43 PM: ",
        "[2023年8月15日 21:12:43] ",
        "15/08/2023, 21:12 - ",
        "15.08.23, 21:12 - ",
        "8/15/23, 9:12 PM - ",
        "8/15/23, 9:12\u202fPM - ",
        "15/8/23, 9:12 p. m. - ",
        "15/08/23, 9:12\u202fp.\u00a0m. - ",
        "2023-08-15, 21:12 - ",
        "15-08-2023 21:12 - ",
        "15. 8. 2023 21:12 - ",
    ],
)
def test_the_headers_of_many_phones_are_understood(tmp_path: Path, header: str) -> None:
    messages, dropped = read_text(tmp_path, f"\ufeff{header}Tortoise: Slow and steady\r\n{header}Hare: Go: go!\r\n")
    seconds = "43" if ":43" in header else "00"
    assert messages == [
        Message("Tortoise", False, f"2023-08-15T21:12:{seconds}Z", "Slow and steady"),
        Message("Hare", False, f"2023-08-15T21:12:{seconds}Z", "Go: go!"),
    ]
    assert dropped == {}


def test_lines_without_a_header_go_on_with_the_message(tmp_path: Path) -> None:
    messages, _ = read_text(tmp_path, "15/08/2023, 09:12 - Hare: One\n\n  two: three\n15/08/2023, 09:13 - Hare: Four")
    assert [message.content for message in messages] == ["One\n\n  two: three", "Four"]


def test_what_whatsapp_itself_says_is_left_out_and_counted(tmp_path: Path) -> None:
    messages, dropped = read_text(
        tmp_path,
        "[01/08/2023, 09:00:00] The race: \u200eMessages and calls are end-to-end encrypted.\n"
        "[01/08/2023, 09:00:01] \u200eHare changed the group name to “Race: day”\n"
        "[01/08/2023, 09:00:02] Hare changed the subject from “Race: day” to “Race”\n"
        "[01/08/2023, 09:00:03] Hare: \u200eThis message was deleted.\n"
        "[01/08/2023, 09:00:04] Hare: You deleted this message\n"
        "\u200e[01/08/2023, 09:00:05] Hare: \u200eimage omitted\n"
        "[01/08/2023, 09:00:06] Hare: <Media omitted>\n"
        "[01/08/2023, 09:00:07] Hare: <Medien ausgeschlossen>\n"
        "[01/08/2023, 09:00:08] Hare: IMG-20230801-WA0001.jpg (Datei angehängt)\nLook at me\n"
        "[01/08/2023, 09:00:09] Hare: Look again \u200e<attached: 0001-PHOTO.jpg>\n"
        "[01/08/2023, 09:00:10] Hare: I win \u200e<This message was edited>\n"
        "[01/08/2023, 09:00:11] Hare: I win. <This message was edited>\n"
        '[01/08/2023, 09:00:12] ~\u202fBob "the man" Fox: I am \u202a+1 555\u202c\n'
        "[01/08/2023, 09:00:13] \u202a+49 170 1234567\u202c: Who is this?\n",
    )
    assert [(message.sender, message.content) for message in messages] == [
        ("Hare", "Look at me"),
        ("Hare", "Look again"),
        ("Hare", "I win"),
        ("Hare", "I win."),
        ('Bob "the man" Fox', "I am \u202a+1 555\u202c"),
        ("+49 170 1234567", "Who is this?"),
    ]
    assert dropped == {SYSTEM: 3, MEDIA: 3, DELETED: 2}


def test_a_stranger_with_the_name_of_a_contact_is_somebody_else(tmp_path: Path) -> None:
    head = "[01/08/2023, 09:00:00] "
    text = "".join(f"{head}{who}: Hi\n" for who in ("Max", "~\u202fMax", "~\u202fIda", "~ Max", "~Max"))
    messages, _ = read_text(tmp_path, text)
    assert [message.sender for message in messages] == ["Max", "~Max", "Ida", "~Max", "~Max"]


LONG = "Frau Dr. Anna Maria von der Hohen Warte"


@pytest.mark.parametrize(
    ("who", "senders"),
    [
        (["Ann", LONG], ["Ann", LONG]),
        (["Ann", LONG, "Bob", LONG], ["Ann", LONG, "Bob", LONG]),
        (["Ann", LONG, "Bob"], ["Ann", "Bob"]),
        (["Ann", "Ann changed the group description to all of this"], ["Ann"]),
    ],
    ids=["one of two", "twice", "once in a group", "about the other"],
)
def test_a_name_of_many_words_is_one_where_little_else_is_there(
    tmp_path: Path, who: list[str], senders: list[str]
) -> None:
    messages, _ = read_text(tmp_path, "".join(f"15/08/2023, 09:12 - {each}: Hi\n" for each in who))
    assert [message.sender for message in messages] == senders


@pytest.mark.parametrize(
    ("dates", "months"),
    [
        (["1/2/23", "13/2/23"], ["02", "02"]),
        (["1/2/23", "1/13/23"], ["01", "01"]),
        (["1/2/23", "2/1/23"], ["01", "02"]),
        (["2/1/23", "1/2/23"], ["01", "02"]),
        (["1/2/23", "1/2/23"], ["02", "02"]),
    ],
    ids=["a day above twelve", "a month first", "time goes forward", "and here too", "as most write it"],
)
def test_day_and_month_are_told_apart_over_the_whole_file(tmp_path: Path, dates: list[str], months: list[str]) -> None:
    messages, _ = read_text(tmp_path, "".join(f"{date}, 09:12 - Hare: Hi\n" for date in dates))
    assert [(message.time or "")[5:7] for message in messages] == months


def test_a_date_that_does_not_exist_costs_the_time_alone(tmp_path: Path) -> None:
    messages, _ = read_text(tmp_path, "31/02/2023, 09:12 - Hare: Hi\n31/01/2023, 29:12 - Hare: Ho\n")
    assert [(message.time, message.content) for message in messages] == [(None, "Hi"), (None, "Ho")]


def test_zips_and_folders_hold_one_session_a_chat(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "WhatsApp Chat - Hare.zip", "w") as archive:
        archive.writestr("_chat.txt", "[15/08/2023, 09:12:43] Hare: From the zip\n")
        archive.writestr("photo.jpg", b"\xff\xd8")
    (tmp_path / "group.txt").write_text("".join(f"15/08/2023, 09:12 - {name}: Hi\n" for name in "ABC"))
    (tmp_path / "notes.md").write_text("Not a chat")
    sessions, _ = read(tmp_path)
    assert [(session.id, session.kind, len(session.messages)) for session in sessions] == [
        ("whatsapp-1", "direct", 1),
        ("whatsapp-2", "group", 3),
    ]
    assert read(tmp_path / "WhatsApp Chat - Hare.zip")[0][0].messages[0].content == "From the zip"


@pytest.mark.parametrize("data", [b"Dear diary\n", b"\xff\xfeH\0", b"\0\1\2\3" * 100, b""])
def test_what_is_no_chat_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "chat.txt"
    path.write_bytes(data)
    message = (
        f"{path}: no chat exported by WhatsApp. In WhatsApp, open the chat, choose Export chat > Without media, and "
        "give the .zip or .txt."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read(path)


def test_a_damaged_zip_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "chat.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_chat.txt", "[15/08/2023, 09:12:43] Hare: Hi\n" * 100)
    data = bytearray(path.read_bytes())
    data[45:60] = b"\xff" * 15
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: a damaged or locked zip "):
        read(path)


@pytest.mark.parametrize(
    ("text", "is_chat"),
    [
        ("\ufeff15/08/2023, 09:12 - Hare: Hi", True),
        ("15/08/2023, 09:12 - Hare: Hi\nand\nmore\n15/08/2023, 09:13 - Hare: Ho", True),
        ("\n\n15/08/2023, 09:12 - Hare: Hi\n15/08/2023, 09:13 - Hare: Ho", True),
        ("the end of a line\n" + "15/08/2023, 09:12 - Hare: Hi\n" * 3, True),
        ("15/08/2023, 09:12 - Hare: " + "x" * 100_000, True),
        ("Dear diary\n15/08/2023, 09:12 - Hare: Hi\n", False),
        ("15/08/2023, 09:12 - woke up\nhad tea", False),
        ("15/08/2023, 09:12 - woke up\n15/08/2023, 09:13 - had tea", False),
        ("2023-08-15 09:12:01 - INFO: started\n2023-08-15 09:12:02 - ERROR: ended\n", False),
        ("2023-08-15 09:12:01: INFO: started\n2023-08-15 09:12:02: INFO: ended\n", False),
        ("2023-08-15 09:12:01,123 INFO main: started\n2023-08-15 09:12:02,123 INFO main: ended\n", False),
        ("", False),
    ],
)
def test_a_chat_is_recognised_by_its_first_lines(text: str, is_chat: bool) -> None:
    assert looks_like_chat(text.removeprefix("\ufeff").split("\n")) == is_chat


def test_a_chat_in_markdown_is_not_whatsapps(tmp_path: Path) -> None:
    path = tmp_path / "chat.md"
    path.write_text("[2023-08-15, 09:12] Me: Hi  \n[2023-08-15, 09:13] Hare: Ho  \n")
    with Members(path) as members:
        assert recognise(members) is None


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=40), max_size=8))
def test_every_message_comes_out_or_is_counted(tmp_path_factory: pytest.TempPathFactory, said: list[str]) -> None:
    folder = tmp_path_factory.mktemp("chat")
    text = "".join(f"15/08/2023, 09:12 - Hare: {each}\n" for each in ["Hi", *said])
    (folder / "chat.txt").write_bytes(text.encode())
    sessions, dropped = read(folder / "chat.txt")
    headers = len(re.findall(r"^15/08/2023, 09:12 - ", text, re.MULTILINE))
    assert sum(len(session.messages) for session in sessions) + dropped.total() == headers


def test_a_lone_carriage_return_in_a_message_makes_no_file_of_crlf(tmp_path: Path) -> None:
    (tmp_path / "chat.txt").write_bytes(f"{HEAD}Hi\n{HEAD}\r\n{HEAD}Ho\n".encode())
    sessions, dropped = read(tmp_path / "chat.txt")
    assert [message.content for message in sessions[0].messages] == ["Hi", "Ho"]
    assert dropped.total() == 1


HEAD = "15/08/2023, 09:12 - Hare: "


@pytest.mark.parametrize(
    "endless", ["x" * 1_000_001, "\n" * 1_000_002, "x" * 600_000 + "\n" + "y" * 600_000], ids=["line", "lines", "both"]
)
def test_what_is_too_long_for_a_message_is_left_out_and_its_neighbours_stay(tmp_path: Path, endless: str) -> None:
    messages, dropped = read_text(tmp_path, f"{HEAD}One\n{HEAD}{endless}\n{HEAD}Two\n")
    assert [message.content for message in messages] == ["One", "Two"]
    assert dropped == {ENDLESS: 1}


def test_a_zip_of_next_to_nothing_that_unpacks_to_very_much_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "chat.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_chat.txt", (HEAD + "Hi\n").encode() + b"\n" * 20_000_000)
    message = (
        f"{path}: would unpack to 20 MB, 1,020 times its size, the last of it '_chat.txt'; no chat grows more than 100 "
        "times. Export the chat again."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read(path)


def test_many_zips_that_are_each_harmless_are_counted_together(tmp_path: Path) -> None:
    for number in range(3):
        with zipfile.ZipFile(tmp_path / f"{number}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("_chat.txt", (HEAD + "Hi\n").encode() + b"\n" * 5_000_000)
    message = (
        f"{tmp_path / '1.zip'}: would unpack to 10 MB, 995 times its size, the last of it '_chat.txt'; no chat grows "
        "more than 100 times. Export the chat again."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("Hi \u200e<edited> ", "Hi"),
        ("Hi <This message was edited>\n", "Hi"),
        ("Hi<This message was edited>", "Hi<This message was edited>"),
        ("a <b> \u200e<c>", "a <b>"),
        ("a \u200e<b\u200e<c> d>", "a \u200e<b\u200e<c> d>"),
        ("a \u200e<b\nc>", "a \u200e<b\nc>"),
    ],
)
def test_what_whatsapp_adds_at_the_end_is_taken_off(tmp_path: Path, body: str, said: str) -> None:
    messages, _ = read_text(tmp_path, HEAD + body)
    assert [message.content for message in messages] == [said]


def test_a_year_of_three_digits_is_written_as_years_are(tmp_path: Path) -> None:
    messages, _ = read_text(tmp_path, "15/08/123, 09:12 - Hare: Speed is key!\n16/08/123, 09:12 - Tortoise: No\n")
    assert [message.time for message in messages] == ["0123-08-15T09:12:00Z", "0123-08-16T09:12:00Z"]
