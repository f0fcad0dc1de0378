import os
import re
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.archives.recognise import recognise
from pipeline.errors import InputError
from tests.archives.exports import EXPORTS, telegram, whatsapp_zip

KNOWN = (
    "Known are iMessage, WhatsApp, Telegram, Messenger, Instagram, Slack, Discord, Signal, Google Chat, WeChat, SMS, "
    "JSON lines and OpenAI JSONL; docs/archives.md says what to give of each."
)


@pytest.mark.parametrize(
    ("export", "what", "because", "source"),
    [
        (
            "whatsapp text",
            "a chat exported by WhatsApp",
            "its lines, which begin with date, time and name",
            "whatsapp",
        ),
        (
            "whatsapp zip",
            "a chat exported by WhatsApp",
            "the lines of _chat.txt in it, which begin with date, time and name",
            "whatsapp",
        ),
        (
            "telegram",
            "a chat exported by Telegram",
            "its messages, which have from and date",
            "telegram",
        ),
        (
            "messenger",
            "a Messenger export",
            "the keys participants and sender_name",
            "messenger",
        ),
        ("slack", "a Slack export", "the messages of race/2023-08-01.json, which have a `ts`", "slack"),
        (
            "chat.db",
            "an iMessage database",
            "its tables, which are those of Messages on a Mac or an iPhone",
            "imessage",
        ),
    ],
)
def test_an_archive_is_recognised_by_what_is_in_it(
    tmp_path: Path, export: str, what: str, because: str, source: str
) -> None:
    path = EXPORTS[export](tmp_path)
    found = recognise(path)
    assert (found.what, found.because, found.source) == (what, because, source)
    assert found.path == path


def test_an_archive_among_other_things_is_found_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert recognise(telegram(tmp_path).parent).path == tmp_path / "result.json"


def test_a_folder_of_exported_chats_is_one_archive(tmp_path: Path) -> None:
    whatsapp_zip(tmp_path)
    (tmp_path / "notes.txt").write_text("Dear diary")
    (tmp_path / "broken.zip").write_bytes(b"PK\x05\x06" + bytes(17))
    found = recognise(tmp_path)
    assert (found.what, found.because, found.path) == (
        "a chat exported by WhatsApp",
        "the lines of WhatsApp Chat - Hare.zip/_chat.txt in it, which begin with date, time and name",
        tmp_path,
    )


def nothing(path: Path) -> None:
    assert not path.exists()


def text(content: str) -> object:
    return lambda path: path.write_text(content)


def database(table: str) -> object:
    def make(path: Path) -> None:
        with closing(sqlite3.connect(path)) as db:
            db.execute(f"CREATE TABLE {table} (id)")

    return make


def zipped(name: str) -> object:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, "{}")

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nothing, "no such file or folder. Check how it is spelt; the Tab key completes it."),
        (text("Dear diary"), f"not an archive that can be read. {KNOWN}"),
        (
            text("{"),
            "JSON that is damaged or cut off near byte 1: it ends too early. Export it again, or take it out of its "
            "zip again.",
        ),
        (text('{"messages": 1}'), f"not an archive that can be read. {KNOWN}"),
        (
            text("<!DOCTYPE html><html><title>Exported Data</title><div class='telegram'>"),
            "Telegram's export as web pages. In Telegram Desktop, export the chat again as `Machine-readable JSON`, "
            "and give the result.json.",
        ),
        (zipped("thesis.docx"), f"not an archive that can be read. {KNOWN}"),
        (
            database("ZWAMESSAGE"),
            "WhatsApp's own database, which is not read. In WhatsApp, open the chat, choose Export chat > Without "
            "media, and give the .zip; or give the result.json that WhatsApp-Chat-Exporter makes of the database.",
        ),
        (database("bookmarks"), f"a database, but of no app that can be read. {KNOWN}"),
        (Path.mkdir, f"not an archive that can be read. {KNOWN}"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_what_to_do(tmp_path: Path, make: object, message: str) -> None:
    path = tmp_path / "archive"
    assert callable(make)
    make(path)
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: {message}')}$"):
        recognise(path)


def test_the_brackets_of_an_iphones_export_are_no_json(tmp_path: Path) -> None:
    path = tmp_path / "_chat.txt"
    path.write_text(
        "[28/08/2023, 00:32:03] Hare: \u200eMessages and calls are end-to-end encrypted.\n"
        "[28/08/2023, 00:32:08] Hare: Speed is key!\n[28/08/2023, 00:33:01] Tortoise: Slow and steady.\n",
        encoding="utf-8",
    )
    assert recognise(path).source == "whatsapp"


@pytest.mark.parametrize("packed", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_is_damaged_or_locked_is_one_message(tmp_path: Path, packed: int) -> None:
    path = tmp_path / "chat.zip"
    with zipfile.ZipFile(path, "w", packed) as archive:
        archive.writestr("_chat.txt", "[15/08/2023, 09:12:43] Hare: Hi\n" * 100)
    whole = path.read_bytes()
    begin = len("_chat.txt") + 30
    flags = whole.index(b"PK\x01\x02") + 8
    locked = whole[:6] + b"\x01" + whole[7:flags] + b"\x01" + whole[flags + 1 :]
    for data in (whole[:begin] + b"\xff" * 40 + whole[begin + 40 :], locked):
        path.write_bytes(data)
        with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: a damaged or locked zip \(.*\)\. Export it "):
            recognise(path)


def test_a_pipe_is_no_archive_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "chat.txt")
    with pytest.raises(InputError, match=r"chat\.txt: neither a file nor a folder\. Known are iMessage, "):
        recognise(tmp_path / "chat.txt")


def test_a_zip_that_is_cut_off_is_said_to_be(tmp_path: Path) -> None:
    path = whatsapp_zip(tmp_path)
    path.write_bytes(path.read_bytes()[:-30])
    for given in (path, tmp_path):
        with pytest.raises(InputError) as caught:
            recognise(given)
        assert str(caught.value) == (
            f"{path}: a zip that is cut off: its end is missing. Download or export it again, and give it as it is."
        )
