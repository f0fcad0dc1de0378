"""Instagram's download: Messenger's classic form, with an identity and with edits of its own."""

import difflib
import json
from pathlib import Path

import pytest

from pipeline.archives.messenger.edits import EARLIER
from pipeline.archives.messenger.instagram import SYSTEM
from pipeline.archives.messenger.source import ASK_FOR_JSON
from pipeline.archives.messenger.threads import INSTAGRAM
from pipeline.archives.recognise import recognise
from pipeline.archives.told import MEDIA
from pipeline.errors import InputError
from pipeline.sessions.session import OWNER
from tests.archives.meta_exports import Row, broken, said, thread
from tests.archives.reading import Read, read

INBOX = Path("your_instagram_activity/messages/inbox")
OURS: Row = {"is_geoblocked_for_viewer": False}


def read_rows(folder: Path, rows: list[Row]) -> Read:
    thread(folder / INBOX / "mo_5" / "message_1.json", rows, ("Mo", "Kit"))
    return read(folder)


def test_an_edited_message_counts_once_and_what_the_app_says_not_at_all(tmp_path: Path) -> None:
    rows = [
        said("Mo", "does it snow where you are?", 0),
        said("Kit", "last year it snowed", 1),
        said("Kit", "last year it snowed a lot (edited)", 1.3),
        said("Kit", "Kit sent an attachment.", 2, share={"link": "https://example.org/reel/1", "share_text": "x"}),
        said("Mo", "Reacted :) to your message ", 3),
        said("Kit", "Liked a message", 4),
    ]
    found = read_rows(tmp_path, [row | OURS for row in rows])
    assert found.said == [("Mo", "does it snow where you are?"), ("Kit", "last year it snowed a lot")]
    assert found.sessions[0].messages[1].time == "2024-06-01T00:01:00Z"
    assert (found.sessions[0].platform, found.sessions[0].id) == ("Instagram", "instagram-mo_5")
    assert found.loaded.dropped == {SYSTEM: 2, MEDIA: 1, EARLIER: 1}
    assert [each[1].content for each in found.left_out if each[0] == EARLIER] == ["last year it snowed"]


@pytest.mark.parametrize("given_path", ["your_instagram_activity/messages", str(INBOX), str(INBOX / "mo_5")])
def test_it_is_recognised_from_a_folder_within_it_too(tmp_path: Path, given_path: str) -> None:
    path = thread(tmp_path / INBOX / "mo_5" / "message_1.json", [said("Mo", "Hi") | OURS], ("Mo", "Kit"))
    found = recognise(tmp_path / given_path)
    assert (found.source, found.what) == ("instagram", "an Instagram export")
    assert read(tmp_path / given_path).sessions[0].platform == "Instagram"
    elsewhere = tmp_path / "mine" / "message_1.json"
    elsewhere.parent.mkdir()
    path.rename(elsewhere)
    assert recognise(elsewhere.parent).source == "instagram"  # by its rows' keys
    assert recognise(elsewhere).source == "instagram"


def test_facebooks_rows_have_a_key_more_and_are_messengers(tmp_path: Path) -> None:
    more: Row = OURS | {"is_unsent_image_by_messenger_kid_parent": False}
    thread(tmp_path / "inbox" / "mo_5" / "message_1.json", [said("Mo", "Hi") | more], ("Mo", "Kit"))
    assert recognise(tmp_path).source == "messenger"


def test_two_apps_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    thread(tmp_path / "a" / INBOX / "mo_5" / "message_1.json", [said("Mo", "gram")], ("Mo", "Kit"))
    book = tmp_path / "b/your_facebook_activity/messages/inbox/mo_5/message_1.json"
    thread(book, [said("Mo", "book")], ("Mo", "Kit"))
    assert read(tmp_path, "instagram").said == [("Mo", "gram")]
    assert read(tmp_path, "messenger").said == [("Mo", "book")]
    with pytest.raises(InputError, match="holds archives of several apps: a Messenger export"):
        recognise(tmp_path)


@pytest.mark.parametrize(
    ("rows", "said_in_the_end"),
    [
        ([("one two three", 0), ("one two tree (edited)", 1), ("one too three! (edited)", 2)], ["one too three!"]),
        ([("Last year", 0), ("Last year \U0001f62d (bearbeitet)", 0.3)], ["Last year \U0001f62d"]),
        ([("see you at nine", 0), ("bring tea", 1), ("see you at ten (edited)", 2)], ["see you at ten", "bring tea"]),
        ([("see you at nine", 0), ("see you at ten (edited)", 60)], ["see you at nine", "see you at ten"]),
        ([("yes", 0), ("something else entirely (edited)", 1)], ["yes", "something else entirely"]),
        ([("I like it (a lot)", 0)], ["I like it (a lot)"]),
        ([("(edited)", 0)], ["(edited)"]),
    ],
)
def test_the_last_version_stands_where_the_first_stood(
    tmp_path: Path, rows: list[tuple[str, float]], said_in_the_end: list[str]
) -> None:
    found = read_rows(tmp_path, [said("Kit", text, minute) for text, minute in rows])
    assert [text for _, text in found.said] == said_in_the_end


def test_an_edited_message_is_compared_with_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[float] = []
    real = difflib.SequenceMatcher.ratio

    def ratio(self: "difflib.SequenceMatcher[str]") -> float:
        compared.append(found := real(self))
        return found

    monkeypatch.setattr(difflib.SequenceMatcher, "ratio", ratio)
    letters = [chr(ord("a") + number % 26) * 4 + f" {number}" for number in range(150)]
    found = read_rows(tmp_path, [said("Kit", f"{text} (edited)", at / 100) for at, text in enumerate(letters)])
    assert len(compared) < 5 * len(letters)
    assert found.loaded.rows == len(letters)


@pytest.mark.parametrize(("between", "is_found"), [(49, True), (50, False)])
def test_an_earlier_version_is_looked_for_among_ones_own_last_fifty(
    tmp_path: Path, between: int, is_found: bool
) -> None:
    rows = [said("Kit", "see you at nine", 0), said("Kit", "see you at ten (edited)", 9)]
    rows += [said("Kit", str(number), 1 + number / 100) for number in range(between)]
    rows += [said("Mo", "so", 2 + number / 100) for number in range(100)]
    found = read_rows(tmp_path, rows)
    assert found.loaded.dropped.get(EARLIER, 0) == is_found


def test_somebody_elses_words_are_no_earlier_version(tmp_path: Path) -> None:
    found = read_rows(tmp_path, [said("Mo", "same words", 0), said("Kit", "same words! (edited)", 1)])
    assert found.said == [("Mo", "same words"), ("Kit", "same words!")]


def test_versions_in_two_files_are_one_message(tmp_path: Path) -> None:
    folder = tmp_path / INBOX / "mo_5"
    thread(folder / "message_2.json", [said("Mo", "when?", 0), said("Kit", "at nine", 1)], ("Mo", "Kit"))
    thread(folder / "message_1.json", [said("Kit", "at nine sharp (edited)", 2), said("Mo", "ok", 3)], ("Mo", "Kit"))
    assert read(tmp_path).said == [("Mo", "when?"), ("Kit", "at nine sharp"), ("Mo", "ok")]


@pytest.mark.parametrize("labels", [("Name", "Username"), ("Nom", "Nom d’utilisateur")])
def test_the_profile_tells_who_the_owner_is(tmp_path: Path, labels: tuple[str, str]) -> None:
    path = tmp_path / "personal_information/personal_information/personal_information.json"
    path.parent.mkdir(parents=True)
    values = {broken(labels[0]): {"value": "Kit"}, broken(labels[1]): {"value": "kit_5"}, "Bio": {"value": "hello"}}
    path.write_text(json.dumps({"profile_user": [{"string_map_data": values}]}))
    found = read_rows(tmp_path, [said("Mo", "Hi"), said("Kit", "Hello", 1)])
    assert found.said == [("Mo", "Hi"), (OWNER, "Hello")]


def test_those_who_have_left_are_not_one_person(tmp_path: Path) -> None:
    for number in (1, 2):
        path = tmp_path / INBOX / f"instagramuser_{number}" / "message_1.json"
        thread(path, [said("Instagram User", f"I am {number}")], ("Instagram User", "Kit"))
    assert len({who for who, _ in read(tmp_path).said}) == 2


def test_a_broadcast_channel_is_left_out(tmp_path: Path) -> None:
    thread(tmp_path / INBOX / "mo_5" / "message_1.json", [said("Mo", "Hi")], ("Mo", "Kit"))
    star = tmp_path / INBOX.parent / "broadcast" / "star_1" / "message_1.json"
    thread(star, [said("Star", "Buy this")], ("Star", "Kit"))
    found = read(tmp_path)
    assert found.said == [("Mo", "Hi")]
    assert found.loaded.dropped == {"in a broadcast channel": 1}


def test_an_export_of_web_pages_says_how_to_ask_for_another(tmp_path: Path) -> None:
    path = tmp_path / INBOX / "mo_5" / "message_1.html"
    path.parent.mkdir(parents=True)
    path.write_text("<html></html>")
    with pytest.raises(InputError) as caught:
        recognise(tmp_path)
    what = "Instagram's export as web pages, which are not read"
    assert str(caught.value) == f"{path}: {what}. {ASK_FOR_JSON[INSTAGRAM]}"
