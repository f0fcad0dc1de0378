import json
import re
from pathlib import Path

import pytest

from pipeline.archives.filters import Filters
from pipeline.archives.reading import Loaded, Reading
from pipeline.archives.several import load_archives, read_archives
from pipeline.durable import atomic_writer
from pipeline.errors import InputError
from pipeline.sessions.session import Message, Session, read_sessions
from pipeline.sessions.stream import whole

EARLY = "15/08/2023, 09:12 - Otto: Hi\n15/08/2023, 09:12 - Nell: ok\n15/08/2023, 09:12 - Nell: ok\n"
LATE = EARLY + "16/08/2023, 09:12 - Otto: And today?\n"
OTHER = "15/08/2023, 09:12 - Otto: Hi\n15/08/2023, 09:12 - Mo: ok\n"
SMS = """<smses><sms address="+491701112222" date="1693182723000" type="1" body="Hi" contact_name="Otto"/>
<sms address="+491702223333" date="1693182724000" type="1" body="Ho" contact_name="Otto Finch"/></smses>"""


def read(*readings: Reading, strict: bool = True) -> tuple[list[Session], Loaded, list[tuple[str, str]]]:
    loaded = Loaded()
    left_out: list[tuple[str, str]] = []

    def listen(reason: str, message: Message) -> None:
        left_out.append((reason, message.content))

    found = read_archives(readings, loaded, strict=strict, listener=listen)
    return [whole(stream) for stream in found], loaded, left_out


def exported(folder: Path, *texts: str) -> list[Path]:
    paths = [folder / f"WhatsApp Chat {n}.txt" for n in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


def test_a_message_in_two_archives_counts_once_and_within_one_archive_each_counts(tmp_path: Path) -> None:
    first, second = exported(tmp_path, EARLY, LATE)
    sessions, loaded, left_out = read(Reading(str(first)), Reading(str(second)))
    assert [[message.content for message in session.messages] for session in sessions] == [
        ["Hi", "ok", "ok"],
        ["And today?"],
    ]
    assert left_out == [("there twice", "Hi"), ("there twice", "ok"), ("there twice", "ok")]
    assert (loaded.messages, loaded.dropped) == (4, {"there twice": 3})


def test_the_same_words_to_somebody_else_are_another_message(tmp_path: Path) -> None:
    first, second = exported(tmp_path, EARLY, OTHER)
    sessions, loaded, _ = read(Reading(str(first)), Reading(str(second)))
    assert (len(sessions), loaded.messages, loaded.dropped) == (2, 5, {})


def telegram(folder: Path, chat: int, kind: str, title: str) -> Path:
    """The export of one chat, in which Ann and the owner say one thing each."""
    said = [
        {"id": at, "type": "message", "date_unixtime": f"169318272{at}", "from": name, "from_id": f"user{who}"}
        for at, (name, who) in enumerate([("Ann", chat), ("Otto", 9)])
    ]
    messages = [{**each, "date": "2023-08-28T00:32:03", "text": "ok"} for each in said]
    folder.mkdir()
    path = folder / "result.json"
    path.write_text(json.dumps({"name": title, "type": kind, "id": chat, "messages": messages}))
    return path


def test_a_chat_is_told_by_the_apps_own_id_not_by_what_it_is_called(tmp_path: Path) -> None:
    first = telegram(tmp_path / "1", 55, "private_supergroup", "Crew")
    for number, (chat, kind, title, copies) in enumerate(
        [(55, "private_supergroup", "Crew 2024", 2), (56, "private_supergroup", "Crew", 0)], start=2
    ):
        second = telegram(tmp_path / f"{number}", chat, kind, title)
        assert read(Reading(str(first)), Reading(str(second)))[1].dropped.total() == copies


def test_two_people_of_one_name_have_two_conversations(tmp_path: Path) -> None:
    paths = [telegram(tmp_path / f"{chat}", chat, "personal_chat", "Ann") for chat in (1, 2)]
    assert read(*(Reading(str(path)) for path in paths))[1].messages == 4
    numbers = [SMS.replace("Otto Finch", "Otto"), SMS.replace("2222", "4444").replace("3333", "5555")]
    files = [tmp_path / f"{at}.xml" for at in range(2)]
    for path, text in zip(files, numbers, strict=True):
        path.write_text(text)
    assert read(*(Reading(str(path)) for path in files))[1].dropped == {}


def test_somebody_who_got_a_name_between_two_archives_is_known_by_their_number(tmp_path: Path) -> None:
    files = [tmp_path / f"{at}.xml" for at in range(2)]
    for path, text in zip(files, [SMS.replace("Otto Finch", "(Unknown)"), SMS], strict=True):
        path.write_text(text)
    assert read(*(Reading(str(path)) for path in files))[1].dropped == {"there twice": 2}


def test_numbers_of_two_countries_are_two_people_in_two_archives_too(tmp_path: Path) -> None:
    files = [tmp_path / f"{at}.xml" for at in range(2)]
    for path, text in zip(files, [SMS, SMS.replace("+49", "+43")], strict=True):
        path.write_text(text)
    assert read(*(Reading(str(path)) for path in files))[1].dropped == {}
    files[1].write_text(SMS.replace("+49170", "0170"))  # as it is dialled at home
    assert read(*(Reading(str(path)) for path in files))[1].dropped == {"there twice": 2}


def test_what_was_edited_between_two_exports_counts_once(tmp_path: Path) -> None:
    first = telegram(tmp_path / "1", 55, "personal_chat", "Ann")
    rows = json.loads(first.read_text())["messages"]
    text = str(rows[0]["text"])
    second = telegram(tmp_path / "2", 55, "personal_chat", "Ann")
    second.write_text(second.read_text().replace(json.dumps(text), json.dumps(f"{text}, as I said")))
    _, loaded, left_out = read(Reading(str(first)), Reading(str(second)))
    assert loaded.messages == 2
    assert ("there twice", f"{text}, as I said") in left_out


def test_what_somebody_says_in_the_second_of_something_that_was_there_is_new(tmp_path: Path) -> None:
    first = telegram(tmp_path / "1", 55, "personal_chat", "Ann")
    second = telegram(tmp_path / "2", 55, "personal_chat", "Ann")
    document = json.loads(second.read_text())
    document["messages"].insert(1, document["messages"][0] | {"id": 9, "text": "and more"})
    second.write_text(json.dumps(document))
    for paths in ((first, second), (second, first)):
        _, loaded, left_out = read(*(Reading(str(path)) for path in paths))
        assert (loaded.messages, len(left_out)) == (3, 2)


def test_messages_without_a_time_are_never_copies(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"conversation":"a","sender":"Otto","text":"ok"}\n' * 2)
    assert read(Reading(str(path)), Reading(str(path)))[1].messages == 4


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_exports_with_and_without_seconds_are_compared_by_the_minute(tmp_path: Path, order: tuple[int, int]) -> None:
    iphone = "".join(
        f"[15/08/2023, {time}] {said}\n"
        for time, said in [("09:12:17", "Otto: Hi"), ("09:12:40", "Nell: ok"), ("09:12:51", "Nell: ok")]
    )
    texts = [EARLY, iphone]
    paths = exported(tmp_path, *(texts[at] for at in order))
    for people in ((), (("me", ("Otto",)),)):
        assert read(*(Reading(str(path), people=people) for path in paths))[1].dropped == {"there twice": 3}


def test_two_exports_with_seconds_are_compared_by_the_second(tmp_path: Path) -> None:
    text = "[15/08/2023, 09:12:17] Otto: Hi\n[15/08/2023, 09:12:40] Nell: ok\n"
    paths = exported(tmp_path, text, text.replace(":40", ":41"))
    assert read(*(Reading(str(path)) for path in paths))[1].dropped == {"there twice": 1}


def test_the_number_that_a_browser_adds_to_a_second_download_is_no_part_of_a_groups_name(tmp_path: Path) -> None:
    paths = [tmp_path / f"WhatsApp Chat with Crew{copy}.txt" for copy in ("", " (1)")]
    for path in paths:
        path.write_text(EARLY + "15/08/2023, 09:13 - Mo: ok\n")
    assert read(*(Reading(str(path)) for path in paths))[1].dropped == {"there twice": 4}


def test_what_is_written_is_what_is_read_and_a_conversation_of_copies_is_none(tmp_path: Path) -> None:
    readings = [Reading(str(path)) for path in exported(tmp_path, LATE, EARLY, OTHER)]
    with atomic_writer(tmp_path / "sessions.jsonl") as file:
        loaded = load_archives(readings, file, tmp_path)
    written = list(read_sessions(tmp_path / "sessions.jsonl"))
    assert [(session.id, len(session.messages)) for session in written] == [("whatsapp-1", 4), ("3-whatsapp-1", 2)]
    assert (loaded.sessions, loaded.messages, loaded.dropped.total()) == (2, 6, 3)


def test_people_are_called_by_one_name_and_one_of_them_is_the_owner(tmp_path: Path) -> None:
    first, second = exported(tmp_path, EARLY, "[16/08/2023, 09:12:01] Otto Finch: Hi\n[16/08/2023, 09:12:02] N.: ok\n")
    people = (("me", ("Otto", "Otto Finch")), ("Nell", ("N.", "Nell")))
    sessions, _, _ = read(Reading(str(first), people=people), Reading(str(second), people=people))
    assert [
        [(message.sender, message.is_me, message.content) for message in session.messages] for session in sessions
    ] == [
        [("me", True, "Hi"), ("Nell", False, "ok"), ("Nell", False, "ok")],
        [("me", True, "Hi"), ("Nell", False, "ok")],
    ]
    assert [list(session.people) for session in sessions] == [["Nell"], ["Nell"]]


def test_somebody_of_the_owners_name_stays_themself_where_the_archive_says_who_its_owner_is(tmp_path: Path) -> None:
    (chat,), messages = exported(tmp_path, EARLY), tmp_path / "sms.xml"
    messages.write_text(SMS)
    people = (("me", ("Otto", "0170 2223333")),)
    sessions, loaded, _ = read(Reading(str(chat), people=people), Reading(str(messages), people=people))
    assert [[(each.sender, each.is_me) for each in session.messages] for session in sessions] == [
        [("me", True), ("Nell", False), ("Nell", False)],
        [("Otto", False)],
        [("me", True)],
    ]
    assert dict(loaded.noted) == {
        "by somebody else who has a name in `load.people.me`: this archive says who its owner is, so that only a "
        "phone number or an email address can add to it": 1
    }


def test_a_conversation_without_a_message_of_the_owner_takes_them_by_name(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    lines = ['"a","sender":"Otto"', '"b","sender":"Otto"', '"b","is_me":true']
    path.write_text("".join(f'{{"conversation":{line},"text":"Hi"}}\n' for line in lines))
    sessions, _, _ = read(Reading(str(path), people=(("me", ("Otto",)),)))
    assert [[each.is_me for each in session.messages] for session in sessions] == [[True], [False, True]]


def test_all_that_somebody_is_called_is_met(tmp_path: Path) -> None:
    path = tmp_path / "sms.xml"
    path.write_text(SMS)
    sessions, _, _ = read(Reading(str(path), people=(("Nell", ("Otto", "+491701112222")),)))
    assert [list(session.people) for session in sessions] == [["Nell"], ["Otto Finch"]]


def test_numbers_of_two_countries_that_end_alike_are_two_people(tmp_path: Path) -> None:
    path = tmp_path / "sms.xml"
    path.write_text(SMS.replace("+491702223333", "+431701112222"))
    filters = Filters(exclude_people=("+431701112222",))
    sessions, loaded, _ = read(Reading(str(path), filters=filters))
    assert [list(session.people) for session in sessions if session.messages] == [["Otto"]]
    assert loaded.messages == 1


def test_filters_take_the_new_names_and_those_of_the_archive(tmp_path: Path) -> None:
    first, second = exported(tmp_path, EARLY, OTHER)
    people = (("me", ("Otto",)), ("Nelly", ("Nell",)))
    for name in ("Nelly", "Nell"):
        asked = [Reading(str(path), people=people, filters=Filters(exclude_people=(name,))) for path in (first, second)]
        _, loaded, _ = read(*asked)
        assert (loaded.messages, loaded.dropped) == (2, {"by or with exclude_people": 3})


def test_a_name_that_stands_for_somebody_in_one_archive_is_enough(tmp_path: Path) -> None:
    paths = exported(tmp_path, EARLY, OTHER)
    people = (("me", ("Otto",)), ("Nell", ("Nell",)))
    filters = Filters(exclude_people=("Mo",))
    _, loaded, _ = read(*(Reading(str(path), people=people, filters=filters) for path in paths))
    assert loaded.messages == 3


def test_a_name_that_stands_for_nobody_is_a_mistake(tmp_path: Path) -> None:
    (path,) = exported(tmp_path, EARLY)
    message = (
        "load.people.me: nobody in the archives has this name or address, got Ottilie. Take it out or correct it; "
        "`finetune senders CONFIG` lists who is there."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read(Reading(str(path), people=(("me", ("Ottilie",)),)))
    assert read(Reading(str(path), people=(("me", ("Ottilie",)),)), strict=False)[1].messages == 3
