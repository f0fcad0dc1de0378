import json
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.archives import conversation
from pipeline.archives.filters import TOO_EARLY, Filters
from pipeline.archives.recognise import recognise
from pipeline.archives.telegram import rows, source
from pipeline.archives.telegram.rows import CONTACT, FORWARDED, LOCATION, OF_A_CHANNEL, OTHER, POLL, SYSTEM, VIA_BOT
from pipeline.archives.told import CALL, MEDIA, NO_TEXT, TWICE
from pipeline.errors import InputError
from pipeline.sessions.session import Message, Session
from tests.archives.reading import Read, read
from tests.fuzz.conftest import fuzz
from tests.fuzz.values import mutated, spoilt

Json = dict[str, Any]
IDA, OLO = ("Ida", "user1"), ("Olo", "user2")
HOUR = 1_717_200_000


def row(number: int, who: tuple[str | None, str] = IDA, text: object = "Hi", **more: object) -> Json:
    """A message, a minute after the one before it, as Telegram Desktop writes it."""
    when = {"date": f"2024-06-01T02:{number % 60:02}:00", "date_unixtime": str(HOUR + 60 * number)}
    who_it_is = {"from": who[0], "from_id": who[1]}
    return {"id": number, "type": "message", **when, **who_it_is, "text": text, "text_entities": [], **more}


def service(number: int, action: str, **more: Any) -> Json:
    written = row(number, **more)
    return {**written, "type": "service", "actor": "Ida", "actor_id": "user1", "action": action}


def chat(*messages: object, kind: str | None = "personal_chat", name: str | None = "Ida", number: int = 1) -> Json:
    return {"name": name, "type": kind, "id": number, "messages": list(messages)}


def account(*chats: Json, left: tuple[Json, ...] = (), me: int | None = 2) -> Json:
    personal = {} if me is None else {"personal_information": {"user_id": me, "first_name": "Olo", "last_name": "O"}}
    listed = {"chats": {"about": "All chats", "list": list(chats)}, "left_chats": {"about": "", "list": list(left)}}
    return {"about": "Here is the data you requested.", **personal, "contacts": {"list": []}, **listed}


def write(folder: Path, document: object, name: str = "result.json", indent: int | None = 1) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False, indent=indent), encoding="utf-8")
    return path


def said(found: Read) -> list[list[tuple[str, str]]]:
    return [[(message.sender, message.content) for message in session.messages] for session in found.sessions]


def only(found: Read) -> Session:
    [session] = found.sessions
    return session


def test_a_chat_between_two_is_read_with_its_times_in_utc(tmp_path: Path) -> None:
    found = read(write(tmp_path, chat(row(1, IDA, "any news?"), row(2, OLO, "always"))))
    session = only(found)
    assert (session.id, session.kind, session.title, session.platform) == ("telegram-user1", "direct", None, "Telegram")
    assert session.messages == [
        Message("Ida", False, "2024-06-01T00:01:00Z", "any news?"),
        Message("Olo", False, "2024-06-01T00:02:00Z", "always"),
    ]
    assert found.loaded.rows == 2
    assert not found.loaded.dropped


def test_exports_of_old_keep_their_local_times_and_their_order(tmp_path: Path) -> None:
    old: list[Json] = []
    for number, time in enumerate(["2019-10-27T02:59:00", "2019-10-27T02:01:00", "2019-10-27T03:00:00"], start=1):
        written = row(number, IDA, f"{number}", date=time)
        del written["date_unixtime"]
        old.append({**written, "from_id": 4_310_123})
    assert only(read(write(tmp_path, chat(*old)))).messages == [
        Message("Ida", False, "2019-10-27T02:59:00Z", "1"),
        Message("Ida", False, "2019-10-27T02:01:00Z", "2"),
        Message("Ida", False, "2019-10-27T03:00:00Z", "3"),
    ]


@pytest.mark.parametrize(
    ("changes", "time"),
    [
        ({"date_unixtime": "1717200000"}, "2024-06-01T00:00:00Z"),
        ({"date_unixtime": 1717200000}, "2024-06-01T00:00:00Z"),
        ({"date_unixtime": "soon", "date": "2024-06-01T02:00:00"}, "2024-06-01T02:00:00Z"),
        ({"date_unixtime": "0", "date": "1970-01-01T01:00:00+01:00"}, "1970-01-01T00:00:00Z"),
        ({"date_unixtime": "9" * 30, "date": "yesterday"}, None),
        ({"date_unixtime": None, "date": None}, None),
    ],
    ids=["text", "a number", "no number", "never, with an offset", "far away", "missing"],
)
def test_a_time_is_what_the_export_says_or_none(tmp_path: Path, changes: Json, time: str | None) -> None:
    assert only(read(write(tmp_path, chat(row(1, **changes))))).messages == [Message("Ida", False, time, "Hi")]


PARTS = [
    "See ",
    {"type": "link", "text": "https://example.org/p"},
    " and ",
    {"type": "text_link", "text": "page two", "href": "https://example.org/2"},
    ", ",
    {"type": "mention_name", "text": "Bo", "user_id": 7},
    {"type": "custom_emoji", "text": "🍲", "document_id": "stickers/1.webp"},
    {"type": "code", "text": "x = 1"},
    {"type": "spoiler", "text": "!"},
]
JOINED = "See https://example.org/p and page two, Bo🍲x = 1!"


@pytest.mark.parametrize(
    "written",
    [
        {"text": PARTS},
        {"text": "", "text_entities": [each if isinstance(each, dict) else {"text": each} for each in PARTS]},
        {"text": JOINED, "text_entities": [{"type": "plain", "text": JOINED}]},
    ],
    ids=["text of parts", "entities", "text and entities"],
)
def test_a_text_is_read_in_every_form_that_it_is_written_in(tmp_path: Path, written: Json) -> None:
    assert only(read(write(tmp_path, chat(row(1, **written))))).messages[0].content == JOINED


def test_people_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    twins = chat(
        row(1, ("Ann", "user7"), "I am the first"),
        row(2, ("Ann", "user8"), "I am the second"),
        row(3, ("Anna", "user7"), "I have another name now"),
        row(4, (None, "user9"), "I left"),
        row(5, (None, "user10"), "I too"),
        kind="private_group",
        name="Anns",
    )
    session = only(read(write(tmp_path, twins)))
    assert [message.sender for message in session.messages] == [
        "Ann",
        "Ann (user8)",
        "Ann",
        "Deleted account",
        "Deleted account (user10)",
    ]
    assert {sender: person.addresses for sender, person in session.people.items()} == {
        "Ann": ["user7"],
        "Ann (user8)": ["user8"],
        "Deleted account": ["user9"],
        "Deleted account (user10)": ["user10"],
    }


def test_without_ids_people_go_by_their_names(tmp_path: Path) -> None:
    nameless = [{key: each[key] for key in ("id", "type", "date", "from", "text")} for each in (row(1), row(2, OLO))]
    assert [message.sender for message in only(read(write(tmp_path, chat(*nameless)))).messages] == ["Ida", "Olo"]


def test_what_is_forwarded_or_by_way_of_a_bot_is_context_only(tmp_path: Path) -> None:
    found = read(
        write(
            tmp_path,
            chat(
                row(1, OLO, "Berth nine is closed.", forwarded_from="Harbour Office"),
                row(2, OLO, "From nobody.", forwarded_from=None),
                row(3, OLO, "poll result below", via_bot="@votebot"),
                row(4, ("Helper", "user5"), "Press one", inline_bot_buttons=[[{"type": "url", "text": "One"}]]),
                row(5, OLO, "see you there"),
                row(6, OLO, "", forwarded_from="Harbour Office", photo="photos/1.jpg"),
            ),
        )
    )
    assert [(message.content, message.only_context is True) for message in only(found).messages] == [
        ("Berth nine is closed.", True),
        ("From nobody.", True),
        ("poll result below", True),
        ("Press one", True),
        ("see you there", False),
    ]
    assert found.loaded.noted == {FORWARDED: 2, VIA_BOT: 2}
    assert found.loaded.dropped == {MEDIA: 1}


@pytest.mark.parametrize(
    ("more", "reason", "shown"),
    [
        ({"photo": "photos/1.jpg"}, MEDIA, "photo"),
        ({"file": "(File not included.)", "media_type": "sticker", "sticker_emoji": "👍"}, MEDIA, "👍"),
        ({"file": "f.ogg", "media_type": "voice_message", "duration_seconds": 3}, MEDIA, "voice_message"),
        ({"file": "files/a.pdf", "file_name": "a.pdf"}, MEDIA, "a.pdf"),
        ({"poll": {"question": "Soup?", "answers": []}}, POLL, "Soup?"),
        (
            {"location_information": {"latitude": 1.5}, "live_location_period_seconds": 900},
            LOCATION,
            "location_information",
        ),
        ({"location_information": None}, LOCATION, "location_information"),
        ({"place_name": "Harbour", "address": "1 Quay"}, LOCATION, "Harbour"),
        ({"contact_information": {"phone_number": "1"}}, CONTACT, "contact_information"),
        ({"game_title": "Chess"}, OTHER, "Chess"),
        ({"invoice_information": {"title": "Tea"}}, OTHER, "invoice_information"),
        ({}, NO_TEXT, ""),
        ({"text": " \n"}, NO_TEXT, ""),
    ],
)
def test_what_has_no_words_is_counted_by_what_it_is(tmp_path: Path, more: Json, reason: str, shown: str) -> None:
    found = read(write(tmp_path, chat(row(1), row(2, **{"text": "", **more}))))
    assert found.left_out == [(reason, Message("Ida", False, "2024-06-01T00:02:00Z", shown))]
    assert found.loaded.dropped == {reason: 1}


def test_captions_are_speech(tmp_path: Path) -> None:
    messages = [row(1, text="Look", photo="photos/1.jpg"), row(2, text=["My ", "voice"], media_type="voice_message")]
    assert said(read(write(tmp_path, chat(*messages)))) == [[("Ida", "Look"), ("Ida", "My voice")]]


def test_what_telegram_says_itself_is_counted(tmp_path: Path) -> None:
    found = read(
        write(
            tmp_path,
            chat(
                service(1, "phone_call", duration_seconds=60),
                service(2, "group_call"),
                service(3, "pin_message", text="", message_id=1),
                service(4, "create_group", members=["Ida", None]),
                {"id": 5, "type": "unsupported"},
                None,
                row(6),
            ),
        )
    )
    assert found.loaded.dropped == {CALL: 2, SYSTEM: 2, rows.UNSUPPORTED: 1, rows.UNREADABLE: 1}
    assert found.loaded.rows == 7


def test_a_reply_tells_what_it_answers_if_somebody_else_said_that(tmp_path: Path) -> None:
    found = read(
        write(
            tmp_path,
            chat(
                row(1, IDA, "x" * 500),
                row(2, OLO, "yes", reply_to_message_id=1),
                row(3, OLO, "I mean no", reply_to_message_id=2),
                row(4, OLO, "what?", reply_to_message_id=99),
                row(5, OLO, "elsewhere", reply_to_message_id=1, reply_to_peer_id="channel1"),
            ),
        )
    )
    replies = [message.reply_to for message in only(found).messages]
    assert replies[1] == "x" * 120
    assert len([each for each in replies if isinstance(each, str)]) == 1


def test_what_was_said_long_ago_is_not_held_to_be_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "REMEMBERED", 2)
    monkeypatch.setattr(conversation, "WINDOW", 2)
    numbers = range(1, 9)
    answered = [row(number, (IDA, OLO)[number % 2], f"{number}", reply_to_message_id=1) for number in numbers]
    near = [row(number, (IDA, OLO)[number % 2], "near", reply_to_message_id=number - 1) for number in (9, 10)]
    monkeypatch.setattr("pipeline.archives.json_file.BLOCK", 400)
    messages = only(read(write(tmp_path, chat(*answered, *near)))).messages
    assert [message.reply_to for message in messages[-4:]][-1] == "near"
    assert not isinstance(messages[7].reply_to, str)


def test_a_whole_account_knows_its_owner_and_leaves_out_what_is_no_conversation(tmp_path: Path) -> None:
    found = read(
        write(
            tmp_path,
            account(
                chat(row(1, IDA, "any news?"), row(2, ("Olo O", "user2"), "always"), number=1),
                chat(row(1, ("Rook", "user3"), "chess?"), row(2, OLO, "no"), row(3, IDA, "yes"),
                     kind="private_supergroup", name="Chess ", number=7),
                chat(row(1, OLO, "/start"), row(2, ("Bot", "user4"), "Hello"), kind="bot_chat", number=4),
                chat(row(1, OLO, "buy milk"), kind="saved_messages", number=2),
                chat(row(1, ("News", "channel9"), "It rains."), kind="public_channel", number=9),
                chat(row(1, ("Telegram", "user777000"), "Login code: 12345"), name="Telegram", number=777000),
                chat(row(1, ("Ann", "user8"), "a comment"), kind="replies", number=1271266957),
                chat(row(1, OLO, "to myself"), number=2),
                left=(chat(row(1, OLO, "bye"), kind="private_group", name="Left", number=5),),
            ),
        )
    )  # fmt: skip
    assert [(each.id, each.kind, each.title) for each in found.sessions] == [
        ("telegram-user1", "direct", None),
        ("telegram-channel7", "group", "Chess"),
        ("telegram-chat5", "group", "Left"),
    ]
    assert said(found) == [[("Ida", "any news?"), ("me", "always")], [("Rook", "chess?"), ("me", "no"), ("Ida", "yes")],
                           [("me", "bye")]]  # fmt: skip
    assert all(message.is_me == (message.sender == "me") for each in found.sessions for message in each.messages)
    assert {each.owner for each in found.sessions} == {"Olo O"}
    assert found.loaded.dropped == {
        source.BOT_CHAT: 2,
        source.NOTE_TO_SELF: 2,
        source.CHANNEL: 1,
        SYSTEM: 2,
    }
    assert found.loaded.noted == {source.LEFT: 1}


def saved(*messages: object, number: int = 2) -> Json:
    return chat(*messages, kind="saved_messages", name=None, number=number)


@pytest.mark.parametrize(
    "chats",
    [
        (chat(row(1), row(2, OLO)), saved(row(1, OLO))),
        (saved(row(1, OLO)), chat(row(1), row(2, OLO))),
        (chat(row(1), row(2, OLO)), chat(row(3, OLO), row(4, ("Bo", "user3")), number=3)),
    ],
    ids=["Saved Messages last", "Saved Messages first", "who is in every chat between two"],
)
def test_an_account_without_personal_information_shows_its_owner(tmp_path: Path, chats: tuple[Json, ...]) -> None:
    found = read(write(tmp_path, account(*chats, me=None)))
    assert {message.sender for each in found.sessions for message in each.messages if message.is_me} == {"me"}
    assert {sender for sender, _ in found.said} in ({"Ida", "me"}, {"Ida", "me", "Bo"})
    assert {each.owner for each in found.sessions} == {"Olo"}


def test_an_account_that_does_not_show_its_owner_has_none(tmp_path: Path) -> None:
    found = read(write(tmp_path, account(chat(row(1), row(2, OLO), number=11), me=None)))
    assert [message.is_me for message in only(found).messages] == [False, False]


@pytest.mark.parametrize("name", ["me", "Olo O"])
def test_a_friend_called_like_the_owner_is_not_the_owner(tmp_path: Path, name: str) -> None:
    found = read(write(tmp_path, account(chat(row(1, (name, "user1")), row(2, OLO)))))
    senders = [(message.sender, message.is_me) for message in only(found).messages]
    assert senders == [(f"{name} (user1)", False), ("me", True)]


def test_ids_in_a_form_of_other_programs_leave_the_names(tmp_path: Path) -> None:
    found = read(write(tmp_path, chat(row(1, from_id={"user_id": 1}), row(2, OLO, from_id={"user_id": 2}))))
    assert [sender for sender, _ in found.said] == ["Ida", "Olo"]


def test_a_channel_that_posts_in_a_group_is_no_person(tmp_path: Path) -> None:
    group = chat(row(1, ("Harbour", "channel9"), "News"), row(2), kind="public_supergroup", name="Harbour chat")
    found = read(write(tmp_path, group))
    assert [message.only_context is True for message in only(found).messages] == [True, False]
    assert found.loaded.noted == {OF_A_CHANNEL: 1}


def as_utf16(path: Path) -> None:
    path.write_bytes(path.read_text(encoding="utf-8").encode("utf-16"))


def with_a_mark_and_crlf(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))


def with_an_escape_that_is_none(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace("news?", "news?\\x0B"), encoding="utf-8")


def with_its_keys_sorted(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")), sort_keys=True), encoding="utf-8")


@pytest.mark.parametrize("spoil", [as_utf16, with_a_mark_and_crlf, with_an_escape_that_is_none, with_its_keys_sorted])
@pytest.mark.parametrize("document", [chat, account], ids=["a chat", "an account"])
def test_a_file_is_read_however_it_was_saved(
    tmp_path: Path, spoil: Callable[[Path], None], document: Callable[[Json], Json]
) -> None:
    messages = row(1, IDA, "any news?"), row(2, OLO, "yes 🍲")
    path = write(tmp_path, chat(*messages) if document is chat else account(chat(*messages)))
    spoil(path)
    session = only(read(path))
    assert [message.content.strip() for message in session.messages] == ["any news?", "yes 🍲"]
    assert (session.id, session.kind) == ("telegram-user1", "direct")


def test_two_exports_of_a_chat_are_one_conversation_with_each_message_once(tmp_path: Path) -> None:
    write(
        tmp_path, chat(row(1, text="one"), row(2, OLO, "two"), row(3, OLO, "tree")), "ChatExport_2024-01-01/result.json"
    )
    newer = chat(row(3, OLO, "three", edited_unixtime="1717300000"), row(4, text="four", reply_to_message_id=2))
    with zipfile.ZipFile(tmp_path / "ChatExport_2024-02-01.zip", "w") as archive:
        archive.writestr("ChatExport/result.json", json.dumps(newer))
    other = chat(row(1, ("Bo", "user3"), "hello"), name="Bo", number=3)
    write(tmp_path, other, "ChatExport_2024-01-02/result.json")
    found = read(tmp_path)
    assert said(found) == [
        [("Bo", "hello")],
        [("Ida", "one"), ("Olo", "two"), ("Olo", "three"), ("Ida", "four")],
    ]
    assert found.sessions[1].messages[3].reply_to == "two"
    assert found.loaded.dropped == {TWICE: 1}
    assert found.loaded.rows == 6


def test_an_account_and_a_chat_of_it_are_one_archive_and_have_one_owner(tmp_path: Path) -> None:
    write(tmp_path, account(chat(row(1), row(2, OLO)), saved(row(1, OLO))), "all/result.json")
    write(tmp_path, chat(row(2, OLO), row(3)), "one/result.json")
    write(tmp_path, chat(row(5, OLO), row(6, ("Bo", "user3")), number=3), "two/result.json")
    found = read(tmp_path)
    assert said(found) == [[("me", "Hi"), ("Bo", "Hi")], [("Ida", "Hi"), ("me", "Hi"), ("Ida", "Hi")]]
    assert found.loaded.dropped == {TWICE: 1, source.NOTE_TO_SELF: 1}


def test_a_row_that_is_there_twice_in_one_export_counts_once(tmp_path: Path) -> None:
    found = read(write(tmp_path, chat(row(1), row(1), row(2))))
    assert found.loaded.dropped == {TWICE: 1}


def test_what_is_not_in_order_is_put_in_order(tmp_path: Path) -> None:
    found = read(write(tmp_path, chat(*(row(number, text=f"{number}") for number in (3, 1, 2)))))
    assert [content for _, content in found.said] == ["1", "2", "3"]
    assert not found.loaded.noted


def test_what_lies_further_from_its_place_than_is_held_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "WINDOW", 2)
    monkeypatch.setattr("pipeline.archives.json_file.BLOCK", 200)
    found = read(write(tmp_path, chat(*(row(number) for number in (*range(2, 20), 1)))))
    assert found.loaded.noted == {conversation.OUT_OF_ORDER: 1}
    assert found.loaded.messages == 19


def test_a_chat_that_is_listed_twice_is_two_sessions_with_ids_of_their_own(tmp_path: Path) -> None:
    found = read(write(tmp_path, account(chat(row(1)), chat(row(2)))))
    assert [each.id for each in found.sessions] == ["telegram-user1", "telegram-user1-2"]


def test_filters_work(tmp_path: Path) -> None:
    since = Filters(since=date(2024, 6, 1))
    found = read(write(tmp_path, chat(row(1, date_unixtime="1717199999"), row(2))), filters=since)
    assert found.loaded.dropped == {TOO_EARLY: 1}
    assert found.loaded.messages == 1
    without = Filters(exclude_people=("user2",))
    group = chat(row(1), row(2, OLO), kind="private_group", name="Two")
    assert said(read(write(tmp_path, group), filters=without)) == [[("Ida", "Hi")]]


def in_a_folder(folder: Path) -> Path:
    (folder / "export" / "photos").mkdir(parents=True)
    write(folder, {"unrelated": True}, "export/files/notes.json")
    write(folder, chat(row(1)), "export/files/result.json")
    return write(folder, chat(row(1)), "export/result.json").parent


def in_a_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "export.zip", "w") as archive:
        archive.writestr("ChatExport_2024-06-01/result.json", json.dumps(chat(row(1))))
        archive.writestr("ChatExport_2024-06-01/photos/photo_1.jpg", b"\xff\xd8")
    return folder / "export.zip"


def in_two_folders(folder: Path) -> Path:
    write(folder, chat(row(1)), "1/result.json")
    write(folder, chat(row(1)), "2/result.json")
    return folder


CHAT = ("a chat exported by Telegram", "its messages, which have from and date")
ACCOUNT = ("Telegram's export of a whole account", "its list of chats")


@pytest.mark.parametrize(
    ("made", "what", "because", "inside"),
    [
        (lambda folder: write(folder, chat(row(1)), "ida"), *CHAT, ""),
        (lambda folder: write(folder, chat(row(1), kind=None), indent=None), *CHAT, ""),
        (lambda folder: write(folder, account()), *ACCOUNT, ""),
        (lambda folder: write(folder, account(me=None)), *ACCOUNT, ""),
        (in_a_folder, *CHAT, "result.json"),
        (in_a_zip, *CHAT, ""),
        (in_two_folders, "chats exported by Telegram", "what is in it: 2 of them", ""),
    ],
)
def test_an_export_is_recognised(
    tmp_path: Path, made: Callable[[Path], Path], what: str, because: str, inside: str
) -> None:
    path = made(tmp_path)
    found = recognise(path)
    assert (found.source, found.what, found.because) == ("telegram", what, because)
    assert found.path == path / inside


@pytest.mark.parametrize(
    "document",
    [
        {"participants": [], "messages": [{"sender_name": "Ida", "timestamp_ms": 1, "content": "Hi"}]},
        {"guild": {"id": "0"}, "channel": {"id": "5"}, "messages": [{"id": "1", "type": "Default", "timestamp": "x"}]},
        [{"type": "message", "user": "U1", "text": "Hi", "ts": "1.2"}],
        {"messages": [{"date": "Sat, 1 Jun 2024 00:00:00 +0000", "from": "ida@example.org", "text": "Hi"}]},
        {"name": "x", "messages": []},
        {},
    ],
    ids=["messenger", "discord", "slack", "mail", "nothing", "empty"],
)
def test_what_others_export_is_not_taken_for_telegrams(tmp_path: Path, document: object) -> None:
    write(tmp_path, document)
    with pytest.raises(InputError, match="no chat exported by Telegram"):
        read(tmp_path, "telegram")


PAGE = (
    '<!DOCTYPE html>\n<html>\n <head>\n  <meta charset="utf-8"/>\n<title>Exported Data</title>\n </head>\n <body>\n'
    '  <div class="page_wrap">\n   <div class="page_header">\n'
)


def test_web_pages_are_answered_with_how_to_export_right(tmp_path: Path) -> None:
    page = tmp_path / "ChatExport" / "messages.html"
    page.parent.mkdir()
    page.write_text(PAGE)
    for path in (page, tmp_path):
        with pytest.raises(InputError) as caught:
            recognise(path)
        assert str(caught.value) == (
            f"{page}: Telegram's export as web pages. In Telegram Desktop, export the chat again as `Machine-readable "
            "JSON`, and give the result.json."
        )
    write(tmp_path, chat(row(1)), "ChatExport/result.json")
    assert recognise(tmp_path).source == "telegram"


def test_an_account_without_chats_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, account())
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path}: Telegram's export without any chat in it. In Telegram Desktop, open the chat, choose Export chat "
        "history and the format JSON, and give the folder or its result.json."
    )


def test_a_file_that_is_cut_off_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = write(tmp_path, chat(row(1), row(2)))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"result\.json: JSON that is damaged or cut off near byte \d+"):
        read(path)


MANY = account(
    chat(row(1, text=PARTS), row(2, OLO, reply_to_message_id=1), service(3, "phone_call")),
    chat(row(1, OLO, forwarded_from="Bo"), row(2, text="", photo="x"), kind="private_group", name="G", number=5),
    left=(chat(row(1), kind=None, number=6),),
)


def balanced(path: Path) -> None:
    """Read whatever it is: an InputError, or every row is accounted for and every text can be written."""
    try:
        found = read(path, "telegram")
    except InputError:
        return
    assert found.loaded.rows == found.loaded.messages + found.loaded.dropped.total()
    for session in found.sessions:
        for message in session.messages:
            (message.content + message.sender).encode()


@fuzz(150)
@given(document=st.one_of(spoilt(MANY), spoilt(chat(row(1, text=PARTS), row(2, OLO), service(3, "x")))))
def test_an_export_with_anything_in_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, document: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "telegram-spoilt.json"
    path.write_text(json.dumps(document))
    balanced(path)


@fuzz(100)
@given(data=mutated(json.dumps(MANY, indent=1, ensure_ascii=False).encode()), twice=st.booleans())
def test_an_export_of_any_bytes_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, twice: bool
) -> None:
    folder = tmp_path_factory.getbasetemp() / "telegram-mutated"
    folder.mkdir(exist_ok=True)
    (folder / "a.json").write_bytes(data)
    if twice:
        (folder / "b.json").write_text(json.dumps(MANY))
    balanced(folder if twice else folder / "a.json")
