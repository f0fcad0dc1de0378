import itertools
import plistlib
import struct
from collections import Counter

import pytest

from pipeline.archives.imessage import bodies
from pipeline.samples.attributed_body import encode_attributed_body
from tests.archives.phone import Phone, Value, read, said

PARTS = {"0": {"lo": 0, "le": 5}, "1": {"lo": 5, "le": 5}}


def info(content: dict[str, object], kind: plistlib.PlistFormat = plistlib.FMT_BINARY) -> bytes:
    return plistlib.dumps(content, fmt=kind)


def history(*texts: str) -> dict[str, object]:
    return {"ec": {"0": [{"d": 700_000_000.0, "t": encode_attributed_body(text)} for text in texts]}}


def contents(phone: Phone) -> list[str]:
    return [content for session in said(read(phone)[0]) for _, content in session]


@pytest.mark.parametrize("date_edited", [0, None, 700_000_001 * 10**9])
def test_an_edited_message_is_what_its_body_says_now(phone: Phone, date_edited: int | None) -> None:
    row: dict[str, Value] = {"message_summary_info": info(history("wrong", "right")), "date_edited": date_edited}
    phone.message(phone.chat("c"), {**row, "attributedBody": encode_attributed_body("right")})
    assert contents(phone) == ["right"]


@pytest.mark.parametrize("kind", [plistlib.FMT_BINARY, plistlib.FMT_XML])
def test_an_edited_message_without_a_body_is_the_last_of_its_history(phone: Phone, kind: plistlib.PlistFormat) -> None:
    phone.message(phone.chat("c"), {"message_summary_info": info(history("wrong", "right"), kind)})
    assert contents(phone) == ["right"]


@pytest.mark.parametrize(
    "row",
    [
        {"message_summary_info": info({"rp": [0]}), "date_edited": 1},
        {"message_summary_info": info({"rp": [0, 1], "otr": PARTS}), "text": "still there"},
        {"message_summary_info": info({"rp": [0], **history("gone")})},
        {"date_retracted": 700_000_001 * 10**9},
    ],
)
def test_an_unsent_message_is_gone(phone: Phone, row: dict[str, Value]) -> None:
    phone.message(phone.chat("c"), row)
    assert read(phone) == ([], Counter({"unsent": 1}))


def test_of_a_message_unsent_in_part_the_rest_stays(phone: Phone) -> None:
    row = {
        "message_summary_info": info({"rp": [0], "otr": PARTS}),
        "attributedBody": encode_attributed_body("the rest"),
    }
    phone.message(phone.chat("c"), row)
    assert contents(phone) == ["the rest"]


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"bplist00\xffRecRrp",
        b"<plist>",
        info({"ec": 1, "rp": "x"}),
        info({"ec": {"0": [1]}}),
        plistlib.dumps([b"ec"], fmt=plistlib.FMT_BINARY),
    ],
)
def test_a_history_that_cannot_be_read_costs_nothing_but_itself(phone: Phone, broken: bytes) -> None:
    chat = phone.chat("c")
    phone.message(chat, {"text": "kept", "message_summary_info": broken})
    phone.message(chat, {"text": None, "message_summary_info": broken, "date_edited": 1})
    sessions, dropped = read(phone)
    assert said(sessions) == [[("unknown", "kept")]]
    assert dropped == {"no text": 1}


@pytest.mark.parametrize("text", ["Edited to “See you at ten”", 'Edited to "See you at ten"'])
@pytest.mark.parametrize("service", ["iMessage", "SMS"])
def test_news_of_an_edit_is_no_speech(phone: Phone, text: str, service: str) -> None:
    phone.message(phone.chat("c"), {"attributedBody": encode_attributed_body(text), "service": service})
    assert read(phone) == ([], Counter({"edit in words": 1}))


def test_speech_about_editing_is_kept(phone: Phone) -> None:
    phone.message(phone.chat("c"), {"attributedBody": encode_attributed_body("Edited to death, that book")})
    assert contents(phone) == ["Edited to death, that book"]


def test_recently_deleted_messages_are_left_out_under_their_own_name(phone: Phone) -> None:
    chat = phone.chat("c")
    phone.message(chat, {"text": "kept"})
    deleted = phone.message(None, {"text": "deleted"})
    phone.message(None, {"text": "orphan"})
    phone.db.execute("INSERT INTO chat_recoverable_message_join VALUES (?, ?, 1, 0)", (chat, deleted))
    assert read(phone)[1] == {"recently deleted": 1, "not in any chat": 1}


@pytest.mark.parametrize(("is_sent", "dropped"), [(0, {"not sent yet": 1}), (1, {})])
def test_send_later_counts_once_it_is_sent(phone: Phone, is_sent: int, dropped: dict[str, int]) -> None:
    row: dict[str, Value] = {"text": "happy birthday", "is_from_me": 1, "schedule_type": 2, "is_sent": is_sent}
    phone.message(phone.chat("c"), row)
    assert read(phone)[1] == dropped


def test_a_message_that_failed_is_still_what_the_owner_said(phone: Phone) -> None:
    phone.message(phone.chat("c"), {"text": "hello?", "is_from_me": 1, "error": 22, "is_sent": 0})
    assert contents(phone) == ["hello?"]


def plist(*objects: bytes) -> bytes:
    """A binary plist of objects as they stand in it, the last its root; references have one byte."""
    offsets = list(itertools.accumulate(map(len, objects), initial=8))
    trailer = struct.pack(">6xBBQQQ", 4, 1, len(objects), len(objects) - 1, offsets[-1])
    return b"bplist00" + b"".join(objects) + struct.pack(f">{len(objects)}I", *offsets[:-1]) + trailer


def test_a_list_of_lists_that_share_their_items_is_not_written_out(phone: Phone) -> None:
    lists = [bytes([0xAA]) + bytes([number]) * 10 for number in range(40)]  # each is ten times the one before it
    unsent = plist(b"\x51x", *lists, b"\xa1\x28", b"\x52rp", b"\x53otr", b"\xd1\x00\x00", b"\xd2\x2a\x2b\x29\x2c")
    assert plistlib.loads(unsent)["otr"] == {"x": "x"}
    phone.message(phone.chat("c"), {"message_summary_info": unsent, "text": "still there"})
    assert contents(phone) == ["still there"]


def test_a_plist_whose_objects_overlap_or_are_thousands_is_as_good_as_none() -> None:
    objects = [b"\x52rp", b"\xaf\x10\xc8" + bytes(range(1, 201)), b"\xd1\x00\x01"]
    honest = plist(objects[0], b"\xa1\x00", objects[2])
    assert bodies.summary(honest) == {"rp": ["rp"]}
    at = 8 + len(objects[0])
    offsets = struct.pack(">202I", 8, *([at] * 200), at + len(objects[1]))  # 200 lists of the same 200 bytes
    trailer = struct.pack(">6xBBQQQ", 4, 1, 202, 201, sum(map(len, objects)) + 8)
    overlapping = b"bplist00" + b"".join(objects) + offsets + trailer
    assert len(plistlib.loads(overlapping)["rp"]) == 200
    assert bodies.summary(overlapping) == {}
    many = plist(*([b"\x51x"] * 5000), b"\xd1\x00\x00")
    assert plistlib.loads(many) == {"x": "x"}
    assert bodies.summary(many) == {}


@pytest.mark.parametrize("part", [2**100_000, -(2**63), 1.5, b"0", plistlib.UID(0), [0], {"0": 0}], ids=type)
def test_what_is_no_number_of_a_part_is_none_that_was_unsent(part: object) -> None:
    assert not bodies.is_unsent({"rp": [part], "otr": PARTS}, is_empty=False)
    assert bodies.is_unsent({"rp": [part, 0, "1"], "otr": PARTS}, is_empty=False)


def test_parts_that_share_one_long_body_are_read_once_and_no_further_than_a_message_may_be_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bodies_read: list[int] = []

    def decode(body: bytes) -> str:
        bodies_read.append(len(body))
        return body.decode()

    monkeypatch.setattr(bodies, "decode_attributed_body", decode)
    history = {"ec": {str(part): [{"t": b"a" * 300_000}] for part in range(1000)}}
    assert bodies.last_edit(history) == "a" * 1_200_000
    assert bodies_read == [300_000]
