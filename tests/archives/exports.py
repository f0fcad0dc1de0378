"""Archives as people have them, in small: the same dialogues between Tortoise and Hare, exported by several apps."""

import json
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from pipeline.samples import sample_path

REPLIES = (
    "Slow and steady, as ever", "I shall be there at nine", "The tea is still too hot", "No need to hurry at all",
    "Bring the map, if you can find it", "That is what you said last year", "My shell is packed already",
    "Rain never bothered a tortoise", "Ask the owl, she will know", "One leaf after the other",
    "Patience is the shorter road", "I have seen you asleep by that tree",
)  # fmt: skip
SPOKEN = [
    (speaker, said)
    for number, reply in enumerate(REPLIES, start=1)
    for speaker, said in (("Hare", f"Ready for race number {number}?"), ("Tortoise", reply))
]
"""An exchange a day: Hare asks, and Tortoise answers a minute later."""


def whatsapp_text(folder: Path) -> Path:
    path = folder / "WhatsApp Chat with Hare.txt"
    lines = [
        f"{n // 2 + 1:02}/08/2023, 21:{n % 2 + 12} - {speaker}: {said}\n" for n, (speaker, said) in enumerate(SPOKEN)
    ]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def whatsapp_zip(folder: Path) -> Path:
    text = whatsapp_text(folder)
    path = folder / "WhatsApp Chat - Hare.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(text, "_chat.txt")
    text.unlink()
    return path


def telegram(folder: Path) -> Path:
    path = folder / "result.json"
    messages = [
        {
            "id": n,
            "type": "message",
            "date": f"2023-08-{n // 2 + 1:02}T21:{n % 2 + 12}:00",
            "from": speaker,
            "text": said,
        }
        for n, (speaker, said) in enumerate(SPOKEN)
    ]
    path.write_text(json.dumps({"name": "Hare", "type": "personal_chat", "id": 1, "messages": messages}))
    return path


def messenger(folder: Path) -> Path:
    thread = folder / "messages" / "inbox" / "hare_1"
    thread.mkdir(parents=True)
    messages = [{"sender_name": s, "timestamp_ms": n, "content": said} for n, (s, said) in enumerate(SPOKEN)]
    (thread / "message_1.json").write_text(json.dumps({"participants": [], "messages": messages}))
    return folder / "messages"


def slack(folder: Path) -> Path:
    path = folder / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for day in range(1, 3):
            messages = [
                {"user": s, "text": said, "ts": f"169318272{day}.00{n:04}"} for n, (s, said) in enumerate(SPOKEN)
            ]
            archive.writestr(f"race/2023-08-{day:02}.json", json.dumps(messages))
    return path


def chat_db(folder: Path) -> Path:
    path = folder / "copy of messages"
    shutil.copyfile(sample_path("tortoise-hare"), path)
    return path


def chat_db_without_its_log(folder: Path) -> Path:
    """A database as Messages keeps it, of which chat.db alone was copied."""
    path = chat_db(folder).rename(folder / "chat.db")
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
    return path


EXPORTS: dict[str, Callable[[Path], Path]] = {
    "whatsapp text": whatsapp_text,
    "whatsapp zip": whatsapp_zip,
    "telegram": telegram,
    "messenger": messenger,
    "slack": slack,
    "chat.db": chat_db,
}
