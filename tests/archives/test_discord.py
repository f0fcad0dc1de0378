import json
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from pipeline.archives.discord import EXPORT, FORWARDED, SYSTEM, UNREADABLE
from pipeline.archives.filters import TOO_EARLY, Filters
from pipeline.archives.recognise import recognise
from pipeline.archives.told import BY_A_BOT, CALL, MEDIA, NO_TEXT, TWICE
from pipeline.errors import InputError
from pipeline.sessions.session import Message, Session
from tests.archives.reading import Read, read
from tests.fuzz.conftest import fuzz
from tests.fuzz.values import mutated, spoilt

Json = dict[str, Any]


def person(identity: str, name: str, nickname: str | None = None, *, bot: bool = False) -> Json:
    return {
        "id": identity,
        "name": name,
        "discriminator": "0000",
        "nickname": nickname or name,
        "color": None,
        "isBot": bot,
        "roles": [],
        "avatarUrl": "https://cdn.discordapp.com/embed/avatars/1.png",
    }


PIP, SOL = person("7", "pip"), person("8", "sol")


def row(number: int, who: Json = PIP, content: object = "Hi", **more: object) -> Json:
    """A message, a minute after the one before it, as DiscordChatExporter writes it."""
    when = f"2024-12-31T{20 + number // 60}:{number % 60:02}:00.000+00:00"
    nothing: Json = {
        each: [] for each in ("attachments", "embeds", "stickers", "reactions", "mentions", "inlineEmojis")
    }
    edited = {"timestampEdited": None, "callEndedTimestamp": None, "isPinned": False}
    said = {"id": str(number), "type": "Default", "timestamp": when, **edited, "content": content, "author": who}
    return {**said, **nothing, **more}


def answer(number: int, who: Json, content: str, to: int, **more: object) -> Json:
    reference = {"messageId": str(to), "channelId": "5", "guildId": None}
    return row(number, who, content, type="Reply", reference=reference, **more)


def channel(
    *messages: object, kind: str = "DirectTextChat", number: str = "5", name: str = "pip", exported: str = "2025-01-01"
) -> Json:
    return {
        "guild": {"id": "0", "name": "Direct Messages", "iconUrl": "https://cdn.discordapp.com/embed/avatars/0.png"},
        "channel": {"id": number, "type": kind, "categoryId": None, "category": None, "name": name, "topic": None},
        "dateRange": {"after": None, "before": None},
        "exportedAt": f"{exported}T00:00:00+00:00",
        "messages": list(messages),
        "messageCount": len(messages),
    }


def write(folder: Path, document: object, name: str = "pip.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False, indent=2), encoding="utf-8")
    return path


def said(found: Read) -> list[list[tuple[str, str]]]:
    return [[(message.sender, message.content) for message in session.messages] for session in found.sessions]


def only(found: Read) -> Session:
    [session] = found.sessions
    return session


def contents(folder: Path, *messages: object) -> list[str]:
    return [content for _, content in read(write(folder, channel(*messages))).said]


def test_a_direct_chat_is_read_with_its_times_in_utc(tmp_path: Path) -> None:
    later = row(1, SOL, "on the roof", timestamp="2025-01-01T01:01:30.5+05:30")
    found = read(write(tmp_path, channel(row(0, PIP, "fireworks at midnight?"), later)))
    session = only(found)
    assert (session.id, session.kind, session.title, session.platform) == ("discord-5", "direct", None, "Discord")
    assert session.messages == [
        Message("sol", False, "2024-12-31T19:31:30Z", "on the roof"),
        Message("pip", False, "2024-12-31T20:00:00Z", "fireworks at midnight?"),
    ]
    assert found.loaded.rows == 2


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2024-12-31T20:00:00+00:00", "2024-12-31T20:00:00Z"),
        ("2024-12-31T20:00:00.1234567+02:00", "2024-12-31T18:00:00Z"),
        ("2024-12-31T20:00:00.123Z", "2024-12-31T20:00:00Z"),
        ("2024-12-31T23:30:00-01:00", "2025-01-01T00:30:00Z"),
        ("2024-12-31T20:00:00", "2024-12-31T20:00:00Z"),
        ("2024-02-31T20:00:00+00:00", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_a_time_is_what_the_export_says_or_none(tmp_path: Path, written: str | None, time: str | None) -> None:
    assert only(read(write(tmp_path, channel(row(1, timestamp=written))))).messages[0].time == time


def test_only_what_people_say_is_speech(tmp_path: Path) -> None:
    found = read(
        write(
            tmp_path,
            channel(
                row(1, PIP, "Started a call that lasted 3 minutes.", type="Call"),
                row(2, PIP, "Pinned a message.", type="ChannelPinnedMessage"),
                row(3, PIP, "Joined the server.", type="GuildMemberJoin"),
                row(4, PIP, "", type="46"),
                row(5, person("9", "Helper", bot=True), "I am a bot"),
                row(6, person("9", "Helper", bot=True), "Result", type="20", interaction={"name": "play"}),
                answer(7, SOL, "words", to=1),
                None,
            ),
        )
    )
    assert said(found) == [[("sol", "words")]]
    assert found.loaded.dropped == {CALL: 1, SYSTEM: 3, BY_A_BOT: 2, UNREADABLE: 1}
    assert found.loaded.rows == 8


@pytest.mark.parametrize(
    ("more", "reason", "shown"),
    [
        ({"attachments": [{"id": "1", "url": "https://x/a.png", "fileName": "a.png"}]}, MEDIA, "a.png"),
        ({"stickers": [{"id": "1", "name": "wave", "format": "Png"}]}, MEDIA, "wave"),
        ({"embeds": [{"title": "", "url": "https://x", "description": "d"}]}, MEDIA, "https://x"),
        ({"forwardedMessage": {"content": "", "attachments": [{"fileName": "b.png"}]}}, MEDIA, "b.png"),
        ({}, NO_TEXT, ""),
    ],
)
def test_what_has_no_words_is_counted_by_what_it_is(tmp_path: Path, more: Json, reason: str, shown: str) -> None:
    found = read(write(tmp_path, channel(row(1), row(2, PIP, "", **more))))
    assert found.left_out == [(reason, Message("pip", False, "2024-12-31T20:02:00Z", shown))]


def test_words_beside_a_file_are_speech_and_edits_are_read_as_they_stand(tmp_path: Path) -> None:
    photo = row(1, PIP, "Look", attachments=[{"fileName": "a.png"}])
    edited = row(2, PIP, "I won", timestampEdited="2024-12-31T21:00:00.000+00:00")
    assert contents(tmp_path, photo, edited) == ["Look", "I won"]


def test_what_is_forwarded_is_context_only(tmp_path: Path) -> None:
    reference = {"type": "Forward", "messageId": "99", "channelId": "6", "guildId": None}
    forwarded = row(2, SOL, "", reference=reference, forwardedMessage={"content": "News of others", "attachments": []})
    found = read(write(tmp_path, channel(row(1), forwarded)))
    assert [(each.content, each.only_context is True) for each in only(found).messages] == [
        ("Hi", False),
        ("News of others", True),
    ]
    assert found.loaded.noted == {FORWARDED: 1}


def test_people_are_told_apart_by_their_ids_and_found_by_both_of_their_names(tmp_path: Path) -> None:
    people = [
        person("1", "ann", "Ann"),
        person("2", "other_ann", "Ann"),
        person("1", "ann", "Ann the Great"),
        person("3", "bo\nbo", " "),
    ]
    rows = [row(number, who) for number, who in enumerate(people)]
    path = write(tmp_path, channel(*rows, kind="GuildTextChat", name="general"))
    session = only(read(path))
    assert [message.sender for message in session.messages] == ["Ann", "Ann (2)", "Ann", "bo bo"]
    assert {sender: person.addresses for sender, person in session.people.items()} == {
        "Ann": ["1", "ann"],
        "Ann (2)": ["2", "other_ann"],
        "bo bo": ["3"],
    }
    without = Filters(exclude_people=("other_ann",))
    assert [message.sender for message in only(read(path, filters=without)).messages] == ["Ann", "Ann", "bo bo"]


def test_markup_is_read_as_people_see_it(tmp_path: Path) -> None:
    mentioned = [person("20", "ann", "Ann"), person("21", "bo", "")]
    author = {**PIP, "roles": [{"id": "30", "name": "Sailors", "color": None, "position": 1}]}
    raw = (
        "<@20> <@!21> <@7> <@99> <@&30> <@&31> <#5> <#6> <:wave:123> <a:dance:123> </play:55> <t:1700000000:R> "
        "<t:99999999999999> a < b <3 @everyone <@x>"
    )
    plain = (
        "@Ann @bo @pip @Unknown @Sailors @deleted-role #pip #deleted-channel :wave: :dance: /play 2023-11-14 22:13 "
        "<t:99999999999999> a < b <3 @everyone <@x>"
    )
    assert contents(tmp_path, row(1, author, raw, mentions=mentioned)) == [plain]


def test_a_reply_tells_what_it_answers_if_somebody_else_said_that(tmp_path: Path) -> None:
    elsewhere = row(5, SOL, "x", reference={"type": "Forward", "messageId": "1"})
    messages = [
        row(1, PIP, "y" * 500),
        answer(2, SOL, "no", to=1),
        answer(3, SOL, "yes", to=2),
        answer(4, SOL, "?", to=9),
    ]
    found = only(read(write(tmp_path, channel(*messages, elsewhere))))
    replies = [message.reply_to for message in found.messages]
    assert replies[1] == "y" * 120
    assert len([each for each in replies if isinstance(each, str)]) == 1


@pytest.mark.parametrize(
    ("kind", "as_what", "title"),
    [
        ("DirectTextChat", "direct", None),
        ("DirectGroupTextChat", "group", "the crew"),
        ("GuildTextChat", "group", "the crew"),
        ("GuildPublicThread", "group", "the crew"),
        ("GuildVoiceChat", "group", "the crew"),
    ],
)
def test_the_kind_of_a_channel_is_that_of_its_conversation(
    tmp_path: Path, kind: str, as_what: str, title: str | None
) -> None:
    session = only(read(write(tmp_path, channel(row(1), kind=kind, name="the crew"))))
    assert (session.kind, session.title) == (as_what, title)


def test_the_parts_of_a_channel_are_one_conversation_in_order(tmp_path: Path) -> None:
    parts = {
        "pip [part 10].json": channel(row(5), answer(6, SOL, "late", to=2), exported="2025-01-01"),
        "pip [part 2].json": channel(row(3, PIP, "three"), row(4, SOL, "four")),
        "pip.json": channel(row(1, PIP, "one"), row(2, PIP, "two")),
        "other.json": channel(row(9, SOL, "elsewhere"), number="6"),
    }
    for name, document in parts.items():
        write(tmp_path, document, name)
    found = read(tmp_path)
    assert [each.id for each in found.sessions] == ["discord-6", "discord-5"]
    assert [each.content for each in found.sessions[1].messages] == ["one", "two", "three", "four", "Hi", "late"]
    assert found.sessions[1].messages[-1].reply_to == "two"
    assert found.loaded.rows == 7


@pytest.mark.parametrize("newest", ["a.json", "b.json"])
def test_of_exports_that_overlap_each_message_counts_once_as_the_newest_has_it(tmp_path: Path, newest: str) -> None:
    oldest = ({"a.json", "b.json"} - {newest}).pop()
    write(tmp_path, channel(row(1, content="1"), row(2, content="two"), row(3, content="3")), oldest)
    write(
        tmp_path, channel(row(2, content="2"), row(3, content="3"), row(4, content="4"), exported="2025-02-01"), newest
    )
    found = read(tmp_path)
    assert [content for _, content in found.said] == ["1", "2", "3", "4"]
    assert found.loaded.dropped == {TWICE: 2}


def test_a_zip_holds_as_much_as_a_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "discord.zip", "w") as archive:
        archive.writestr("Server/general.json", json.dumps(channel(row(1), kind="GuildTextChat", number="1")))
        archive.writestr("Server/general.json_Files/sent.json", json.dumps(channel(row(1), number="2")))
        archive.writestr("Server/empty.json", json.dumps(channel(number="3")))
    assert [each.id for each in read(tmp_path / "discord.zip").sessions] == ["discord-1"]


def test_filters_work(tmp_path: Path) -> None:
    path = write(tmp_path, channel(row(1), row(2, timestamp="2025-01-01T00:30:00+01:00"), row(3, timestamp=None)))
    found = read(path, filters=Filters(since=date(2024, 12, 31)))
    assert found.loaded.messages == 2
    assert read(path, filters=Filters(since=date(2025, 1, 1))).loaded.dropped[TOO_EARLY] == 2


def as_utf16(path: Path) -> None:
    path.write_bytes(path.read_text(encoding="utf-8").encode("utf-16"))


def with_a_mark_and_crlf(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))


def with_its_keys_turned_round(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(dict(reversed(document.items()))), encoding="utf-8")


@pytest.mark.parametrize("spoil", [as_utf16, with_a_mark_and_crlf, with_its_keys_turned_round])
def test_a_file_is_read_however_it_was_saved(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    path = write(tmp_path, channel(row(1), row(2, SOL, "café")))
    spoil(path)
    session = only(read(path))
    assert (session.id, session.kind) == ("discord-5", "direct")
    assert [message.content for message in session.messages] == ["Hi", "café"]


def test_an_export_is_recognised(tmp_path: Path) -> None:
    path = write(tmp_path, channel(row(1)), "pip")
    one = recognise(path)
    assert (one.source, one.what, one.because, one.path) == (
        "discord",
        "a Discord export by DiscordChatExporter",
        "its guild, channel and messages",
        path,
    )
    folder = tmp_path / "folder"
    write(folder, {"Telegram": False}, "notes.json")
    write(folder, channel(row(1)), "a.json")
    assert recognise(folder).path == folder / "a.json"
    write(folder, channel(row(1)), "b/b.json")
    several = recognise(folder)
    assert (several.what, several.because, several.path) == (
        "Discord exports by DiscordChatExporter",
        "what is in it: 2 files",
        folder,
    )


@pytest.mark.parametrize(
    "document",
    [
        {"name": "Ida", "type": "personal_chat", "id": 1, "messages": [{"id": 1, "type": "message", "from": "Ida"}]},
        {"participants": [], "messages": [{"sender_name": "Ida", "timestamp_ms": 1, "content": "Hi"}]},
        [{"type": "message", "user": "U1", "text": "Hi", "ts": "1.2"}],
        {"guild": {"id": "1"}, "channels": []},
    ],
    ids=["telegram", "messenger", "slack", "a bot's backup"],
)
def test_what_others_export_is_not_taken_for_discords(tmp_path: Path, document: object) -> None:
    path = write(tmp_path, document)
    with pytest.raises(InputError) as caught:
        read(path, "discord")
    assert str(caught.value) == f"{path}: no chat exported by DiscordChatExporter. {EXPORT}"


CSV = "AuthorID,Author,Date,Content,Attachments,Reactions\n"
TEXT = "=" * 62 + "\nGuild: Direct Messages\nChannel: Private / pip\n" + "=" * 62 + "\n\n[12/31/2024 8:00 PM] pip\nHi\n"
PAGE = '<!DOCTYPE html>\n<html lang="en">\n<head><title>G - pip</title><style>.chatlog__message-group {}</style>'
OWN = '[{"ID": 1, "Timestamp": "2024-12-31 20:00:00", "Contents": "Hi", "Attachments": ""}]'
PACKAGE = "Discord's own data package, which holds nothing but your own messages. What others said is missing there. "


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pip.csv", CSV, f"DiscordChatExporter's export as CSV, which is not read. {EXPORT}"),
        ("pip.csv", f"\ufeff{CSV}", f"DiscordChatExporter's export as CSV, which is not read. {EXPORT}"),
        ("pip.txt", TEXT, f"DiscordChatExporter's export as text, which is not read. {EXPORT}"),
        ("pip.html", PAGE, f"DiscordChatExporter's export as web pages, which is not read. {EXPORT}"),
        ("package/messages/c123/messages.json", OWN, PACKAGE + EXPORT),
        ("Nachrichten/c123/messages.csv", "ID,Timestamp,Contents,Attachments\n", PACKAGE + EXPORT),
    ],
)
def test_other_forms_are_answered_with_how_to_export_right(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    for given_path in (tmp_path, path):
        with pytest.raises(InputError) as caught:
            recognise(given_path)
        assert str(caught.value) == f"{path}: {said}"
    write(tmp_path, channel(row(1)))
    assert recognise(tmp_path).source == "discord"


def test_a_file_that_is_cut_off_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = write(tmp_path, channel(row(1), row(2)))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"pip\.json: JSON that is damaged or cut off near byte \d+"):
        read(path)


MANY = channel(
    row(1, content="<@7> <:a:1>", mentions=[PIP]),
    answer(2, SOL, "no", to=1),
    row(3, content="", attachments=[{"fileName": "a"}]),
    row(4, content="", forwardedMessage={"content": "x"}),
)


def balanced(path: Path) -> None:
    """Read whatever it is: an InputError, or every row is accounted for and every text can be written."""
    try:
        found = read(path, "discord")
    except InputError:
        return
    assert found.loaded.rows == found.loaded.messages + found.loaded.dropped.total()
    for session in found.sessions:
        for message in session.messages:
            (message.content + message.sender).encode()


@fuzz(100)
@given(document=spoilt(MANY))
def test_an_export_with_anything_in_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, document: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "discord-spoilt.json"
    path.write_text(json.dumps(document))
    balanced(path)


@fuzz(100)
@given(data=mutated(json.dumps(MANY, indent=1, ensure_ascii=False).encode()))
def test_an_export_of_any_bytes_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "discord-mutated"
    folder.mkdir(exist_ok=True)
    (folder / "a.json").write_bytes(data)
    (folder / "b.json").write_text(json.dumps(MANY))
    balanced(folder)
