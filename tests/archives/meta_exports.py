"""Downloads as Meta makes them, in small."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

START_MS = 1_717_200_000_000
"""2024-06-01T00:00:00Z."""
MINUTE_MS = 60_000

Row = dict[str, object]


def said(sender: str, content: str | None = None, minute: float = 0, **more: object) -> Row:
    """A row of the classic form, as it is written: bytes as characters."""
    row: Row = {"sender_name": broken(sender), "timestamp_ms": START_MS + int(minute * MINUTE_MS)}
    if content is not None:
        row["content"] = broken(content)
    return row | more


def encrypted(sender: str, text: str = "", minute: float = 0, kind: str = "text", **more: object) -> Row:
    """A row of the download of end-to-end encrypted chats."""
    return {
        "isUnsent": False,
        "media": [],
        "reactions": [],
        "senderName": sender,
        "text": text,
        "timestamp": START_MS + int(minute * MINUTE_MS),
        "type": kind,
    } | more


def broken(text: str) -> str:
    """A string as the classic form has it."""
    return text.encode().decode("latin-1")


def thread(path: Path, rows: Sequence[Row], people: Sequence[str] = ("Ada Quill", "Ben Moss"), **more: object) -> Path:
    """Write message_1.json or the like, newest first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "participants": [{"name": broken(name)} for name in people],
        "messages": sorted(rows, key=lambda row: -int(str(row["timestamp_ms"]))),
        "title": broken(people[0]),
        "is_still_participant": True,
        "thread_path": f"{'/'.join(path.parts[-3:-1])}",
        "magic_words": [],
    } | more
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return path


def encrypted_thread(path: Path, rows: Sequence[Row], people: Sequence[str] = ("Ada Quill", "Ben Moss")) -> Path:
    """Write NAME_3.json, newest first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    messages = sorted(rows, key=lambda row: -int(str(row["timestamp"])))
    document = {"participants": list(people), "threadName": path.stem, "messages": messages}
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return path


def packed(folder: Path, target: Path) -> Path:
    """A folder as a zip."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return target
