"""A folder is read as a copy of it is: links are not followed, and pipes are not waited for."""

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.archives.files import files_in, is_file, messenger_files
from pipeline.archives.reading import Reading, read_archive
from pipeline.archives.recognise import recognise
from pipeline.errors import InputError
from pipeline.fetch.local import copy_local
from pipeline.sessions.stream import whole
from tests.archives.reading import read

CHAT = "[15/08/2023, 09:12:43] Hare: Hi\n[15/08/2023, 09:12:44] Tortoise: Hello\n"


def messenger(name: str) -> str:
    return json.dumps({"messages": [{"timestamp_ms": 1, "sender_name": name, "content": "Hi"}]})


def telegram(name: str) -> str:
    return json.dumps({"messages": [{"from": name, "date": "2023-08-28T00:32:03", "text": "Hi"}]})


def booby_trapped(folder: Path, outside: Path, name: str) -> None:
    """Beside the file `name` in `folder` put a pipe, and links to a file and a folder outside of the archive."""
    kind = Path(name).suffix
    outside.mkdir()
    (outside / f"theirs{kind}").write_bytes((folder / name).read_bytes())
    os.mkfifo(folder / f"a{kind}")
    (folder / f"b{kind}").symlink_to(outside / f"theirs{kind}")
    (folder / "c").symlink_to(outside)


@pytest.mark.parametrize(
    ("where", "name", "text"),
    [
        ("inbox/hare_1", "message_1.json", messenger("Hare")),
        ("", "result.json", telegram("Hare")),
        ("", "chat.txt", CHAT),
    ],
    ids=["Messenger", "Telegram", "WhatsApp"],
)
def test_what_is_looked_at_is_what_a_run_reads(tmp_path: Path, where: str, name: str, text: str) -> None:
    there = tmp_path / "archive" / where
    there.mkdir(parents=True)
    (there / name).write_text(text)
    booby_trapped(there, tmp_path / "outside", name)
    copy_local(tmp_path / "archive", tmp_path / "copy", timeout_s=1, progress=lambda *_: None)
    looked_at, copied = (
        [whole(stream) for stream in read_archive(Reading(str(archive.path), archive.source))]
        for archive in (recognise(tmp_path / "archive"), recognise(tmp_path / "copy"))
    )
    assert len(looked_at) == 1
    assert looked_at == copied


@pytest.mark.parametrize("loader", ["telegram", "facebook_messenger"])
def test_a_loader_is_given_the_files_of_a_folder_alone(tmp_path: Path, loader: str) -> None:
    from pipeline.archives.langchain import read_langchain

    make: Callable[[str], str] = telegram if loader == "telegram" else messenger
    there = tmp_path / "archive" / "inbox" / "hare_1"
    there.mkdir(parents=True)
    (there / "message_1.json").write_text(make("Hare"))
    (there / "message_2.json").write_text(make("Tortoise"))
    booby_trapped(there, tmp_path / "outside", "message_1.json")
    sessions = list(read_langchain(loader, tmp_path / "archive", Counter()))
    assert [session.messages[0].sender for session in sessions] == ["Hare", "Tortoise"]


def test_an_inbox_that_is_a_link_is_none(tmp_path: Path) -> None:
    (tmp_path / "real" / "hare_1").mkdir(parents=True)
    (tmp_path / "real" / "hare_1" / "message_1.json").write_text(messenger("Hare"))
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "inbox").symlink_to(tmp_path / "real")
    assert messenger_files(tmp_path / "archive") == []
    with pytest.raises(InputError, match="not an archive that can be read"):
        recognise(tmp_path / "archive")


def test_whatsapps_folder_is_read_without_what_links_lead_to(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "chat.txt").write_text(CHAT)
    booby_trapped(tmp_path / "archive", tmp_path / "outside", "chat.txt")
    assert len(read(tmp_path / "archive", "whatsapp").sessions) == 1
    assert files_in(tmp_path / "archive") == [tmp_path / "archive" / "chat.txt"]
    assert not is_file(tmp_path / "archive" / "chat.txt" / "in it")
