import errno
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import pipeline
from pipeline.archives.langchain import _parse, read_langchain
from pipeline.errors import InputError
from pipeline.samples.chatdb import DIRECT, create_chat_db, insert
from pipeline.sessions.session import Message, Session, read_sessions
from tests.sessions.files import write_sessions


def read(loader: str, path: Path) -> list[Session]:
    return list(read_langchain(loader, path, Counter()))


def test_whatsapp_is_read_from_its_text_file(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_text(
        "[8/15/23, 9:12:43 AM] Tortoise: Slow and steady\n[8/15/23, 9:12:44 AM] Hare: Speed is key!\nReally!\n"
    )
    assert read("whatsapp", path) == [
        Session(
            "whatsapp-1",
            "direct",
            None,
            [
                Message("Tortoise", False, None, "Slow and steady"),
                Message("Hare", False, None, "Speed is key! Really!"),
            ],
        )
    ]


def test_telegram_is_read_with_lists_of_parts_and_without_empty_messages(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    messages = [
        {"from": "Hare", "date": "2023-08-28T00:32:03", "text": ["See ", {"type": "link", "text": "this"}, "!"]},
        {"from": None, "date": "2023-08-28T00:32:04", "text": "Half \ud83d of a character"},
        {"from": "Tortoise", "date": "2023-08-28T00:32:05", "text": ""},
        {"date": "2023-08-28T00:32:05+02:00", "text": "Nobody said this"},
    ]
    path.write_text(json.dumps({"messages": messages}))
    dropped: Counter[str] = Counter()
    sessions = list(read_langchain("telegram", path, dropped))
    assert sessions == [
        Session(
            "telegram-1",
            "group",
            None,
            [
                Message("Hare", False, None, "See this!"),
                Message("Deleted Account", False, None, "Half ? of a character"),
                Message("unknown", False, "2023-08-27T22:32:05Z", "Nobody said this"),
            ],
        )
    ]
    assert dropped == {"no text": 1}
    write_sessions(tmp_path / "02_sessions.jsonl", sessions)
    assert list(read_sessions(tmp_path / "02_sessions.jsonl")) == sessions


def test_slack_is_read_from_its_zip_with_times(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        day = [{"user": "U1", "text": "Go!", "ts": "1693182723.000100"}, {"user": "U2", "text": "No.", "ts": "odd"}]
        archive.writestr("race/2023-08-28.json", json.dumps(day))
        archive.writestr("race/2023-08-29.json", "[]")
    assert read("slack", path) == [
        Session(
            "slack-1",
            "direct",
            None,
            [Message("U1", False, "2023-08-28T00:32:03Z", "Go!"), Message("U2", False, None, "No.")],
        )
    ]


def test_what_one_person_writes_in_a_row_on_slack_stays_as_many_messages(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    day: list[object] = [{"user": "U1", "text": f"word {n}", "ts": f"169318272{n}.000100"} for n in range(3)]
    day += ["no message", {"text": "a bot"}, {"user": "U2", "text": "<@U2> has joined the channel"}, {"user": "U1"}]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("race/2023-08-28.json", json.dumps(day))
    dropped: Counter[str] = Counter()
    (session,) = read_langchain("slack", path, dropped)
    assert [(message.content, message.time) for message in session.messages] == [
        (f"word {n}", f"2023-08-28T00:32:0{n}Z") for n in range(3)
    ]
    assert dropped == {"no text": 1}


@pytest.mark.parametrize("blanks", [" " * 2000, " \u200e" * 1000, "\n" * 2000, "\n \u200e" * 1000])
def test_blanks_over_which_the_whatsapp_loader_would_sit_are_refused_by_line(tmp_path: Path, blanks: str) -> None:
    path = tmp_path / "chat.txt"
    path.write_text(f"[8/15/23, 9:12:43 AM] Hare: Hi\n[8/15/23, 9:12:44 AM]{blanks}x\n", encoding="utf-8")
    message = (
        f"{path}:2: more than 1,000 blanks or empty lines in a row, which LangChain's `whatsapp` loader takes very "
        "long for. Remove them, or read the chat with `load: {source: whatsapp}`."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read("whatsapp", path)


def test_facebook_messenger_is_read_from_a_file_and_from_a_folder(tmp_path: Path) -> None:
    thread = tmp_path / "inbox" / "hare_1"
    thread.mkdir(parents=True)
    message = {"timestamp_ms": 1, "sender_name": "Hare", "content": "Hi"}
    (thread / "message_1.json").write_text(json.dumps({"messages": [message]}))
    expected = [Session("facebook_messenger-1", "direct", None, [Message("Hare", False, None, "Hi")])]
    assert read("facebook_messenger", thread / "message_1.json") == expected
    assert read("facebook_messenger", tmp_path) == expected


def test_imessage_rows_from_me_are_the_owners_whoever_the_loader_names(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    db = create_chat_db(path)
    chat = insert(db, "chat", {"guid": "any;-;Hare", "style": DIRECT})
    hare = insert(db, "handle", {"id": "Hare", "service": "iMessage"})
    insert(db, "chat_handle_join", {"chat_id": chat, "handle_id": hare})
    for second, (text, is_from_me) in enumerate([("Hi", 0), ("Hello", 1)]):
        date = (714_875_523 + second) * 10**9
        message = insert(
            db, "message", {"guid": text, "text": text, "is_from_me": is_from_me, "date": date, "handle_id": hare}
        )
        insert(db, "chat_message_join", {"chat_id": chat, "message_id": message})
    db.commit()
    db.close()
    assert read("imessage", path) == [
        Session(
            "imessage-1",
            "direct",
            None,
            [
                Message("Hare", False, "2023-08-28T00:32:03Z", "Hi"),
                Message("me", True, "2023-08-28T00:32:04Z", "Hello"),
            ],
        )
    ]


@pytest.mark.parametrize(
    ("name", "fix"), [("WhatsAp", "Did you mean `whatsapp`?"), ("carrier_pigeon", "Choose one of these.")]
)
def test_an_unknown_loader_is_answered_with_the_names(tmp_path: Path, name: str, fix: str) -> None:
    message = (
        f"load.loader: expected one of facebook_messenger, imessage, slack, telegram, whatsapp, got {name!r}. {fix}"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read(name, tmp_path)


def write_secret(path: Path) -> None:
    path.write_text('{"messages": {"a secret": 1}}')


@pytest.mark.parametrize(
    ("loader", "spoil", "error", "reads"),
    [
        (
            "telegram",
            write_secret,
            "AttributeError",
            "the result.json of one exported chat, or a folder or zip of them",
        ),
        (
            "facebook_messenger",
            write_secret,
            "TypeError",
            "a message_1.json, or the export's folder that holds `inbox`",
        ),
        ("slack", write_secret, "BadZipFile", "the zip of a workspace export"),
        ("slack", None, "FileNotFoundError", "the zip of a workspace export"),
        ("whatsapp", None, "FileNotFoundError", "the .txt of an exported chat, taken out of its zip"),
        ("imessage", write_secret, "DatabaseError", "a chat.db"),
    ],
)
def test_an_archive_that_a_loader_cannot_read_is_one_message_without_chat_text(
    tmp_path: Path, loader: str, spoil: Callable[[Path], None] | None, error: str, reads: str
) -> None:
    path = tmp_path / "archive.json"
    if spoil is not None:
        spoil(path)
    message = (
        f"{path}: LangChain's `{loader}` loader cannot read it ({error}). It reads {reads}: give it that, or set "
        "`load.loader` to what the archive is."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read(loader, path)


def test_langchain_is_imported_only_when_a_loader_is_asked_for() -> None:
    code = (
        "import sys, pipeline.archives.langchain as chats; "
        "sys.exit('langchain_community' in sys.modules or 'langchain_core' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(pipeline.__file__).parents[1])


def test_chats_in_a_zip_are_unpacked_beside_it_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, words in enumerate(["Hi", "Ho"]):
            said = {"from": "Hare", "date": "2023-08-28T00:32:03", "text": words}
            archive.writestr(f"../../{number}/result.json", json.dumps({"messages": [said]}))
    found = []
    for session in read_langchain("telegram", path, Counter()):
        assert [each.name for each in tmp_path.iterdir()] == ["export.zip"]
        found += [message.content for message in session.messages]
    assert found == ["Hi", "Ho"]


@pytest.mark.parametrize("loader", ["telegram", "slack"])
def test_a_zip_that_would_unpack_to_very_much_is_refused_before_it_is(tmp_path: Path, loader: str) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("race/2023-08-28.json", b"[" + b" " * 20_000_000 + b"]")
    message = (
        f"{path}: would unpack to 20 MB, 1,028 times its size, most of it 'race/2023-08-28.json'; no chat grows more "
        "than 100 times. Export the chat again."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read(loader, path)


def test_a_full_disk_is_no_fault_of_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("result.json", '{"messages": []}')

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", refuse)
    with pytest.raises(OSError, match="No space left on device"):
        read("telegram", path)


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ("0999-01-01T00:00:00+00:00", "0999-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00+01:00", None),
        ("2023-08-28T02:32:03.5+02:00", "2023-08-28T00:32:03Z"),
        ("1e400", None),
    ],
)
def test_a_time_that_an_archive_makes_up_is_written_as_times_are_or_left_out(stamp: str, time: str | None) -> None:
    assert _parse(stamp) == time
