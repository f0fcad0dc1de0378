"""Exports of every app that is read, of as many messages as are asked for: the same chat between two, made up.

Each has the keys that the app writes, in its order and with its indentation, for what is skipped costs time, too.
"""

import csv
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

BEGIN = 1_600_000_000
PEOPLE = ("Ada Quill", "Ben Moss")
DAY = 86_400

_WORDS = [
    "the", "rain", "stopped", "and", "we", "walked", "down", "to", "the", "harbour,", "where", "somebody", "sold",
    "oranges;", "tomorrow", "maybe", "later", "than", "usual", "because", "of", "that", "train", "again", "😀",
    "größer", "ça", "va", "“fine”",
]  # fmt: skip


class Said(NamedTuple):
    """A message; `time` is in seconds since 1970, and None as `text` stands for a photo."""

    number: int
    by: int
    time: int
    text: str | None

    @property
    def when(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    @property
    def name(self) -> str:
        return PEOPLE[self.by]


def said(messages: int) -> Iterator[Said]:
    """The chat: a photo in twenty, letters that are not ASCII in every second message or so."""
    chance = random.Random(7)
    time = BEGIN
    for number in range(1, messages + 1):
        time += int(chance.expovariate(1 / 300)) + 1
        text = " ".join(chance.choices(_WORDS, k=1 + int(chance.random() * 16))) if chance.random() > 0.05 else None
        yield Said(number, int(chance.random() < 0.5), time, text)


def telegram(folder: Path, messages: int) -> Path:
    """result.json of one chat, as Telegram Desktop writes it."""
    head = '{\n "name": "Ada Quill",\n "type": "personal_chat",\n "id": 4123456789,\n "messages": '
    return _document(folder / "result.json", head, map(_telegram, said(messages)), 1)


def _telegram(one: Said) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": one.number, "type": "message", "date": f"{one.when:%Y-%m-%dT%H:%M:%S}", "date_unixtime": str(one.time),
        "from": one.name, "from_id": f"user{4123456789 + one.by}",
    }  # fmt: skip
    if one.number % 10 == 0:
        row["reply_to_message_id"] = one.number - 3
    if one.text is None:
        row |= {"photo": f"photos/photo_{one.number}.jpg", "photo_file_size": 1, "width": 1280, "height": 960}
    entities = [{"type": "plain", "text": one.text}] if one.text else []
    return row | {"text": one.text or "", "text_entities": entities}


def discord(folder: Path, messages: int) -> Path:
    """A channel, as DiscordChatExporter writes it."""
    head = (
        '{\n  "guild": {"id": "1", "name": "Harbour", "iconUrl": ""},\n  "channel": {"id": "2", "type": '
        '"GuildTextChat", "categoryId": "3", "category": "Text", "name": "general", "topic": null},\n'
        '  "dateRange": {"after": null, "before": null},\n  "exportedAt": "2024-06-01T10:00:00+00:00",\n  "messages": '
    )
    return _document(folder / "general.json", head, map(_discord, said(messages)), 2)


def _discord(one: Said) -> dict[str, Any]:
    author: dict[str, Any] = {
        "id": str(90 + one.by), "name": one.name.lower().replace(" ", ""), "discriminator": "0000",
        "nickname": one.name, "color": None, "isBot": False, "roles": [],
        "avatarUrl": f"https://cdn.example.test/embed/avatars/{one.by}.png",
    }  # fmt: skip
    file = {"id": "5", "url": "https://cdn.example.test/5/photo.jpg", "fileName": "photo.jpg", "fileSizeBytes": 400}
    row: dict[str, Any] = {
        "id": str(7 * 10**17 + one.number), "type": "Default", "timestamp": f"{one.when:%Y-%m-%dT%H:%M:%S}.123+00:00",
        "timestampEdited": None, "callEndedTimestamp": None, "isPinned": False, "content": one.text or "",
        "author": author, "attachments": [] if one.text else [file], "embeds": [], "stickers": [], "reactions": [],
        "mentions": [], "inlineEmojis": [],
    }  # fmt: skip
    if one.number % 10 == 0:
        row["type"] = "Reply"
        row["reference"] = {"messageId": str(7 * 10**17 + one.number - 3), "channelId": "2", "guildId": "1"}
    return row


def slack(folder: Path, messages: int) -> Path:
    """A workspace's export: a channel, a file for each day."""
    path = folder / "slack.zip"
    days: dict[int, list[dict[str, Any]]] = {}
    for one in said(messages):
        days.setdefault(one.time // DAY, []).append(_slack(one))
    users = [
        {"id": f"U0{by}", "name": name.lower(), "profile": {"display_name": name, "real_name": name}}
        for by, name in enumerate(PEOPLE)
    ]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("users.json", json.dumps(users))
        archive.writestr("channels.json", json.dumps([{"id": "C1", "name": "harbour", "members": ["U00", "U01"]}]))
        for day, rows in days.items():
            date = datetime.fromtimestamp(day * DAY, UTC)
            archive.writestr(f"harbour/{date:%Y-%m-%d}.json", json.dumps(rows, indent=4))
    return path


def slack_in_one_file(folder: Path, messages: int) -> Path:
    """What slackdump makes of a channel."""
    head = '{"channel_id": "C1", "name": "harbour", "messages": '
    return _document(folder / "C0123456789.json", head, map(_slack, said(messages)), None)


def _slack(one: Said) -> dict[str, Any]:
    row: dict[str, Any] = {
        "client_msg_id": f"{one.number:032x}", "type": "message", "text": one.text or "", "user": f"U0{one.by}",
        "ts": f"{one.time}.{one.number % 1_000_000:06}", "team": "T1", "user_team": "T1", "source_team": "T1",
        "user_profile": {"avatar_hash": "abc", "real_name": one.name, "display_name": one.name, "team": "T1"},
        "blocks": [
            {"type": "rich_text", "block_id": "b", "elements": [
                {"type": "rich_text_section", "elements": [{"type": "text", "text": one.text or ""}]}]}
        ],
    }  # fmt: skip
    return row if one.text else row | {"files": [{"id": "F1", "name": "photo.jpg", "mimetype": "image/jpeg"}]}


def messenger(folder: Path, messages: int) -> Path:
    """Facebook's download: a thread in files of ten thousand, newest first, bytes as characters."""
    thread = folder / "messages" / "inbox" / "adaquill_1"
    thread.mkdir(parents=True)
    rows = [_messenger(one) for one in said(messages)][::-1]
    for number, at in enumerate(range(0, messages, 10_000), start=1):
        _meta(thread / f"message_{number}.json", rows[at : at + 10_000])
    return folder / "messages"


def messenger_in_one_file(folder: Path, messages: int) -> Path:
    """The same as one file."""
    _meta(folder / "message_1.json", [_messenger(one) for one in said(messages)][::-1])
    return folder / "message_1.json"


def _messenger(one: Said) -> dict[str, Any]:
    row: dict[str, Any] = {"sender_name": one.name, "timestamp_ms": one.time * 1000 + 123}
    if one.text is None:
        row["photos"] = [{"uri": "your_activity/messages/photo.jpg", "creation_timestamp": one.time}]
    else:
        row["content"] = one.text.encode().decode("latin-1")
    return row | {"is_geoblocked_for_viewer": False, "is_unsent_image_by_messenger_kid_parent": False}


def _meta(path: Path, rows: list[dict[str, Any]]) -> None:
    people = [{"name": name} for name in PEOPLE]
    path.write_text(json.dumps({"participants": people, "messages": rows, "title": PEOPLE[0]}, indent=2), "utf-8")


def whatsapp(folder: Path, messages: int) -> Path:
    """A chat as an Android phone exports it."""
    path = folder / "WhatsApp Chat with Ada Quill.txt"
    with path.open("w", encoding="utf-8") as file:
        for one in said(messages):
            file.write(f"{one.when:%d/%m/%Y, %H:%M} - {one.name}: {one.text or '<Media omitted>'}\n")
    return path


def whatsapp_of_an_iphone(folder: Path, messages: int) -> Path:
    """The same chat as an iPhone exports it."""
    path = folder / "_chat.txt"
    with path.open("w", encoding="utf-8") as file:
        for one in said(messages):
            mark, text = ("", one.text) if one.text else ("\u200e", "\u200eimage omitted")
            file.write(f"{mark}[{one.when:%d/%m/%Y, %H:%M:%S}] {one.name}: {text}\n")
    return path


def whatsapp_exporter(folder: Path, messages: int) -> Path:
    """The same chat by WhatsApp-Chat-Exporter."""
    head = (
        '{"15550100123@s.whatsapp.net": {"name": "Ada Quill", "type": "android", "my_avatar": null, '
        '"their_avatar": null, "their_avatar_thumb": null, "status": null, "media_base": "", "messages": {'
    )
    with (folder / "result.json").open("w", encoding="utf-8") as file:
        file.write(head)
        for one in said(messages):
            row = {
                "from_me": one.by == 1, "timestamp": float(one.time), "time": f"{one.when:%H:%M}",
                "media": one.text is None, "key_id": f"{one.number:032X}", "meta": False, "data": one.text or "a.jpg",
                "sender": None, "safe": False, "mime": None if one.text else "image/jpeg", "reply": None,
                "quoted_data": None, "caption": None, "thumb": None, "sticker": False, "received_timestamp": None,
                "read_timestamp": None, "reactions": {}, "message_type": 0,
            }  # fmt: skip
            file.write(f'{", " if one.number > 1 else ""}"{one.number}": {json.dumps(row)}')
        file.write("}}}")
    return folder / "result.json"


def google_chat(folder: Path, messages: int) -> Path:
    """A direct chat of Google Takeout's."""
    group = folder / "Takeout" / "Google Chat" / "Groups" / "DM 1"
    group.mkdir(parents=True)
    people = [{"name": name, "email": f"{name[:3].lower()}@example.test", "user_type": "Human"} for name in PEOPLE]
    (group / "group_info.json").write_text(json.dumps({"members": people}))
    rows = (
        {
            "creator": people[one.by], "created_date": f"{one.when:%A, %B %-d, %Y at %-I:%M:%S\u202f%p} UTC",
            **({"text": one.text} if one.text else {"attached_files": [{"original_name": "a", "export_name": "b"}]}),
            "topic_id": f"t{one.number}", "message_id": f"1/t{one.number}/t{one.number}",
        }
        for one in said(messages)
    )  # fmt: skip
    _document(group / "messages.json", '{\n  "messages": ', rows, 2)
    return folder / "Takeout"


def hangouts(folder: Path, messages: int) -> Path:
    """A chat of Hangouts.json."""
    people = [{"id": {"gaia_id": str(by), "chat_id": str(by)}, "fallback_name": name} for by, name in enumerate(PEOPLE)]
    about = {
        "conversation_id": {"id": "U1"},
        "conversation": {
            "id": {"id": "U1"}, "type": "STICKY_ONE_TO_ONE", "participant_data": people,
            "self_conversation_state": {"self_read_state": {"participant_id": {"gaia_id": "1", "chat_id": "1"}}},
        },
    }  # fmt: skip
    rows = (
        {
            "conversation_id": {"id": "U1"}, "sender_id": {"gaia_id": str(one.by), "chat_id": str(one.by)},
            "timestamp": str(one.time * 1_000_000), "self_event_state": {"user_id": {"gaia_id": "1", "chat_id": "1"}},
            "chat_message": {"message_content": {"segment": [{"type": "TEXT", "text": one.text}]} if one.text else
                             {"attachment": [{"id": "a"}]}},
            "event_id": f"e{one.number}", "event_type": "REGULAR_CHAT_MESSAGE",
        }
        for one in said(messages)
    )  # fmt: skip
    head = f'{{"conversations": [{{"conversation": {json.dumps(about)}, "events": '
    return _document(folder / "Hangouts.json", head, rows, 2, "}]}")


def signal(folder: Path, messages: int) -> Path:
    """What signal-export makes of a chat."""
    (folder / "signal-chats" / "AdaQuill").mkdir(parents=True)
    with (folder / "signal-chats" / "AdaQuill" / "data.json").open("w", encoding="utf-8") as file:
        for one in said(messages):
            row = {
                "date": f"{one.when:%Y-%m-%dT%H:%M:%S}.123000", "sender": "Me" if one.by else "AdaQuill",
                "body": f"{one.text or ''}  ", "quote": "", "sticker": None, "reactions": [],
                "attachments": [] if one.text else [{"name": "a.jpg", "path": "media/a.jpg"}], "deleted": False,
                "call": False, "missed": False,
            }  # fmt: skip
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return folder / "signal-chats"


def wechat(folder: Path, messages: int) -> Path:
    """A chat by PyWxDump."""
    path = folder / "ada.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("id", "MsgSvrID", "type_name", "is_sender", "talker", "msg", "src", "CreateTime", "room_name"))
        for one in said(messages):
            kind, talker = "文本" if one.text else "图片", "我" if one.by else "wxid_ada"
            time = f"{one.when:%Y-%m-%d %H:%M:%S}"
            rows.writerow((one.number, 10**18 + one.number, kind, one.by, talker, one.text or "", "", time, "wxid_ada"))
    return path


def sms(folder: Path, messages: int) -> Path:
    """A backup by SMS Backup & Restore."""
    path = folder / "sms-20230828.xml"
    with path.open("w", encoding="utf-8") as file:
        file.write(f"<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<smses count=\"{messages}\">\n")
        for one in said(messages):
            body = (one.text or "null").replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
            file.write(
                f'  <sms protocol="0" address="+15550100123" date="{one.time * 1000}" type="{1 + one.by}" '
                f'subject="null" body="{body}" toa="null" sc_toa="null" service_center="null" read="1" status="-1" '
                f'locked="0" readable_date="{one.when:%b %-d, %Y %-I:%M:%S %p}" contact_name="Ada Quill" />\n'
            )
        file.write("</smses>")
    return path


def jsonl(folder: Path, messages: int) -> Path:
    """One message a line."""
    path = folder / "chats.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for one in said(messages):
            row = {"conversation": "ada", "id": one.number, "ts": one.time, "sender": one.name, "text": one.text or ""}
            file.write(json.dumps(row | {"is_me": one.by == 1}, ensure_ascii=False) + "\n")
    return path


def _document(path: Path, head: str, rows: Iterator[dict[str, Any]], indent: int | None, tail: str = "}") -> Path:
    """Write `head`, a list and `tail`, row by row: what is made may be larger than memory."""
    encode = json.JSONEncoder(indent=indent, ensure_ascii=False).encode
    margin = "\n" + " " * (2 * (indent or 0))
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{head}[")
        for number, row in enumerate(rows):
            text = encode(row).replace("\n", margin) if indent else encode(row)
            file.write(f"{',' if number else ''}{margin if indent else ''}{text}")
        file.write(f"\n]\n{tail}")
    return path


EXPORTS: dict[str, Callable[[Path, int], Path]] = {
    "telegram": telegram,
    "whatsapp": whatsapp,
    "whatsapp, iPhone": whatsapp_of_an_iphone,
    "whatsapp, exporter": whatsapp_exporter,
    "messenger": messenger,
    "messenger, one file": messenger_in_one_file,
    "slack": slack,
    "slack, one file": slack_in_one_file,
    "discord": discord,
    "signal": signal,
    "google-chat": google_chat,
    "google-chat, hangouts": hangouts,
    "wechat": wechat,
    "sms": sms,
    "jsonl": jsonl,
}
"""By source, and what of it."""
