"""Builds tortoise_hare.db from tortoise_hare.txt: `python -m pipeline.samples.build`.

The result depends on the text alone: guids are derived from names and places, and time passes as each speaker would
have it. The rows look as Messages writes them, with its habits of the time: until macOS 13 the text in both columns,
from then on in the body only.
"""

import hashlib
import re
import sqlite3
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from pipeline.samples.attributed_body import FILE_TRANSFER_GUID, PART, Attributes, encode_attributed_body
from pipeline.samples.chatdb import GROUP, apple_nanoseconds, create_chat_db, insert

SOURCE = Path(__file__).with_name("tortoise_hare.txt")
TARGET = Path(__file__).with_name("tortoise_hare.db")

_OWNER = "Snail"
_OWNER_ADDRESS = "snail@garden.example"
_MEMBERS = ("Tortoise", "Hare")
_MACOS_13 = datetime(2022, 10, 24, tzinfo=UTC)
_SECONDS_TO_ANSWER = {"Hare": (3, 20), "Tortoise": (60, 600), "Snail": (30, 90)}
_TAPBACKS = {  # associated_message_type, and the words of its text (imessage-exporter, message.rs)
    "loved": (2000, "Loved"),
    "liked": (2001, "Liked"),
    "disliked": (2002, "Disliked"),
    "laughed": (2003, "Laughed at"),
    "stressed": (2004, "Emphasized"),
    "asked": (2005, "Questioned"),
}
_HEADING = re.compile(r"== (?P<name>.+) \| (?P<begin>.+)")
_TAPBACK = re.compile(r"  \+ (?P<sender>\w+) (?P<kind>\w+)")
_SAID = re.compile(r"(?P<sender>\w+): (?:\[photo (?P<photo>[^]]+)\] ?)?(?P<text>.*)")


class _Said(msgspec.Struct):
    sender: str
    text: str
    photo: str | None
    tapbacks: list[tuple[str, str]]  # who, and a key of _TAPBACKS


class _Dialogue(msgspec.Struct):
    name: str
    begin: datetime
    said: list[_Said]


def build(source: Path, target: Path) -> None:
    """Write the chat.db of the dialogues in `source` to `target`, in place of what is there.

    Raises:
        ValueError: a line of `source` is neither of the kinds that its head describes.
    """
    target.unlink(missing_ok=True)
    with closing(create_chat_db(target)) as db:
        handles = {name: insert(db, "handle", {"id": name, "service": "iMessage"}) for name in _MEMBERS}
        for dialogue in _parse(source.read_text(encoding="utf-8")):
            _Writer(db, handles, dialogue).write()
        db.commit()
        db.execute("PRAGMA page_size = 1024")
        db.execute("VACUUM")


def _parse(text: str) -> list[_Dialogue]:
    dialogues: list[_Dialogue] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        if match := _HEADING.fullmatch(line):
            dialogues.append(_Dialogue(match["name"], datetime.fromisoformat(match["begin"] + "+00:00"), []))
        elif match := _TAPBACK.fullmatch(line):
            dialogues[-1].said[-1].tapbacks.append((match["sender"], match["kind"]))
        elif match := _SAID.fullmatch(line):
            dialogues[-1].said.append(_Said(match["sender"], match["text"], match["photo"], []))
        else:
            raise ValueError(f"line {number} is no heading, message or tapback: {line}")
    return dialogues


class _Writer:
    """Writes one dialogue as a group chat, message by message, as time goes by."""

    def __init__(self, db: sqlite3.Connection, handles: dict[str, int], dialogue: _Dialogue) -> None:
        self._db = db
        self._handles = handles
        self._dialogue = dialogue
        self._now = dialogue.begin
        self._guids = 0
        digest = hashlib.sha256(dialogue.name.encode()).digest()
        self._identifier = f"chat{int.from_bytes(digest[:8], 'big') % 10**18:018}"
        self._chat = 0

    def write(self) -> None:
        self._chat = insert(
            self._db,
            "chat",
            {
                "guid": f"iMessage;+;{self._identifier}",
                "style": GROUP,
                "state": 3,
                "account_id": self._guid(),
                "chat_identifier": self._identifier,
                "service_name": "iMessage",
                "room_name": self._identifier,
                "account_login": f"E:{_OWNER_ADDRESS}",
                "last_addressed_handle": _OWNER_ADDRESS,
                "display_name": self._dialogue.name,
                "group_id": self._guid(),
                "original_group_id": self._guid(),
            },
        )
        for handle in self._handles.values():
            insert(self._db, "chat_handle_join", {"chat_id": self._chat, "handle_id": handle})
        for said in self._dialogue.said:
            guid = self._say(said)
            for sender, kind in said.tapbacks:
                self._tap_back(sender, kind, said, guid)

    def _say(self, said: _Said) -> str:
        guid = self._guid()
        photo = said.photo and f"at_0_{guid}"
        text = ("\ufffc" if photo else "") + said.text
        runs: list[tuple[int, Attributes]] = [(1, {FILE_TRANSFER_GUID: photo, PART: 0})] if photo else []
        if said.text:
            runs.append((_utf16_length(said.text), {PART: len(runs)}))
        message = self._insert(
            said.sender,
            {
                "guid": guid,
                "text": text if self._now < _MACOS_13 else None,
                "attributedBody": encode_attributed_body(text, runs=runs, mutable=said.sender == "Hare"),
                "cache_has_attachments": int(bool(photo)),
                "part_count": len(runs),
            },
        )
        if photo and said.photo:
            self._attach(message, photo, said.photo)
        return guid

    def _tap_back(self, sender: str, kind: str, said: _Said, target: str) -> None:
        number, words = _TAPBACKS[kind]
        text = f"{words} “{said.text}”"
        self._insert(
            sender,
            {
                "guid": self._guid(),
                "text": text if self._now < _MACOS_13 else None,
                "attributedBody": encode_attributed_body(text),
                "associated_message_type": number,
                "associated_message_guid": f"p:{int(said.photo is not None)}/{target}",
                "associated_message_range_length": _utf16_length(said.text),
                "part_count": 1,
            },
        )

    def _insert(self, sender: str, row: dict[str, str | int | bytes | None]) -> int:
        """Insert a message of `sender`, after the time it takes them to answer, into the chat."""
        shortest, longest = _SECONDS_TO_ANSWER[sender]
        seconds = shortest + hashlib.sha256(str(row["guid"]).encode()).digest()[0] * (longest - shortest) // 255
        self._now += timedelta(seconds=seconds)
        is_mine = sender == _OWNER
        date = apple_nanoseconds(self._now)
        common: dict[str, str | int | bytes | None] = {
            "handle_id": 0 if is_mine else self._handles[sender],
            "service": "iMessage",
            "account": f"E:{_OWNER_ADDRESS}",
            "version": 10,
            "date": date,
            "date_read": 0 if is_mine else date + 10**9,
            "date_delivered": 0,
            "is_delivered": 1,
            "is_finished": 1,
            "is_from_me": int(is_mine),
            "is_sent": int(is_mine),
            "is_read": int(not is_mine),
            "was_data_detected": 1,
            "cache_roomnames": self._identifier,
            "destination_caller_id": _OWNER_ADDRESS,
        }
        message = insert(self._db, "message", common | row)
        insert(self._db, "chat_message_join", {"chat_id": self._chat, "message_id": message, "message_date": date})
        return message

    def _attach(self, message: int, guid: str, name: str) -> None:
        attachment = insert(
            self._db,
            "attachment",
            {
                "guid": guid,
                "original_guid": guid,
                "created_date": apple_nanoseconds(self._now) // 10**9,
                "filename": f"~/Library/Messages/Attachments/{guid[-2:].lower()}/{guid}/{name}",
                "uti": "public.heic",
                "mime_type": "image/heic",
                "transfer_state": 5,
                "transfer_name": name,
            },
        )
        insert(self._db, "message_attachment_join", {"message_id": message, "attachment_id": attachment})

    def _guid(self) -> str:
        self._guids += 1
        place = f"{self._dialogue.name}/{self._guids}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"finetune-pipeline:{place}")).upper()


def _utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


if __name__ == "__main__":
    build(SOURCE, TARGET)
