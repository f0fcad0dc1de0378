import json
import re
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from pipeline.archives.filters import Filters
from pipeline.archives.google_chat import EXPORT, NO_DATE, SYSTEM
from pipeline.archives.recognise import recognise
from pipeline.archives.told import BY_A_BOT, CALL, DELETED, MEDIA, NO_TEXT
from pipeline.archives.worded_dates import worded_date
from pipeline.errors import InputError
from tests.archives.exports import telegram
from tests.archives.fuzzing import damaged, require_words_or_balance
from tests.archives.reading import read

ADA = {"name": "Ada", "email": "Ada@x.test", "user_type": "Human"}
BO = {"name": "Bo", "email": "bo@x.test", "user_type": "Human"}
BO_2 = {"name": "Bo", "email": "bo@y.test", "user_type": "Human"}
SILENT = {"name": "Cy", "email": "cy@x.test", "user_type": "Human"}
BOT = {"name": "Jira", "email": "", "user_type": "Bot"}


def row(creator: dict[str, str], minute: int, text: str | None, topic: str = "t", **more: Any) -> dict[str, Any]:
    written = f"Friday, March 17, 2023 at 1:{minute:02}:00\u202fPM UTC"
    found = {"creator": creator, "created_date": written, "text": text, "topic_id": topic, "message_id": f"g/{minute}"}
    return {key: value for key, value in (found | more).items() if value is not None}


def takeout(folder: Path, groups: dict[str, tuple[Any, list[dict[str, Any]]]]) -> Path:
    root = folder / "Takeout" / "Google Chat"
    files = {"Users/User 1/user_info.json": {"user": ADA, "membership_info": [{"group_id": "DM 1"}]}}
    for name, (info, messages) in groups.items():
        files[f"Groups/{name}/group_info.json"] = info
        files[f"Groups/{name}/messages.json"] = {"messages": messages}
    for name, value in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(value, ensure_ascii=False, indent=2), encoding="utf-8")
    return folder


DIRECT = {
    "DM 1": (
        {"members": [ADA, BO]},
        [
            row(ADA, 1, "hello", "a"),
            row(BO, 2, "hi", "b", quoted_message_metadata={"creator": ADA, "text": "hello"}),
            row(BO, 3, "and", "b", quoted_message_metadata={"creator": BO, "text": "hi"}),
            row(BO, 4, None, attached_files=[{"original_name": "a.png", "export_name": "File-a.png"}]),
            row(BO, 5, None, message_state="DELETED", deletion_metadata={"deletion_type": "CREATOR"}),
            row(BO, 6, None, annotations=[{"start_index": 0, "length": 0, "video_call_metadata": {}}]),
            row(BO, 7, None, annotations=[{"membership_changed": {}}]),
            row(BO, 8, None),
            row(ADA, 9, "https://x.test", annotations=[{"start_index": 0, "length": 14, "url_metadata": {}}]),
        ],
    ),
    "DM 2": ({"members": [ADA, BO]}, []),
}


def test_a_direct_chat_is_one_conversation_whose_owner_is_known(tmp_path: Path) -> None:
    found = read(takeout(tmp_path, DIRECT))
    (session,) = found.sessions
    assert (session.id, session.kind, session.title, session.platform) == ("DM 1", "direct", None, "Google Chat")
    assert [(each.sender, each.is_me, each.time, each.content) for each in session.messages] == [
        ("me", True, "2023-03-17T13:01:00Z", "hello"),
        ("Bo", False, "2023-03-17T13:02:00Z", "hi"),
        ("Bo", False, "2023-03-17T13:03:00Z", "and"),
        ("me", True, "2023-03-17T13:09:00Z", "https://x.test"),
    ]
    assert [each.reply_to for each in session.messages if isinstance(each.reply_to, str)] == ["hello"]
    assert found.loaded.dropped == {MEDIA: 1, DELETED: 1, CALL: 1, SYSTEM: 1, NO_TEXT: 1}


SPACE = {
    "Space S": (
        {"name": "Crew", "members": [ADA, BO, BO_2, SILENT, BOT]},
        [
            row(BO, 1, "one", "t1"),
            row(BO_2, 2, "root", "t2"),
            row(ADA, 3, 'two "topic_id": "t2"', "t3"),
            row(ADA, 4, "reply", "t2"),
            row(BOT, 5, "ticket", "t4"),
        ],
    )
}


def test_in_a_space_a_topic_that_was_answered_is_a_conversation_of_its_own(tmp_path: Path) -> None:
    found = read(takeout(tmp_path, SPACE))
    talks = [(each.id, each.title, [(m.sender, m.content) for m in each.messages]) for each in found.sessions]
    assert talks == [
        ("Space S", "Crew", [("Bo", "one"), ("me", 'two "topic_id": "t2"')]),
        ("Space S/t2", "Crew", [("Bo (bo@y.test)", "root"), ("me", "reply")]),
    ]
    assert {each.kind for each in found.sessions} == {"group"}
    assert sorted(found.sessions[0].people) == ["Bo", "Bo (bo@y.test)", "Cy"]
    assert found.loaded.dropped == {BY_A_BOT: 1}


def test_two_exports_side_by_side_count_each_message_once(tmp_path: Path) -> None:
    takeout(tmp_path / "1", SPACE)
    takeout(tmp_path / "2", SPACE)
    found = read(tmp_path)
    assert [(each.id, len(each.messages)) for each in found.sessions] == [("Space S", 2), ("Space S/t2", 2)]
    assert found.loaded.dropped == {BY_A_BOT: 2, "there twice": 4}


def test_the_zip_reads_as_its_folder(tmp_path: Path) -> None:
    folder = takeout(tmp_path / "folder", DIRECT | SPACE)
    path = tmp_path / "takeout.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(folder.rglob("*.json")):
            archive.write(each, each.relative_to(folder))
    archive_found = recognise(path)
    assert (archive_found.source, archive_found.what, archive_found.because) == (
        "google-chat",
        "Google Chat, exported by Google Takeout",
        "what is in Takeout/Google Chat/Groups/DM 1/messages.json and 2 more like it",
    )
    assert read(path).sessions == read(folder).sessions


def test_a_messages_json_alone_has_no_owner(tmp_path: Path) -> None:
    path = tmp_path / "messages.json"
    path.write_text(json.dumps({"messages": [row(ADA, 1, "hello"), row(BO, 2, "hi")]}))
    (session,) = read(path).sessions
    assert (session.kind, [each.sender for each in session.messages]) == ("direct", ["Ada", "Bo"])


def test_a_date_that_cannot_be_read_is_told_and_costs_the_time_alone(tmp_path: Path) -> None:
    found = read(takeout(tmp_path, {"DM 1": ({"members": [ADA, BO]}, [row(BO, 1, "hi", created_date="lundi")])}))
    assert ([each.time for each in found.sessions[0].messages], found.loaded.noted) == ([None], {NO_DATE: 1})


def test_filters_work_by_date_and_address(tmp_path: Path) -> None:
    takeout(tmp_path, DIRECT)
    assert read(tmp_path, filters=Filters(since=date(2023, 3, 18))).said == []
    assert len(read(tmp_path, filters=Filters(only_people=("bo@x.test",))).said) == 4


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("Friday, May 29, 2026 at 3:00:29\u202fAM UTC", "2026-05-29T03:00:29Z"),
        ("Friday, May 29, 2026 at 12:00:29 AM UTC", "2026-05-29T00:00:29Z"),
        ("Friday, May 29, 2026 at 12:00:29\u202fPM UTC", "2026-05-29T12:00:29Z"),
        ("Friday, May 29, 2026 at 15:00:29 UTC", "2026-05-29T15:00:29Z"),
        ("2026年5月29日星期五 UTC 03:00:29", "2026-05-29T03:00:29Z"),
        ("2026年5月29日金曜日 15時00分29秒 UTC", "2026-05-29T15:00:29Z"),
        ("2026년 5월 29일 금요일 PM 3시 0분 29초 UTC", "2026-05-29T15:00:29Z"),
        ("Freitag, 29. Mai 2026 um 03:00:29 UTC", "2026-05-29T03:00:29Z"),
        ("vendredi 29 mai 2026 à 15:00:29 UTC", "2026-05-29T15:00:29Z"),
        ("martes, 31 de marzo de 2026, 15:00:29 UTC", "2026-03-31T15:00:29Z"),
        ("2026-05-29T10:30:00Z", "2026-05-29T10:30:00Z"),
        ("Friday, May 32, 2026 at 3:00:29\u202fAM UTC", None),
        ("29.5.2026", None),
        ("", None),
        ("9" * 5000, None),
    ],
)
def test_dates_are_understood_in_the_words_of_many_languages(written: str, time: str | None) -> None:
    assert worded_date(written) == time


def event(
    sender: str, second: int, *segments: dict[str, str], kind: str = "REGULAR_CHAT_MESSAGE", **content: Any
) -> Any:
    found: dict[str, Any] = {
        "sender_id": {"gaia_id": sender},
        "timestamp": f"{1400000000 + second}000000",
        "event_type": kind,
    }
    if kind == "REGULAR_CHAT_MESSAGE":
        found["chat_message"] = {"message_content": {"segment": list(segments), **content}}
    return found


TEXT, BREAK = {"type": "TEXT", "text": "b"}, {"type": "LINE_BREAK", "text": "\n"}
LINK = {"type": "LINK", "text": "http://x.test"}
EVENTS = [
    event("2", 1, TEXT, BREAK, LINK),
    event("1", 0, {"type": "TEXT", "text": "a"}),
    event("1", 2, attachment=[{}]),
    event("2", 3, kind="HANGOUT_EVENT"),
    event("2", 4, kind="RENAME_CONVERSATION"),
]


def about(identity: str, kind: str, *names: str) -> dict[str, Any]:
    return {
        "id": {"id": identity},
        "type": kind,
        "name": "Crew",
        "self_conversation_state": {"self_read_state": {"participant_id": {"gaia_id": "1"}}},
        "participant_data": [{"id": {"gaia_id": str(n)}, "fallback_name": name} for n, name in enumerate(names, 1)],
    }


@pytest.mark.parametrize("version", ["2017", "2014"])
def test_hangouts_are_read_in_order_with_their_owner(tmp_path: Path, version: str) -> None:
    one, many = about("C1", "STICKY_ONE_TO_ONE", "Ada", "Bo"), about("C2", "GROUP", "Ada", "Bo", "Bo")
    said = [event("2", 5, TEXT), event("3", 6, TEXT)]
    if version == "2017":
        whole: Any = {
            "conversations": [
                {"conversation": {"conversation_id": {"id": "C1"}, "conversation": one}, "events": EVENTS},
                {"conversation": {"conversation_id": {"id": "C2"}, "conversation": many}, "events": said},
            ]
        }
    else:
        whole = {
            "conversation_state": [
                {"conversation_id": {"id": "C1"}, "conversation_state": {"conversation": one, "event": EVENTS}},
                {"conversation_id": {"id": "C2"}, "conversation_state": {"conversation": many, "event": said}},
            ]
        }
    path = tmp_path / "Hangouts.json"
    path.write_text(json.dumps(whole))
    found = read(path)
    talks = [(each.id, each.kind, each.title, each.platform) for each in found.sessions]
    assert talks == [
        ("hangouts/C1", "direct", None, "Google Hangouts"),
        ("hangouts/C2", "group", "Crew", "Google Hangouts"),
    ]
    assert found.said == [("me", "a"), ("Bo", "b\nhttp://x.test"), ("Bo", "b"), ("Bo (3)", "b")]
    assert found.sessions[0].messages[0].time == "2014-05-13T16:53:20Z"
    assert found.loaded.dropped == {MEDIA: 1, CALL: 1, SYSTEM: 1}


def test_what_is_nothing_of_google_is_refused(tmp_path: Path) -> None:
    path = telegram(tmp_path)
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: nothing of Google Chat. {EXPORT}')}$"):
        read(path, "google-chat")


WHOLE = json.dumps({"messages": DIRECT["DM 1"][1]}).encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=damaged(WHOLE))
def test_damaged_messages_are_refused_or_accounted_for(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "messages.json"
    path.write_bytes(data)
    require_words_or_balance(path, "google-chat")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=damaged(json.dumps({"conversations": [{"conversation": about("C", "GROUP"), "events": EVENTS}]}).encode()))
def test_damaged_hangouts_are_refused_or_accounted_for(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "Hangouts.json"
    path.write_bytes(data)
    require_words_or_balance(path, "google-chat")


def test_a_topic_of_half_a_character_is_no_topic_that_was_answered(tmp_path: Path) -> None:
    rows = [row(ADA, 1, "hello", "\ud83d"), row(BO, 2, "hi", "\ud83d")]
    path = takeout(tmp_path, {}) / "Takeout" / "Google Chat" / "Groups" / "Space 1" / "messages.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"messages": rows}))
    assert [session.id for session in read(tmp_path).sessions] == ["Space 1"]
