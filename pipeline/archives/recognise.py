"""What kind of archive lies at a path, told by what is in it: names and suffixes are not believed."""

import json
import re
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from pipeline.archives.files import is_file, messenger_files
from pipeline.archives.whatsapp import looks_like_whatsapp
from pipeline.archives.zips import opened
from pipeline.config.settings import Load
from pipeline.durable import read_file, reading
from pipeline.errors import InputError
from pipeline.fetch.check import SQLITE_HEADER

_HEAD = 64 * 1024
_SLACK_DAY = re.compile(r"[^/]+/\d{4}-\d\d-\d\d\.json")
_KNOWN = (
    "Known are: iMessage's chat.db or sms.db; a chat exported by WhatsApp (.zip or .txt); Telegram's result.json; the "
    "zip of a Slack export; Messenger's message_1.json, or the folder with `inbox`."
)


class Archive(NamedTuple):
    """An archive that can be read.

    Attributes:
        what: for a person, such as "a chat exported by WhatsApp".
        because: what it was recognised by, to be read after "by".
        load: the config's `load` section that reads it.
        path: where it lies; inside what was given if that was a folder with one archive among other things.
    """

    what: str
    because: str
    load: Load
    path: Path


def recognise(path: Path) -> Archive:
    """Recognise the file or folder at `path` by its content.

    Raises:
        InputError: nothing is there, or nothing that can be read; says what could be done about it.
        OSError, sqlite3.Error: it may not be read.
    """
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise InputError(str(path), "no such file or folder", fix="Check how it is spelt; the Tab key completes it.")
    if not path.is_file():  # a pipe would be waited for, a device read without end
        raise InputError(str(path), "neither a file nor a folder", fix=_KNOWN)
    with reading(path) as file:
        head = file.read(_HEAD)
    if head.startswith(SQLITE_HEADER):
        return _database(path)
    if zipfile.is_zipfile(path):
        return _zip(path)
    text = head.decode("utf-8-sig", "replace")
    if looks_like_whatsapp(text):  # before JSON: an iPhone writes [28/08/2023, 00:32:03]
        return _whatsapp(path, "its lines, which begin with date, time and name")
    if text.lstrip().startswith(("{", "[")):
        return _json(path)
    if "<html" in text.lower() and "telegram" in text.lower():
        raise InputError(
            str(path),
            "Telegram's export as web pages",
            fix="In Telegram Desktop, export the chat again as `Machine-readable JSON`, and give the result.json.",
        )
    raise _unknown(path)


def _unknown(path: Path) -> InputError:
    return InputError(str(path), "not an archive that can be read", fix=_KNOWN)


def _whatsapp(path: Path, because: str) -> Archive:
    return Archive("a chat exported by WhatsApp", because, Load(source="whatsapp"), path)


def _langchain(loader: str, what: str, because: str, path: Path) -> Archive:
    return Archive(what, because, Load(source="langchain", loader=loader), path)


def _database(path: Path) -> Archive:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if {"message", "handle"} <= tables:
        because = "its tables, which are those of Messages on a Mac or an iPhone"
        return Archive("an iMessage database", because, Load(source="imessage"), path)
    if {"ZWAMESSAGE", "message_thumbnail"} & tables:
        raise InputError(
            str(path),
            "WhatsApp's own database, which is not read",
            fix="In WhatsApp, open the chat, choose Export chat > Without media, and give the .zip.",
        )
    raise InputError(str(path), "a database, but not of iMessage", fix=_KNOWN)


def _zip(path: Path) -> Archive:
    with opened(path, "Export the chat again.") as archive:
        names = archive.namelist()
        if any(map(_SLACK_DAY.fullmatch, names)):
            return _langchain("slack", "a Slack export", "its files, one for each channel and day", path)
        if any(name.endswith(".json") and "/inbox/" in f"/{name}" for name in names):
            raise InputError(
                str(path),
                "a Messenger export still in its zip",
                fix="Unpack it, and give the folder that holds `inbox`.",
            )
        for name in names:
            if name.lower().endswith(".txt"):
                with archive.open(name) as file:
                    if looks_like_whatsapp(file.read(_HEAD).decode("utf-8-sig", "replace")):
                        return _whatsapp(path, f"the lines of {name} in it, which begin with date, time and name")
    raise _unknown(path)


def _json(path: Path) -> Archive:
    try:
        document = json.loads(read_file(path))
    except (ValueError, RecursionError):
        raise InputError(
            str(path), "JSON that is damaged or cut off", fix="Export it again, or take it out of its zip again."
        ) from None
    messages = document.get("messages") if isinstance(document, dict) else None
    first = next((each for each in messages if isinstance(each, dict)), {}) if isinstance(messages, list) else {}
    if "sender_name" in first and "timestamp_ms" in first:
        return _langchain(
            "facebook_messenger", "a Messenger conversation", "its messages, which have a sender_name", path
        )
    if "date" in first and ("from" in first or "actor" in first):
        return _langchain("telegram", "a chat exported by Telegram", "its messages, which have from and date", path)
    if isinstance(document, dict) and "chats" in document:
        raise InputError(
            str(path),
            "Telegram's export of a whole account, which is not read",
            fix="In Telegram Desktop, open one chat, choose Export chat history as JSON, and give its result.json.",
        )
    raise _unknown(path)


def _folder(path: Path) -> Archive:
    for name in ("chat.db", "sms.db"):
        if is_file(path / name):
            return _database(path / name)
    if messenger_files(path):
        return _langchain("facebook_messenger", "a Messenger export", "inbox/…/message_1.json in the folder", path)
    if is_file(path / "result.json"):
        return _json(path / "result.json")
    chats = [each for each in sorted(path.iterdir()) if each.suffix.lower() in (".txt", ".zip") and is_file(each)]
    recognised = [archive for each in chats if (archive := _whatsapp_or_none(each))]
    if recognised:
        because = f"what is in the folder: {len(recognised)} of them"
        return Archive("chats exported by WhatsApp", because, Load(source="whatsapp"), path)
    raise _unknown(path)


def _whatsapp_or_none(path: Path) -> Archive | None:
    try:
        archive = recognise(path)
    except InputError:
        return None
    return archive if archive.load.source == "whatsapp" else None
