"""What WhatsApp-Chat-Exporter makes of the databases: it knows who the owner is."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.archives.members import Members
from pipeline.archives.recognise import recognise
from pipeline.archives.told import CALL, DELETED, MEDIA, NO_TEXT
from pipeline.archives.whatsapp.exporter import STATUS, is_exported
from pipeline.archives.whatsapp.own_words import SYSTEM
from pipeline.errors import InputError
from pipeline.sessions.session import OWNER, Message, Person
from tests.archives.reading import read

NELL, GROUP = "4917012345678@s.whatsapp.net", "4917012345678-1600000000@g.us"


def row(number: int, data: str | None, **more: Any) -> dict[str, Any]:
    made = {
        "from_me": False, "timestamp": 1_692_126_763 + number, "time": "19:12", "media": False, "key_id": f"K{number}",
        "meta": False, "data": data, "sender": None, "safe": False, "mime": None, "message_type": 0,
        "received_timestamp": None, "read_timestamp": None, "reply": None, "quoted_data": None, "caption": None,
        "thumb": None, "sticker": False, "reactions": {},
    }  # fmt: skip
    return {**made, **more}


def chat(name: str | None, *rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name, "type": "android", "my_avatar": None, "their_avatar": "WhatsApp/Avatars/x.j",
        "their_avatar_thumb": None, "status": None, "media_base": "",
        "messages": {str(n): each for n, each in enumerate(rows)},
    }  # fmt: skip


def written(folder: Path, document: object, **how: Any) -> Path:
    path = folder / "result.json"
    path.write_text(json.dumps(document, **how))
    return path


CHATS = {
    NELL: chat(
        "Nell Harrow",
        row(1, "did you find it?"),
        row(2, "yes<br>here", from_me=True, reply="K1", quoted_data="did you find it?"),
        row(3, "WhatsApp/Media/x.jpg", media=True, mime="image/jpeg", caption="look"),
        row(4, "WhatsApp/Media/x.opus", media=True, mime="audio/ogg", caption='"what was said"'),
        row(5, "WhatsApp/Media/x.webp", media=True, mime="image/webp", sticker=True),
        row(6, "Message deleted", meta=True, from_me=True),
        row(7, "A voice call from Nell Harrow was missed.", meta=True, sender="Nell Harrow"),
        row(8, "The security code in this chat changed", meta=True),
        row(9, None),
        row(10, "own again", from_me=True, reply="K2", quoted_data="yes"),
    ),
    GROUP: chat(
        "Trip: Rome",
        row(1, "hi all", sender="Nell Harrow"),
        row(2, "who is this?", sender="4915100000000"),
        row(3, "me", from_me=True),
    ),
    "status@broadcast": chat(None, row(1, "my status", from_me=True)),
}


@pytest.mark.parametrize("how", [{}, {"indent": 2}, {"ensure_ascii": False}], ids=["as is", "pretty", "letters"])
def test_chats_are_read_with_their_owner(tmp_path: Path, how: dict[str, Any]) -> None:
    path = written(tmp_path, CHATS, **how)
    found = read(path)
    direct, group = found.sessions
    begin = "2023-08-15T19:12:"
    answer = Message(OWNER, True, f"{begin}45Z", "yes\nhere", reply_to="did you find it?")
    assert direct.messages == [
        Message("Nell Harrow", False, f"{begin}44Z", "did you find it?"),
        answer,
        Message("Nell Harrow", False, f"{begin}46Z", "look"),
        Message(OWNER, True, f"{begin}53Z", "own again"),
    ]
    assert (direct.kind, direct.title) == ("direct", None)
    assert direct.people == {"Nell Harrow": Person("Nell Harrow", ["+4917012345678"])}
    assert [(message.sender, message.content) for message in group.messages] == [
        ("Nell Harrow", "hi all"),
        ("+4915100000000", "who is this?"),
        (OWNER, "me"),
    ]
    assert (group.kind, group.title) == ("group", "Trip: Rome")
    assert found.loaded.dropped == {MEDIA: 2, DELETED: 1, CALL: 1, SYSTEM: 1, NO_TEXT: 1, STATUS: 1}
    assert found.loaded.rows == 14


def test_it_is_recognised_in_a_folder_of_one_file_a_chat(tmp_path: Path) -> None:
    for identity in (NELL, GROUP):
        (tmp_path / f"{identity}.json").write_text(json.dumps({identity: CHATS[identity]}))
    archive = recognise(tmp_path)
    assert (archive.source, archive.what) == ("whatsapp", "WhatsApp's chats by WhatsApp-Chat-Exporter")
    assert len(read(tmp_path).sessions) == 2


@pytest.mark.parametrize(
    "document", [{"messages": {}}, {"name": "x", "messages": []}, {"a": {"messages": {"1": {}}}}, [1], "x", {}]
)
def test_other_json_is_not_claimed(tmp_path: Path, document: object) -> None:
    with Members(written(tmp_path, document)) as members:
        assert not is_exported(members.all[0])


def test_many_messages_come_in_batches_and_chats_that_are_left_are_skipped(tmp_path: Path) -> None:
    rows = [row(number, "x" * 500) for number in range(5000)]
    found = read(written(tmp_path, {NELL: chat("Nell", *rows), "1@s.whatsapp.net": chat("Otto", row(1, "hi"))}))
    assert [len(session.messages) for session in found.sessions] == [5000, 1]


def test_what_ends_too_early_is_one_message(tmp_path: Path) -> None:
    path = written(tmp_path, CHATS)
    path.write_text(path.read_text()[:2000])
    with pytest.raises(InputError, match=rf"^{path}: JSON that is damaged or cut off near byte [\d,]+: "):
        read(path, "whatsapp")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_adds_up(tmp_path: Path, data: st.DataObject) -> None:
    text = bytearray(json.dumps(CHATS).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(200, len(text)))
        text[at : at + data.draw(st.integers(0, 9))] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b"null", b"{}", b"[]", b"1", b"true", b'"', b"1e999"])
        )
    path = tmp_path / "result.json"
    path.write_bytes(bytes(text))
    refused, found = "", None
    try:
        found = read(path, "whatsapp")
    except InputError as error:
        refused = str(error)
    if found is None:
        assert str(path) in refused
    else:
        assert found.loaded.rows == found.loaded.messages + found.loaded.dropped.total()
