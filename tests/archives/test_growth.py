"""Archives made to keep a reader busy: much of what each looks up among all the others takes time as the size does."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.archives.reading import read
from tests.growth import assert_linear

SMS = '<sms address="+{:06}5550100" date="1693182723000" type="1" body="Hi" />'


def packed(path: Path, files: dict[str, object]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, str) else json.dumps(content))
    return path


def google_chats(folder: Path, count: int) -> Path:
    """Many chats, each described in a file of its own."""
    said = {"creator": {"name": "A", "email": "a@x"}, "text": "x", "created_date": "Friday, March 17, 2023 at 1:01 PM"}
    files: dict[str, object] = {}
    for number in range(count):
        files[f"Takeout/Google Chat/Groups/DM {number}/messages.json"] = {"messages": [said | {"topic_id": "a"}]}
        files[f"Takeout/Google Chat/Groups/DM {number}/group_info.json"] = {"members": []}
    return packed(folder / "takeout.zip", files)


def messenger_of_the_same_people(folder: Path, count: int) -> Path:
    """Many conversations between the same three, half of them encrypted."""
    people, said = ["A", "B", "C"], {"timestamp_ms": 1693182723000, "content": "x", "sender_name": "A"}
    files: dict[str, object] = {}
    for number in range(count):
        files[f"messages/inbox/a_{number}/message_1.json"] = {
            "participants": [{"name": name} for name in people],
            "messages": [said],
            "title": f"A{number}",
        }
        files[f"more/B_{number}.json"] = {
            "participants": people,
            "threadName": f"B_{number}",
            "messages": [{"senderName": "B", "text": "x", "timestamp": 1693182723000, "type": "text"}],
        }
    return packed(folder / "facebook.zip", files)


def messenger_of_many_people(folder: Path, count: int) -> Path:
    """A conversation of many people whose names begin alike, who react in as many ways and say something of it."""
    path = folder / "message_1.json"
    people = [f"A {number}" for number in range(count)]
    said = [
        {
            "sender_name": name,
            "timestamp_ms": 1693182723000 + 1000 * number,
            "content": "A message ",
            "reactions": [{"reaction": f"r{number}", "actor": name}],
        }
        for number, name in enumerate(people)
    ]
    path.write_text(json.dumps({"participants": [{"name": name} for name in people], "messages": said, "title": "t"}))
    return path


def telegram_with_one_id(folder: Path, count: int) -> Path:
    """Many chats of one id."""
    said = {"id": 1, "type": "message", "date_unixtime": "1704067200", "from": "B", "from_id": "user7", "text": "x"}
    chat = {"name": "A", "type": "personal_chat", "id": 7, "messages": [said]}
    path = folder / "result.json"
    path.write_text(json.dumps({"personal_information": {"user_id": 1}, "chats": {"list": [chat] * count}}))
    return path


def slack_at_one_time(folder: Path, count: int) -> Path:
    """A channel all of whose messages have one `ts`."""
    said = [{"type": "message", "ts": "1714550400.000100", "user": "U1", "text": f"t{each}"} for each in range(count)]
    return packed(folder / "slack.zip", {"channels.json": [{"id": "C1", "name": "g"}], "g/2024-05-01.json": said})


def signal_page(folder: Path, text: str) -> Path:
    (folder / "Ann").mkdir(exist_ok=True)
    (folder / "Ann" / "chat.md").write_text(f"[2023-08-28 00:32:03] Ann: {text}\n")
    return folder


def signal_with_a_long_quotation(folder: Path, count: int) -> Path:
    """A message that quotes many lines."""
    return signal_page(folder, "\n\n" + "> \n" * 40 * count + "\nx  ")


def signal_with_many_files(folder: Path, count: int) -> Path:
    """A message with many files."""
    return signal_page(folder, "x  " + "\n(- a -)" * 10 * count)


def whatsapp_with_long_names(folder: Path, count: int) -> Path:
    """A chat in which very long texts stand before colons."""
    path = folder / "_chat.txt"
    name = "ab " * 10 * count
    path.write_text("".join(f"28/02/24, 21:1{minute} - {name}: hi\n" for minute in range(2)))
    return path


def whatsapp_with_many_colons(folder: Path, count: int) -> Path:
    """A chat in which somebody's name seems to go on in very many ways."""
    path = folder / "_chat.txt"
    lines = (f"28/02/24, 21:15 - Ida: {mark}{each}: x\n" for each in range(count) for mark in "qqz")
    path.write_text("".join(lines))
    return path


def whatsapp_with_one_message(folder: Path, count: int) -> Path:
    """Many chats that share a message."""
    line = "28/02/24, 21:15 - Ida: rope\n"
    texts = {f"x/WhatsApp Chat with C{each}.txt": f"{line}{line[:-5]}{each}\n" for each in range(count)}
    return packed(folder / "chats.zip", dict(texts))


def sms_from_alike_numbers(folder: Path, count: int) -> Path:
    """Messages from many numbers that end alike."""
    path = folder / "sms-1.xml"
    path.write_text(f"<smses>{''.join(map(SMS.format, range(1, count + 1)))}</smses>")
    return path


MADE: dict[Callable[[Path, int], Path], tuple[str, int]] = {
    google_chats: ("google-chat", 60),
    messenger_of_the_same_people: ("messenger", 30),
    messenger_of_many_people: ("messenger", 300),
    telegram_with_one_id: ("telegram", 300),
    slack_at_one_time: ("slack", 500),
    signal_with_a_long_quotation: ("signal", 1000),
    signal_with_many_files: ("signal", 1000),
    whatsapp_with_long_names: ("whatsapp", 200),
    whatsapp_with_many_colons: ("whatsapp", 1000),
    whatsapp_with_one_message: ("whatsapp", 60),
    sms_from_alike_numbers: ("sms", 600),
}
"""What makes an archive, of which app, and how large the smaller of two is."""


@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
def test_an_archive_eight_times_as_large_takes_no_more_than_that_longer(
    tmp_path: Path, make: Callable[[Path, int], Path]
) -> None:
    source, size = MADE[make]

    def work(count: int) -> Callable[[], object]:
        folder = tmp_path / str(count)
        folder.mkdir()
        path = make(folder, count)
        return lambda: read(path, source)

    assert_linear(work, size)
