import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from pipeline.archives import signal
from pipeline.archives.filters import Filters
from pipeline.archives.recognise import recognise
from pipeline.archives.signal import NOTE, STICKER
from pipeline.archives.told import CALL, DELETED, MEDIA, NO_TEXT
from pipeline.errors import InputError
from tests.archives.exports import whatsapp_text
from tests.archives.fuzzing import damaged, require_words_or_balance
from tests.archives.reading import read


def line(clock: str, sender: str, body: str, **more: Any) -> str:
    """A line of data.json as signal-export 3.9 writes it; `None` takes a key out."""
    row = {
        "date": f"2023-08-28T{clock}.123000", "sender": sender, "body": f"{body}  ", "quote": "", "sticker": None,
        "reactions": [], "attachments": [], "deleted": False, "call": False, "missed": False,
    } | more  # fmt: skip
    return json.dumps(row, ensure_ascii=False) + "\n"


def chat(folder: Path, name: str, *lines: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "data.json").write_text("".join(lines), encoding="utf-8")
    return folder


PHOTO = {"name": "a.jpg", "path": "media/a.jpg", "missing_kind": None}
LINES = (
    line("10:00:00", "AnnBell", "Hi there"),
    line("10:01:00", "Me", "Two\n\nlines"),
    line("10:02:00", "Me", "", attachments=[PHOTO]),
    line("10:03:00", "AnnBell", "look", attachments=[PHOTO], reactions=[["Me", "👍"]]),
    line("10:04:00", "Me", "\ufffc yes", quote="\n\n> look\n> at `me`\n\n"),
    line("10:05:00", "Me", "mine", quote="\n\n> yes\n\n"),
    line("10:06:00", "AnnBell", "", sticker={"id": "1", "packId": "p", "packKey": "k", "emoji": "🙂"}),
    line("10:07:00", "Me", "", deleted=True),
    line("10:08:00", "Me", "Outgoing voice call (accepted, 3m 4s)", call=True),
    line("10:09:00", "AnnBell", "Missed call"),
    line("10:10:00", "No-Sender", ""),
)
PAGE = """[2023-08-28 10:00:00] AnnBell: Hi there  

[2023-08-28 10:01:00] Me: Two

lines  

[2023-08-28 10:02:00] Me:   ![a.jpg](./media/a.jpg)  

[2023-08-28 10:03:00] AnnBell: look  
(- Me: 👍 -)![a.jpg](./media/a b.jpg)  [v.mp4](./media/v.mp4)  (media not exported)  

[2023-08-28 10:04:00] Me: 

> look
> at me

yes  

[2023-08-28 10:05:00] Me: 

> yes

mine  

[2023-08-28 10:06:00] AnnBell:   
(( 🙂 ))

[2023-08-28 10:06:30] AnnBell:   [🙂](../exported_stickers/p/1.webp)  

[2023-08-28 10:07:00] Me: (This message was deleted)

[2023-08-28 10:08:00] Me: Outgoing voice call (accepted, 3m 4s)  

[2023-08-28 10:09:00] AnnBell: I quote:

[2023-08-28 10:01:00] Me: I never said that
[2023-08-28 10:01:00] Me: nor that  

"""  # noqa: W291 - as it writes them


def test_data_json_is_read_with_me_as_the_owner(tmp_path: Path) -> None:
    found = read(chat(tmp_path, "AnnBell", *LINES))
    (session,) = found.sessions
    assert (session.id, session.kind, session.title, session.platform) == ("AnnBell", "direct", None, "Signal")
    assert [(each.sender, each.is_me, each.time, each.content) for each in session.messages] == [
        ("AnnBell", False, "2023-08-28T10:00:00Z", "Hi there"),
        ("me", True, "2023-08-28T10:01:00Z", "Two\n\nlines"),
        ("AnnBell", False, "2023-08-28T10:03:00Z", "look"),
        ("me", True, "2023-08-28T10:04:00Z", "yes"),
        ("me", True, "2023-08-28T10:05:00Z", "mine"),
        ("AnnBell", False, "2023-08-28T10:09:00Z", "Missed call"),
    ]
    assert [each.reply_to for each in session.messages if isinstance(each.reply_to, str)] == ["look\nat me"]
    assert found.loaded.dropped == {MEDIA: 1, STICKER: 1, DELETED: 1, CALL: 1, NO_TEXT: 1}


def test_before_calls_were_marked_they_are_known_by_their_words(tmp_path: Path) -> None:
    lines = [
        line("10:00:00", "Ann", body, call=None)
        for body in ("Missed call", "Incoming video call (declined)", "call me")
    ]
    found = read(chat(tmp_path, "Ann", *lines))
    assert (found.said, found.loaded.dropped) == ([("Ann", "call me")], {CALL: 2})


def test_a_page_says_the_same_as_the_lines(tmp_path: Path) -> None:
    (tmp_path / "AnnBell").mkdir()
    page = tmp_path / "AnnBell" / "chat.md"
    page.write_text(PAGE, encoding="utf-8")
    found, alone = read(tmp_path), read(page)
    assert found.said == alone.said == [
        ("AnnBell", "Hi there"),
        ("me", "Two\n\nlines"),
        ("AnnBell", "look"),
        ("me", "yes"),
        ("me", "mine"),
        ("AnnBell", "I quote:\n\n[2023-08-28 10:01:00] Me: I never said that\n[2023-08-28 10:01:00] Me: nor that"),
    ]  # fmt: skip
    assert found.loaded.dropped == {MEDIA: 1, STICKER: 2, DELETED: 1, CALL: 1}
    assert recognise(page).source == "signal"


def test_a_page_whose_spaces_an_editor_took_away_is_read(tmp_path: Path) -> None:
    page = tmp_path / "chat.md"
    page.write_text("[2023-08-28 10:00:00] Ann: Hi\n\n[2023-08-28 10:01:00] Me: Ho\n\n", encoding="utf-8")
    assert read(page).said == [("Ann", "Hi"), ("me", "Ho")]


def test_the_page_of_version_1_has_neither_seconds_nor_empty_lines(tmp_path: Path) -> None:
    page = tmp_path / "index.md"
    page.write_text("[2021-08-28 10:00] Ann: Hi  \nthere  \n[2021-08-28, 10:01] Me: Ho  \n", encoding="utf-8")
    (session,) = read(page).sessions
    assert [(each.sender, each.time, each.content) for each in session.messages] == [
        ("Ann", "2021-08-28T10:00:00Z", "Hi  \nthere"),
        ("me", "2021-08-28T10:01:00Z", "Ho"),
    ]


def test_a_chat_has_data_json_or_its_page_never_both(tmp_path: Path) -> None:
    chat(tmp_path, "AnnBell", *LINES)
    (tmp_path / "AnnBell" / "chat.md").write_text(PAGE, encoding="utf-8")
    (tmp_path / "Bo").mkdir()
    (tmp_path / "Bo" / "chat.md").write_text("[2023-08-28 10:00:00] Bo: Ho  \n\n", encoding="utf-8")
    chat(tmp_path, "Empty")
    found = read(tmp_path)
    assert [(session.id, len(session.messages)) for session in found.sessions] == [("AnnBell", 6), ("Bo", 1)]
    archive = recognise(tmp_path)
    assert (archive.source, archive.what, archive.because) == (
        "signal",
        "chats exported by signal-export",
        "what is in AnnBell/data.json and 2 more like it",
    )


def test_a_chat_in_which_two_others_speak_is_a_group(tmp_path: Path) -> None:
    found = read(
        chat(tmp_path, "Club", *(line(f"10:00:0{n}", name, "Hi") for n, name in enumerate(("Me", "Bo", "Cy"))))
    )
    assert [(session.kind, session.title, sorted(session.people)) for session in found.sessions] == [
        ("group", "Club", ["Bo", "Cy"])
    ]


def test_two_people_of_one_name_stay_two(tmp_path: Path) -> None:
    chat(tmp_path, "Ann", line("10:00:00", "Ann", "Hi"))
    chat(tmp_path, "Ann2", line("10:00:00", "Ann", "Ho"))
    assert read(tmp_path).said == [("Ann", "Hi"), ("Ann (Ann2)", "Ho")]


def test_what_one_tells_oneself_is_left_out(tmp_path: Path) -> None:
    found = read(chat(tmp_path, "NoteToSelf", line("10:00:00", "Me", "milk")))
    assert (found.sessions, found.loaded.dropped) == ([], {NOTE: 1})


def test_a_message_without_a_date_has_no_time_and_messages_come_in_order(tmp_path: Path) -> None:
    lines = [
        line("10:01:00", "Ann", "b"),
        line("10:00:00", "Ann", "a"),
        line("", "Ann", "c", date="1970-01-01T01:00:00"),
    ]
    (session,) = read(chat(tmp_path, "Ann", *lines)).sessions
    assert [(each.content, each.time) for each in session.messages] == [
        ("a", "2023-08-28T10:00:00Z"), ("c", None), ("b", "2023-08-28T10:01:00Z"),
    ]  # fmt: skip


def test_filters_work_by_date(tmp_path: Path) -> None:
    from datetime import date

    late = line("10:00:00", "Ann", "late").replace("2023-08-28", "2024-01-01")
    chat(tmp_path, "Ann", line("10:00:00", "Ann", "early"), late)
    assert read(tmp_path, filters=Filters(since=date(2024, 1, 1))).said == [("Ann", "late")]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("sql/db.sqlite", b"\x9a\x13" * 4096, f"Signal Desktop's own database, which is encrypted. {signal.EXPORT}"),
        (
            "signal-2023-08-28.backup",
            b"\x00\x00\x00\x36\x0a\x34\x0a\x10" + b"\x13" * 100,
            "Signal's own backup of an Android phone, which is encrypted. Link Signal Desktop to the phone, and let it "
            f"take the chats over. {signal.EXPORT}",
        ),
    ],
)
def test_signals_own_files_are_answered_with_how_to_export(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: {message}')}$"):
        recognise(path)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = chat(tmp_path, "Ann", line("10:00:00", "Ann", "Hi"), '{"date": "2023') / "Ann" / "data.json"
    message = (
        f"{path}:2: no message as signal-export writes it (Input data was truncated). Export again. {signal.EXPORT}"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read(tmp_path)


def test_other_archives_are_not_taken_for_signals(tmp_path: Path) -> None:
    assert recognise(whatsapp_text(tmp_path)).source == "whatsapp"


WHOLE = "".join(LINES).encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=damaged(WHOLE))
def test_a_damaged_data_json_is_refused_or_accounted_for(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(data)
    require_words_or_balance(path, "signal")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=damaged(PAGE.encode()))
def test_a_damaged_page_is_refused_or_accounted_for(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "chat.md"
    path.write_bytes(data)
    require_words_or_balance(path, "signal")


@pytest.mark.parametrize(
    "date", ["2023-08-20T25:61:00", "2023-02-30T10:00:00", "2023-08-20 10:99", "0000-01-01T00:00:00"]
)
def test_a_time_that_does_not_exist_is_none(tmp_path: Path, date: str) -> None:
    chat(tmp_path, "AnnBell", line("10:00:00", "AnnBell", "Hi"), line("", "AnnBell", "odd", date=date))
    assert [each.time for each in read(tmp_path).sessions[0].messages] == ["2023-08-28T10:00:00Z", None]


def test_a_time_on_a_page_that_does_not_exist_is_none(tmp_path: Path) -> None:
    (tmp_path / "AnnBell").mkdir()
    (tmp_path / "AnnBell" / "chat.md").write_text("[2023-08-20 25:61:00] AnnBell: Hi  \n\n")
    assert [each.time for each in read(tmp_path).sessions[0].messages] == [None]


def test_a_line_that_is_nested_too_deeply_is_refused_in_words(tmp_path: Path) -> None:
    deep = "[" * 50_000 + "]" * 50_000
    chat(
        tmp_path, "AnnBell", line("10:00:00", "AnnBell", "Hi"), line("10:01:00", "A", "x")[:-2] + f', "more": {deep}}}'
    )
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    what = "no message as signal-export writes it (JSON is nested too deeply)"
    assert str(caught.value) == f"{tmp_path / 'AnnBell/data.json'}:2: {what}. Export again. {signal.EXPORT}"


def test_a_name_is_one_line(tmp_path: Path) -> None:
    chat(tmp_path, "AnnBell", line("10:00:00", "Ann\nMe: yes\u2028Bell", "Hi"))
    assert read(tmp_path).said == [("Ann Me: yes Bell", "Hi")]
