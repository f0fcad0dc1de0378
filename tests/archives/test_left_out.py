"""What the readers leave out can be shown, message by message, for every reason that they count."""

import json
from collections import Counter
from pathlib import Path

import pytest

from pipeline.archives.filters import Filters
from pipeline.archives.reading import Loaded, Reading, read_archive
from pipeline.samples.attributed_body import encode_attributed_body
from pipeline.samples.chatdb import insert
from pipeline.sessions.session import ENDLESS, Message
from tests.archives.phone import Phone, second

ANN, BOB, BANK = "ann@example.test", "bob@example.test", "12345"


def left_out(reading: Reading) -> list[tuple[str, str | None, str, str]]:
    """Reason, time, sender and words of each; checks that they are all that was counted."""
    told: list[tuple[str, Message]] = []
    loaded = Loaded()
    for _, blocks in read_archive(reading, loaded, listener=lambda reason, message: told.append((reason, message))):
        for _ in blocks:
            pass
    assert Counter(reason for reason, _ in told) == loaded.dropped
    alone = Loaded()
    for _, blocks in read_archive(reading, alone):
        for _ in blocks:
            pass
    assert alone == loaded, "nobody listening changes nothing"
    return [(reason, message.time, message.sender, message.content) for reason, message in told]


@pytest.fixture
def archive(phone: Phone) -> Path:
    """Something of every kind that is left out, and out of order."""
    ann, bob, bank = (phone.handle(address) for address in (ANN, BOB, BANK))
    with_ann = phone.chat(f"any;-;{ANN}", members=(ann,))
    phone.message(with_ann, {"text": "Hi", "handle_id": ann})
    phone.message(with_ann, {"text": "Loved “Hi”", "is_from_me": 1, "associated_message_type": 2000})
    phone.message(with_ann, {"attributedBody": encode_attributed_body("\ufffc"), "handle_id": ann})
    phone.message(with_ann, {"text": "Hi", "handle_id": ann, "date": 700_000_001 * 10**9})
    phone.message(phone.chat(f"any;-;{BANK}", members=(bank,)), {"text": "Your account", "handle_id": bank})
    phone.message(None, {"text": "Lost", "handle_id": bob})
    deleted = phone.message(None, {"text": "Gone", "is_from_me": 1})
    insert(phone.db, "chat_recoverable_message_join", {"chat_id": 1, "message_id": deleted, "delete_date": 1})
    phone.message(phone.chat(f"any;-;{BOB}", members=(bob,)), {"text": "I am Bob", "handle_id": bob})
    return phone.save()


def test_every_row_of_a_chat_db_that_is_no_speech_is_told(archive: Path) -> None:
    assert left_out(Reading(str(archive), filters=Filters(exclude_people=(BOB,)))) == [
        ("the same message again", second(1), ANN, "Hi"),
        ("tapback, sticker or vote", second(2), "me", "Loved “Hi”"),
        ("no text", second(3), ANN, ""),
        ("from a service", second(5), BANK, "Your account"),
        ("by or with exclude_people", second(8), BOB, "I am Bob"),
        ("recently deleted", second(7), "me", "Gone"),
        ("not in any chat", second(6), BOB, "Lost"),
    ]


def test_what_whatsapp_said_itself_is_told(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    head = "[15/08/2023, 21:12:43] "
    path.write_text(f"{head}Ann: Hi\n{head}Ann: \u200eimage omitted\n{head}Ann joined\n{head}Ann: <Media omitted>\n")
    time = "2023-08-15T21:12:43Z"
    assert left_out(Reading(str(path), "whatsapp")) == [
        ("photo, video or other file", time, "Ann", "\u200eimage omitted"),
        ("WhatsApp's own words", time, "WhatsApp", "Ann joined"),
        ("photo, video or other file", time, "Ann", "<Media omitted>"),
    ]


def test_what_a_loader_finds_without_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    said = [{"from": "Hare", "date": "2023-08-28T00:32:05", "text": text} for text in ("Hi", "")]
    path.write_text(json.dumps({"messages": said}))
    assert left_out(Reading(str(path), "langchain", "telegram")) == [("no text", None, "Hare", "")]


def test_what_is_too_long_for_any_message_is_told_by_its_beginning_whatever_the_archive(
    phone: Phone, tmp_path: Path
) -> None:
    endless = "x" * 1_000_001
    ann = phone.handle(ANN)
    chat = phone.chat(f"any;-;{ANN}", members=(ann,))
    phone.message(chat, {"text": endless, "handle_id": ann})
    phone.message(chat, {"attributedBody": encode_attributed_body(endless), "handle_id": ann})
    phone.message(chat, {"text": "Hi", "handle_id": ann})
    told = (ENDLESS, "x" * 120 + "…")
    assert [(why, words) for why, _, _, words in left_out(Reading(str(phone.save())))] == [told, told]
    path = tmp_path / "result.json"
    said = [{"from": "Hare", "date": "", "text": text} for text in ("Hi", endless)]
    path.write_text(json.dumps({"messages": said}))
    assert left_out(Reading(str(path), "langchain", "telegram")) == [(ENDLESS, None, "Hare", "x" * 120 + "…")]
    path.write_text(f"[8/15/23, 9:12:43 AM] Hare: {endless}\n[8/15/23, 9:12:43 AM] Hare: Hi\n")
    assert left_out(Reading(str(path), "langchain", "whatsapp")) == [(ENDLESS, None, "Hare", "x" * 120 + "…")]
    (tmp_path / "chat.txt").write_text(path.read_text())
    time = "2023-08-15T09:12:43Z"
    assert left_out(Reading(str(tmp_path / "chat.txt"), "whatsapp")) == [(ENDLESS, time, "Hare", "x" * 120)]
