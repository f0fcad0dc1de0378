"""`finetune senders`: who talks, before anything is trained."""

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from pipeline.commands.senders import lines_of
from pipeline.sessions.senders import Chat, Sender
from tests.archives.phone import Phone
from tests.bench.archive import build_archive
from tests.command import ROOT, Workshop


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


TABLE = """\
messages  since       until       chats  sender    in training data
      64  2021-03-06  2024-05-19     10  Hare
      60  2021-03-06  2024-05-19     10  Tortoise
       2  2021-03-14  2023-08-28      2  me        (the owner)
"""


def test_it_answers_before_anything_has_run_and_all_the_same_after(shop: Workshop) -> None:
    first = shop.finetune("senders", "run.yaml")
    assert (first.code, first.out) == (0, TABLE)
    assert {path.name for path in shop.run_dir.glob("0*")} == {"01_archive.db"}
    again = shop.finetune("senders", "run.yaml")
    assert (again.code, again.out, again.err) == (0, TABLE, "")
    assert shop.run("--until", "load").ran == ["load"]
    assert shop.finetune("senders", "run.yaml").out == TABLE


def test_json_is_one_sender_or_one_chat_a_line(shop: Workshop) -> None:
    rows = [json.loads(line) for line in shop.finetune("senders", "run.yaml", "--json").out.splitlines()]
    assert rows[2] == {
        "sender": "me", "name": "me", "is_me": True, "messages": 2, "chats": 2,
        "since": "2021-03-14T08:40:21Z", "until": "2023-08-28T00:40:19Z",
    }  # fmt: skip
    chats = [json.loads(line) for line in shop.finetune("senders", "run.yaml", "--json", "--chats").out.splitlines()]
    assert len(chats) == 10
    assert (chats[0]["title"], chats[0]["people"], chats[0]["messages"]) == ("Rain", ["Hare", "Tortoise"], 15)


def test_filters_show_their_effect_and_a_name_that_is_wrong_does_not_stop_the_search_for_the_right_one(
    shop: Workshop,
) -> None:
    some = shop.finetune("senders", "run.yaml", "--set", "load.exclude_people=[hare, Snail]")
    assert [line.split()[-1] for line in some.out.splitlines()[1:]] == ["Tortoise", "owner)"]
    refused = shop.run("--set", "load.exclude_people=Snail", "--until", "load")
    assert refused.code == 2
    assert refused.err == (
        "error: load.exclude_people: nobody in the archive has this name or address, got Snail. "
        "Take it out or correct it; `python -m pipeline senders run.yaml --set load.exclude_people=Snail` "
        "lists who is there.\n"
    )


def test_an_archive_that_cannot_be_had_is_one_clear_line(shop: Workshop) -> None:
    done = shop.finetune("senders", "run.yaml", "--set", "download.source=nowhere.db")
    assert (done.code, done.err) == (2, "error: nowhere.db: no such file or folder. Check `download.source`.\n")


def test_me_is_the_owner_and_an_archive_without_one_says_so(shop: Workshop) -> None:
    mine = shop.run("--set", "map.assistant=me", "--until", "map")
    assert (mine.code, "2 by the assistant, 118 by the user" in mine.out) == (0, True)
    phone = Phone(shop.folder / "chat.db")
    phone.message(phone.chat("c"), {"text": "hi", "handle_id": phone.handle("Hare")})
    phone.save()
    phone.db.close()
    other = shop.run("--set", f"download.source={phone.path}", "--set", "map.assistant=me", "--until", "map")
    assert other.code == 2
    assert other.err == (
        "error: map.assistant: no message in the archive is marked as its owner's, got me. "
        "Choose one of the senders found: Hare (1).\n"
    )


def test_of_two_thousand_senders_thirty_are_shown_and_all_of_them_on_request() -> None:
    many = [Sender(f"+1555{number:07}", f"Friend-{number}", False, 2000 - number) for number in range(2000)]
    few = list(lines_of(many, everybody=False))
    assert len(few) == 32
    assert few[-1] == "… and 1,970 more; --all shows them."
    assert len(list(lines_of(many, everybody=True))) == 2001


def test_a_name_cannot_break_the_table() -> None:
    senders = [Sender("\x1b[2J\n兎", "Friend-1", False, 1, 1), Sender("Hare", "Hare", False, 1, 1)]
    assert list(lines_of(senders, everybody=False)) == [
        "messages  since  until  chats  sender         in training data",
        "       1                    1  \\u001b[2J\\n兎  Friend-1",
        "       1                    1  Hare",
    ]


CHATS = [
    Chat("iMessage;-;+15551234567", "direct", None, ["+15551234567"], 483, "2022-11-14", "2023-03-03"),
    Chat("iMessage;+;chat8812", "group", "Sunday hike; bring 兎 and the map", [], 21),
]


def test_a_table_fits_into_a_terminal_and_shortens_ids_before_titles() -> None:
    assert list(lines_of(CHATS, everybody=False, width=80)) == [
        "messages  since       until       people  kind    chat          title",
        "     483  2022-11-14  2023-03-03       1  direct  …15551234567",
        "      21                               0  group   …;+;chat8812  Sunday hike; br…",
    ]
    assert list(lines_of(CHATS, everybody=False, width=105)) == [
        "messages  since       until       people  kind    chat                  title",
        "     483  2022-11-14  2023-03-03       1  direct  …sage;-;+15551234567",
        "      21                               0  group   iMessage;+;chat8812   Sunday hike; bring 兎 and the map",
    ]
    people = [Sender("somebody.with.a.long.name@example.com", "Friend-1", False, 1, 1, "2022-11-14", "2023-03-03")]
    assert list(lines_of(people, everybody=True, width=80)) == [
        "messages  since       until       chats  sender                 in training data",
        "       1  2022-11-14  2023-03-03      1  somebody.with.a.long…  Friend-1",
    ]


def test_wide_characters_fit_too() -> None:
    for width, title in ((80, "兎" * 13 + "…"), (81, "兎" * 13 + " …")):
        (_, line) = lines_of([Chat("c" * 20, "group", "兎" * 40, [], 1)], everybody=False, width=width)
        assert (cell_len(line), line.split("  ")[-1]) == (width, title)


def test_a_pipe_gets_the_table_whole() -> None:
    assert list(lines_of(CHATS, everybody=False)) == [
        "messages  since       until       people  kind    chat                     title",
        "     483  2022-11-14  2023-03-03       1  direct  iMessage;-;+15551234567",
        "      21                               0  group   iMessage;+;chat8812      Sunday hike; bring 兎 and the map",
    ]


def test_the_config_for_ones_own_mac_works_as_it_is_on_a_copied_database(shop: Workshop) -> None:
    build_archive(shop.folder / "copy.db", 3000, 40)
    config = str(ROOT / "configs" / "imessage.yaml")
    source = f"download.source={shop.folder / 'copy.db'}"
    people = shop.finetune("senders", config, "--set", source)
    assert (people.code, "(the owner)" in people.out) == (0, True)
    run = shop.finetune("run", config, "--set", source, "--set", "convert.tokens=estimate", "--until", "convert")
    assert (run.code, run.err) == (0, "")
    assert "Prepared " in run.out
