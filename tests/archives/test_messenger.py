"""Messenger's downloads: whose words they hold, each once, in order, and nothing that the app says."""

import json
import shutil
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.archives.filters import Filters
from pipeline.archives.in_order import ROWS
from pipeline.archives.members import Member, Members
from pipeline.archives.messenger import instagram, source
from pipeline.archives.messenger.conversation import LEFT_OUT
from pipeline.archives.messenger.source import ASK_FOR_JSON, SYSTEM
from pipeline.archives.messenger.threads import MESSENGER
from pipeline.archives.reading import Reading, read_archive
from pipeline.archives.recognise import recognise
from pipeline.archives.told import BY_A_BOT, CALL, DELETED, MEDIA, NO_TEXT, TWICE
from pipeline.archives.typed_json import decoded
from pipeline.errors import InputError
from pipeline.sessions.session import OWNER
from tests.archives.exports import EXPORTS
from tests.archives.meta_exports import START_MS, Row, broken, encrypted, encrypted_thread, packed, said, thread
from tests.archives.reading import Read, read

INBOX = Path("your_facebook_activity/messages/inbox")
TALK = [said("Ada Quill", "Where is the key?", 0), said("Ben Moss", "Under the mat 🔑", 1)]
HEARD = [("Ada Quill", "Where is the key?"), ("Ben Moss", "Under the mat 🔑")]


def read_rows(folder: Path, rows: list[Row], people: tuple[str, ...] = ("Ada Quill", "Ben Moss")) -> Read:
    thread(folder / INBOX / "ada_1" / "message_1.json", rows, people)
    return read(folder)


def refusal(path: Path, source: str = "auto") -> str:
    with pytest.raises(InputError) as caught:
        read(path, source)
    return str(caught.value)


@pytest.mark.parametrize("given_path", ["", "your_facebook_activity", "your_facebook_activity/messages", str(INBOX)])
def test_any_folder_above_the_conversations_is_the_archive(tmp_path: Path, given_path: str) -> None:
    thread(tmp_path / INBOX / "ada_1" / "message_1.json", TALK)
    found = read(tmp_path / given_path)
    assert found.said == HEARD
    assert [(each.id, each.kind, each.title, each.platform) for each in found.sessions] == [
        ("messenger-ada_1", "direct", None, "Messenger")
    ]
    assert [message.time for message in found.sessions[0].messages] == ["2024-06-01T00:00:00Z", "2024-06-01T00:01:00Z"]


@pytest.mark.parametrize("layout", ["messages/inbox/ada_1", "inbox/ada_1", "facebook-ben/messages/archived_threads/a"])
def test_older_layouts_are_read_too(tmp_path: Path, layout: str) -> None:
    thread(tmp_path / layout / "message_1.json", TALK)
    assert read(tmp_path).said == HEARD


def test_one_conversation_and_one_file_and_a_renamed_file_are_archives(tmp_path: Path) -> None:
    path = thread(tmp_path / "inbox" / "ada_1" / "message_1.json", TALK)
    renamed = tmp_path / "my chat.json"
    shutil.copyfile(path, renamed)
    for each in (path.parent, path, renamed):
        found = read(each)
        assert found.said == HEARD
        assert found.sessions[0].id == "messenger-ada_1"


def test_a_zip_and_an_export_in_several_zips_are_archives(tmp_path: Path) -> None:
    thread(tmp_path / "a" / INBOX / "ada_1" / "message_1.json", [TALK[1]])
    thread(tmp_path / "b" / INBOX / "ada_1" / "message_2.json", [TALK[0]])
    folder = tmp_path / "zips"
    folder.mkdir()
    packed(tmp_path / "a", folder / "facebook-ben-1.zip")
    assert read(folder / "facebook-ben-1.zip").said == HEARD[1:]
    packed(tmp_path / "b", folder / "facebook-ben-2.zip")
    found = read(folder)
    assert found.said == HEARD
    assert len(found.sessions) == 1


def test_the_files_of_a_conversation_are_one_in_order_of_time(tmp_path: Path) -> None:
    rows = [said(who, f"{what} {day}", day * 1440 + n) for day in range(10) for n, (who, what) in enumerate(HEARD)]
    for number, part in ((1, rows[13:]), (2, rows[5:13]), (10, rows[:5])):
        thread(tmp_path / INBOX / "ada_1" / f"message_{number}.json", part)
    found = read(tmp_path)
    assert found.said == [(who, f"{what} {day}") for day in range(10) for who, what in HEARD]
    assert len(found.sessions) == 1
    since = read(tmp_path, filters=Filters(since=date(2024, 6, 3)))
    assert len(since.said) == 16


def test_files_that_do_not_overlap_are_read_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        rows = [said("Ada Quill", f"{number} {minute}", minute - 100 * number) for minute in range(3)]
        thread(tmp_path / INBOX / "ada_1" / f"message_{number}.json", rows)
    opened: list[str] = []

    def decode(member: Member, decoder: object) -> object:
        opened.append(member.parts[-1])
        return decoded(member, decoder)  # type: ignore[arg-type] # as it was given

    monkeypatch.setattr("pipeline.archives.messenger.conversation.decoded", decode)
    stream = next(read_archive(Reading(str(tmp_path), "messenger")))
    blocks = (block for block in stream.blocks if block)
    assert (next(blocks)[0].content, opened) == ("3 0", ["message_3.json"])
    assert (next(blocks)[0].content, opened) == ("2 0", ["message_3.json", "message_2.json"])


def test_names_agree_on_blanks_and_accents(tmp_path: Path) -> None:
    found = read_rows(
        tmp_path, [said("Zoe\u0308 Ng ", "1", 1), said("Zo\u00eb Ng", "2", 2)], ("Zo\u00eb Ng", "Ben Moss")
    )
    assert found.said == [("Zo\u00eb Ng", "1"), ("Zo\u00eb Ng", "2")]


def test_messages_of_one_time_stay_in_their_order_and_a_file_may_be_oldest_first(tmp_path: Path) -> None:
    rows = [said("Ada Quill", str(number), 0) for number in range(5)]
    path = thread(tmp_path / INBOX / "ada_1" / "message_1.json", rows)
    assert [text for _, text in read(tmp_path).said] == ["4", "3", "2", "1", "0"]
    rows = [said("Ada Quill", str(number), number) for number in range(5)]
    document = json.loads(path.read_text()) | {"messages": rows}
    path.write_text(json.dumps(document))
    assert [text for _, text in read(tmp_path).said] == ["0", "1", "2", "3", "4"]


def test_a_long_conversation_in_one_file_is_in_order(tmp_path: Path) -> None:
    found = read_rows(tmp_path, [said("Ada Quill", str(minute), minute) for minute in range(ROWS + 10)])
    assert [text for _, text in found.said] == [str(minute) for minute in range(ROWS + 10)]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (broken("Žofie, ça va? 😂 日本"), "Žofie, ça va? 😂 日本"),
        ("Žofie, ça va? 😂 日本", "Žofie, ça va? 😂 日本"),  # newer exports
        ("café", "café"),
        ("plain", "plain"),
        (broken("é") + " ☕", "Ã© ☕"),  # half of it, which cannot be told from what somebody typed
        (broken("😂")[:3], "ð\x9f\x98"),
    ],
)
def test_each_string_is_repaired_by_itself_or_stays_as_it_is(tmp_path: Path, written: str, meant: str) -> None:
    row = said("Ben Moss") | {"content": written, "sender_name": written}
    found = read_rows(tmp_path, [row])
    assert found.said == [(meant, meant)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (said("Ada Quill", "Ada sent an attachment.", share={"link": "https://example.org"}), MEDIA),
        (said("Ada Quill", "Ada hat einen Anhang gesendet.", share={"link": "https://example.org"}), MEDIA),
        (said("Ada Quill", "Du hast einen Anhang gesendet.", share={"link": "https://example.org"}), MEDIA),
        (said("Ada Quill", "Vous avez envoyé une pièce jointe.", share={"link": "https://example.org"}), MEDIA),
        (said("Ada Quill", "Ada ha enviado algo.", share={"link": "https://example.org"}), MEDIA),
        (said("Ada Quill", share={"link": "https://example.org"}), MEDIA),
        (said("Ada Quill", photos=[{"uri": "a.jpg"}]), MEDIA),
        (said("Ada Quill", sticker={"uri": "a.png"}), MEDIA),
        (said("Ada Quill", audio_files=[{"uri": "a.mp4"}]), MEDIA),
        (said("Ada Quill", videos=[{"uri": "a.mp4"}]), MEDIA),
        (said("Ada Quill", gifs=[{"uri": "a.gif"}]), MEDIA),
        (said("Ada Quill", files=[{"uri": "a.pdf"}]), MEDIA),
        (said("Ada Quill", "You sent an attachment."), SYSTEM),
        (said("Ada Quill", is_unsent=True), DELETED),
        (said("Ada Quill", "Gone", is_unsent=True), DELETED),
        (said("Ada Quill", is_taken_down=True), DELETED),
        (said("Ada Quill", "Ada called you.", call_duration=63), CALL),
        (said("Ada Quill", "Ada hat dich angerufen.", call_duration=0), CALL),
        (said("Ada Quill", "You missed a call from Ada.", missed=True), CALL),
        (said("Ada Quill", "You missed a video call from Ada."), SYSTEM),
        (said("Ben Moss", "Ada missed your call."), SYSTEM),
        (said("Ben Moss", "You called Ada."), SYSTEM),
        (said("Ada Quill", "The video call ended."), SYSTEM),
        (said("Ada Quill", "You are now connected on Messenger."), SYSTEM),
        (said("Ada Quill", "You can now message and call each other and see info like Active Status and when you've "
              "read messages."), SYSTEM),
        (said("Ada Quill", "Reacted 😂 to your message "), SYSTEM),
        (said("Ada Quill", "Liked a message"), SYSTEM),
        (said("Ada Quill", "You unsent a message"), SYSTEM),
        (said("Ada Quill", "Ada Quill named the group Rowers."), SYSTEM),
        (said("Ada Quill", "Ada set the nickname for Ben Moss to Benny."), SYSTEM),
        (said("Ada Quill", "Ada created a poll: Where to?"), SYSTEM),
        (said("Ada Quill", 'Ada Quill voted for "Sea" in the poll.'), SYSTEM),
        (said("Ada Quill", "This poll is no longer available."), SYSTEM),
        (said("Ada Quill", "Ada Quill a quitté le groupe."), SYSTEM),
        (said("Ada Quill", "Ada Quill hat die Gruppe „Rudern“ genannt."), SYSTEM),
        (said("Ada Quill", "Ada Quillさんがグループを退出しました。"), SYSTEM),
        (said("Ada Quill", "Ada waved at you!"), SYSTEM),
        (said("Ada Quill", type="Subscribe", users=[{"name": "Bob"}]), SYSTEM),
        (said("Ada Quill", "Ada added Bob to the group.", type="Subscribe"), SYSTEM),
        (said("Ada Quill", "Where is the key?", bumped_message_metadata={"is_bumped": True}), TWICE),
        (said("Meta AI", "As a model, I"), BY_A_BOT),
        (said("Ada Quill"), NO_TEXT),
        (said("Ada Quill", "  "), NO_TEXT),
    ],
)  # fmt: skip
def test_what_nobody_wrote_is_left_out_and_counted(tmp_path: Path, row: Row, reason: str) -> None:
    found = read_rows(tmp_path, [row])
    assert (found.said, found.loaded.dropped, found.loaded.rows) == ([], {reason: 1}, 1)


@pytest.mark.parametrize(
    "row",
    [
        said("Ada Quill", "Ada here, open up!"),
        said("Ada Quill", "Ada"),
        said("Ada Quill", "Ada Quill, 12 Mill Lane."),
        said("Ada Quill", "Ada Quill here, new account."),
        said("Ada Quill", "Ada Quill ist mein Name und das bleibt so!"),
        said("Ada Quill", "Ada Quill"),
        said("Ada Quill", "You called me at night."),
        said("Ada Quill", "You sent the photo to my mother."),
        said("Ada Quill", "Ben missed you"),
        said("Ada Quill", "Ben left the group."),
        said("Ada Quill", "I liked a message"),
        said("Ada Quill", "he sent an attachment. I did not open it"),
        said("Ada Quill", "Sent a photo"),
        said("Ada Quill", "look https://example.org/a", share={"link": "https://example.org/a"}),
        said("Ada Quill", "haha that one", share={"link": "https://www.instagram.com/stories/ben/1"}),
        said("Ada Quill", "Us at the sea", photos=[{"uri": "a.jpg"}]),
        said("Ada Quill", "ok ", reactions=[{"reaction": broken("❤"), "actor": "Ben Moss"}]),
        said("Ada Quill", "type", type="Generic"),
        said("Ada Quill", "once", bumped_message_metadata={"bumped_message": "once", "is_bumped": False}),
        said("Ada Quill", "shared", type="Share", share={"link": "https://example.org/a"}),
        said("Ada Quill", "mine", ip="1.2.3.4", is_geoblocked_for_viewer=False),
    ],
)
def test_what_somebody_wrote_stays(tmp_path: Path, row: Row) -> None:
    found = read_rows(tmp_path, [row])
    assert (found.said, found.loaded.dropped) == ([("Ada Quill", row["content"])], {})


def test_a_reaction_that_is_listed_elsewhere_is_no_speech_in_any_language(tmp_path: Path) -> None:
    liked: Row = {"reactions": [{"reaction": broken("😂"), "actor": "Ben Moss"}]}
    timed: Row = {"reactions": [{"reaction": broken("❤"), "actor": "Ben Moss", "timestamp": START_MS // 1000 + 180}]}
    found = read_rows(
        tmp_path,
        [
            said("Ada Quill", "A joke", 0) | liked,
            said("Ben Moss", "Gav reaktionen 😂 på din besked ", 1),
            said("Ben Moss", "haha 😂", 2),
            said("Ada Quill", "Goodbye", 2.5) | timed,
            said("Ben Moss", "Syntes godt om en besked", 3),
        ],
    )
    assert found.said == [("Ada Quill", "A joke"), ("Ben Moss", "haha 😂"), ("Ada Quill", "Goodbye")]
    assert found.loaded.dropped == {SYSTEM: 2}


def test_a_sign_a_blank_or_the_second_of_a_reaction_makes_no_message_the_apps(tmp_path: Path) -> None:
    liked: Row = {"reactions": [{"reaction": broken("❤"), "actor": "Ben Moss", "timestamp": START_MS // 1000 + 180}]}
    theirs = [("Ben Moss", "love you ❤ "), ("Ben Moss", "so nice ❤ see you "), ("Ben Moss", "on my way")]
    rows = [said("Ada Quill", "Hello", 0) | liked, *(said(*row, minute) for minute, row in enumerate(theirs, 1))]
    found = read_rows(tmp_path, rows)
    assert (found.said, found.loaded.dropped) == ([("Ada Quill", "Hello"), *theirs], {})


def test_the_same_sentence_of_several_people_is_the_apps_in_any_language(tmp_path: Path) -> None:
    left = " er farinn héðan."
    rows = [said(name, name + left, minute) for minute, name in enumerate(("Ada Quill", "Ben Moss"))]
    found = read_rows(tmp_path, [*rows, said("Ada Quill", "Ada Quill er komin aftur.", 3)])
    assert found.said == [("Ada Quill", "Ada Quill er komin aftur.")]
    assert found.loaded.dropped == {SYSTEM: 2}


def test_the_download_of_encrypted_chats_is_read_and_its_text_needs_no_repair(tmp_path: Path) -> None:
    encrypted_thread(
        tmp_path / "Ada Quill_3.json",
        [
            encrypted("Ada Quill", "Where is the key?", 0),
            encrypted("Ada Quill", "", 1, "media", media=[{"uri": "./media/a.jpeg"}]),
            encrypted("Ben Moss", "Under the mat 🔑, said Ã©", 2),
            encrypted("Ben Moss", "https://example.org", 3, "link"),
            encrypted("Ben Moss", "Our door", 4, "media", media=[{"uri": "./media/b.jpeg"}]),
            encrypted("Ben Moss", "", 5, "placeholder"),
            encrypted("Ben Moss", "never", 6, isUnsent=True),
            encrypted("Ben Moss", "You missed an audio call from Ada.", 7),
            encrypted("Ben Moss", "something new", 8, "riddle"),
        ],
    )
    found = read(tmp_path)
    assert found.said == [
        ("Ada Quill", "Where is the key?"),
        ("Ben Moss", "Under the mat 🔑, said Ã©"),
        ("Ben Moss", "https://example.org"),
        ("Ben Moss", "Our door"),
    ]
    assert found.loaded.dropped == {MEDIA: 1, DELETED: 2, SYSTEM: 2}
    assert (found.sessions[0].id, found.sessions[0].kind) == ("messenger-Ada Quill_3", "direct")
    assert recognise(tmp_path).what == "a download of Messenger's end-to-end encrypted chats"


def test_both_forms_of_one_conversation_are_one_and_each_message_counts_once(tmp_path: Path) -> None:
    thread(tmp_path / INBOX / "adaquill_1" / "message_1.json", TALK)
    thread(
        tmp_path / INBOX.parent / "e2ee_cutover" / "adaquill_9" / "message_1.json", [said("Ben Moss", "One more", 2)]
    )
    thread(tmp_path / INBOX / "bob_2" / "message_1.json", [said("Bob Fry", "Hi", 5)], ("Bob Fry", "Ben Moss"))
    encrypted_thread(
        tmp_path / "Ada Quill_3.json",
        [
            encrypted("Ben Moss", "Under the mat 🔑", 1.001),
            encrypted("Ben Moss", "ok", 3),
            encrypted("Ben Moss", "ok", 3.001),
        ],
    )
    found = read(tmp_path)
    texts = [[message.content for message in session.messages] for session in found.sessions]
    assert texts == [["Where is the key?", "Under the mat 🔑", "One more", "ok", "ok"], ["Hi"]]
    assert found.loaded.dropped == {TWICE: 1}
    assert found.loaded.noted == {"in chats from before their encryption (e2ee_cutover)": 1}


def test_two_exports_of_one_account_count_each_message_once(tmp_path: Path) -> None:
    thread(tmp_path / "old" / INBOX / "ada_1" / "message_1.json", TALK)
    thread(tmp_path / "new" / INBOX / "ada_1" / "message_1.json", [*TALK, said("Ada Quill", "Thanks", 2)])
    found = read(tmp_path)
    assert found.said == [*HEARD, ("Ada Quill", "Thanks")]
    assert found.loaded.dropped == {TWICE: 2}


def test_archived_chats_and_requests_are_named_and_spam_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "your_facebook_activity/messages"
    for number, name in enumerate(("inbox", "archived_threads", "message_requests", "filtered_threads"), start=1):
        other = f"Person {number}"
        thread(folder / name / f"person_{number}" / "message_1.json", [said(other, "Hi")], (other, "Ben Moss"))
    found = read(tmp_path)
    assert found.said == [("Person 1", "Hi"), ("Person 2", "Hi"), ("Person 3", "Hi")]
    assert found.loaded.noted == {"in archived chats": 1, "in message requests": 1}
    assert found.loaded.dropped == {LEFT_OUT["filtered_threads"]: 1}
    assert [message.content for _, message in found.left_out] == ["Hi"]


def test_a_group_has_its_title_and_its_silent_members(tmp_path: Path) -> None:
    people = ("Ada Quill", "Zoë Ng", "Ben Moss")
    thread(tmp_path / INBOX / "rowers_4" / "message_1.json", TALK, people, title=broken("Rowers ⛵"))
    (session,) = read(tmp_path).sessions
    assert (session.kind, session.title, set(session.people)) == ("group", "Rowers ⛵", set(people))


def test_a_group_in_which_two_are_left_is_a_group(tmp_path: Path) -> None:
    thread(
        tmp_path / INBOX / "rowers_4" / "message_1.json", TALK, title="Rowers", joinable_mode={"mode": 1, "link": ""}
    )
    (session,) = read(tmp_path).sessions
    assert (session.kind, session.title) == ("group", "Rowers")


def test_two_people_of_one_name_stay_two(tmp_path: Path) -> None:
    for number in (1, 2):
        rows = [said("Al Kim", f"I am {number}"), said("Ben Moss", "Hi", 1)]
        thread(tmp_path / INBOX / f"alkim_{number}" / "message_1.json", rows, ("Al Kim", "Ben Moss"))
    found = read(tmp_path)
    assert [who for who, _ in found.said] == ["Al Kim", "Ben Moss", "Al Kim (alkim_2)", "Ben Moss"]
    only = read(tmp_path, filters=Filters(only_people=("alkim_2",)))
    assert only.said == [("Al Kim (alkim_2)", "I am 2"), ("Ben Moss", "Hi")]


@pytest.mark.parametrize("name", ["Facebook user", "Facebook-Nutzer", "Utilisateur Facebook", ""])
def test_those_who_have_left_are_not_one_person(tmp_path: Path, name: str) -> None:
    for number in (1, 2):
        rows = [said(name, f"I am {number}"), said("Ben Moss", "Hi", 1)]
        thread(tmp_path / INBOX / f"facebookuser_{number}" / "message_1.json", rows, (name, "Ben Moss"))
    senders = [who for who, _ in read(tmp_path).said]
    assert len(set(senders)) == 3
    assert senders[1] == senders[3] == "Ben Moss"


def test_the_profile_in_the_export_tells_who_its_owner_is(tmp_path: Path) -> None:
    profile = tmp_path / "personal_information/profile_information/profile_information.json"
    profile.parent.mkdir(parents=True)
    profile.write_text(json.dumps({"profile_v2": {"name": {"full_name": broken("Žofie Moss")}}}))
    found = read_rows(tmp_path, [said("Ada Quill", "Hi"), said("Žofie Moss", "Hello", 1)], ("Ada Quill", "Žofie Moss"))
    assert [(each.sender, each.is_me) for each in found.sessions[0].messages] == [("Ada Quill", False), (OWNER, True)]
    assert set(found.sessions[0].people) == {"Ada Quill"}
    assert found.sessions[0].owner == "Žofie Moss"


@pytest.mark.parametrize("profile", ["", "{", "[]", '{"profile_v2": 3}', '{"profile_user": [3]}'])
def test_a_profile_that_says_nothing_costs_nobody_their_messages(tmp_path: Path, profile: str) -> None:
    (tmp_path / "profile_information.json").write_text(profile)
    assert read_rows(tmp_path, TALK).said == HEARD


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("page", "Messenger's export as web pages, which are not read"),
        ("empty", "Facebook's export, without messages"),
    ],
)
def test_an_export_that_cannot_be_read_says_how_to_ask_for_another(tmp_path: Path, what: str, message: str) -> None:
    path = tmp_path / "your_facebook_activity/messages/inbox/ada_1/message_1.html"
    if what == "empty":
        path = tmp_path / "your_facebook_activity/posts/your_posts.json"
    path.parent.mkdir(parents=True)
    path.write_text("<html><head></head></html>" if what == "page" else "{}")
    where = path if what == "page" else tmp_path
    assert refusal(tmp_path) == f"{where}: {message}. {ASK_FOR_JSON[MESSENGER]}"


def test_an_archive_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text("{}")
    assert refusal(tmp_path, "messenger") == f"{tmp_path}: no conversation of Messenger. {ASK_FOR_JSON[MESSENGER]}"


@pytest.mark.parametrize("cut", [0, 1, 60, 200])
def test_a_damaged_file_is_named(tmp_path: Path, cut: int) -> None:
    good = thread(tmp_path / INBOX / "ada_1" / "message_1.json", TALK)
    bad = tmp_path / INBOX / "bob_2" / "message_1.json"
    bad.parent.mkdir()
    bad.write_bytes(good.read_bytes()[:cut])
    assert refusal(tmp_path).startswith(f"{bad}: JSON that is damaged or cut off near byte ")


@pytest.mark.parametrize("export", sorted(set(EXPORTS) - {"messenger"}))
def test_other_apps_archives_are_not_messengers(tmp_path: Path, export: str) -> None:
    with Members(EXPORTS[export](tmp_path)) as members:
        assert source.recognise(members) is None
        assert instagram.recognise(members) is None


def test_a_large_file_is_read_like_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = ("Ada Quill", "Zoë Ng", "Ben Moss")
    thread(tmp_path / INBOX / "rowers_4" / "message_1.json", [*TALK, said("Ben Moss", photos=[{"uri": "a"}])], people)
    encrypted_thread(tmp_path / "Bob_3.json", [encrypted("Bob", "Hi", 3, media=[{"uri": "a"}])], ("Bob", "Ben Moss"))
    small = read(tmp_path)
    monkeypatch.setattr("pipeline.archives.typed_json.ORDINARY", 0)
    assert read(tmp_path) == small
    assert len(small.said) == 3


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    ["sender_name", "timestamp_ms", "content", "reactions", "share", "photos", "type", "is_unsent", "call_duration",
     "senderName", "text", "timestamp", "isUnsent", "media"]
)  # fmt: skip


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=6) | VALUES, max_size=6), VALUES, VALUES, st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_rows_hold_each_is_a_message_or_left_out(
    tmp_path: Path, rows: list[object], people: object, title: object, encrypted: bool
) -> None:
    path = tmp_path / "message_1.json"
    titled = "threadName" if encrypted else "title"
    path.write_text(json.dumps({"participants": people, titled: title, "messages": rows, "sender_name": 0}))
    found = read(path, "messenger")
    assert found.loaded.rows == len(rows) == len(found.said) + found.loaded.dropped.total()


@given(st.integers(0, 600), st.binary(max_size=3), st.integers(0, 20))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_changed_file_is_read_or_refused_in_words(tmp_path: Path, at: int, new: bytes, gone: int) -> None:
    path = thread(tmp_path / "inbox" / "ada_1" / "message_1.json", TALK)
    data = path.read_bytes()
    path.write_bytes(data[:at] + new + data[at + gone :])
    try:
        read(path, "messenger")
    except InputError as error:
        refused = str(error)
    else:
        refused = str(path)
    assert refused.startswith(str(path))
