from collections import Counter
from collections.abc import Callable

import pytest

from pipeline.archives.addresses import normal_address
from pipeline.archives.imessage import stream_imessage
from pipeline.archives.imessage.people import People
from pipeline.samples.chatdb import DIRECT, GROUP
from pipeline.sessions.stream import whole
from tests.archives.phone import Phone, Value, read, said
from tests.growth import assert_linear

HARE = "+1 (555) 010-0100"


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("+15550100100", "5550100100"),
        (HARE, "+15550100100"),
        ("tel:+44 7911 123456", "07911 123456"),
        ("Hare@Garden.Example", "hare@garden.example"),
        ("E:hare@garden.example", "hare@garden.example"),
        ("P:+15550100100", "+15550100100"),
    ],
)
def test_addresses_of_one_person_are_equal_in_their_normal_form(address: str, same: str) -> None:
    assert normal_address(address) == normal_address(same)


@pytest.mark.parametrize(
    ("address", "other"),
    [("+15550100100", "+15550100101"), ("22395", "2239522395"), ("Tortoise", "Hare"), ("a1@b.example", "a2@b.example")],
)
def test_addresses_of_two_people_differ_in_their_normal_form(address: str, other: str) -> None:
    assert normal_address(address) != normal_address(other)


def test_numbers_of_two_countries_that_end_alike_are_two_people() -> None:
    people = People(
        [(1, "0160 1234567", ""), (2, "+491601234567", ""), (3, "+431611234567", ""), (4, "+441611234567", "")]
    )
    assert people.of_handle(1) == people.of_handle(2)
    assert len({people.of_handle(rowid) for rowid in (2, 3, 4)}) == 3


def test_one_person_over_services_and_an_email_address_is_one_conversation_in_order_of_time(phone: Phone) -> None:
    handles = [
        phone.handle("+15550100100", "iMessage", "card-1"),
        phone.handle("5550100100", "SMS"),
        phone.handle(HARE, "RCS"),
        phone.handle("hare@garden.example", "iMessage", "card-1"),
    ]
    chats = [
        phone.chat("iMessage;-;+15550100100", members=(handles[0],)),
        phone.chat("SMS;-;5550100100", members=(handles[1],)),
        phone.chat("any;-;RCS", members=(handles[2],)),
        phone.chat("any;-;hare@garden.example", members=(handles[3],)),
    ]
    for number in range(8):
        row: dict[str, Value] = {"text": f"{number}", "handle_id": handles[number % 4], "is_from_me": number // 4}
        phone.message(chats[number % 4], row)
    sessions, dropped = read(phone)
    assert [(session.id, session.kind) for session in sessions] == [("iMessage;-;+15550100100", "direct")]
    assert said(sessions) == [
        [*(("+15550100100", str(number)) for number in range(4)), *(("me", str(number)) for number in range(4, 8))]
    ]
    assert dropped == {}


def test_two_people_stay_two_conversations(phone: Phone) -> None:
    for address in ("+15550100100", "+15550100101"):
        handle = phone.handle(address)
        phone.message(phone.chat(f"any;-;{address}", members=(handle,)), {"text": address, "handle_id": handle})
    assert said(read(phone)[0]) == [[("+15550100100",) * 2], [("+15550100101",) * 2]]


def test_groups_are_one_only_if_both_their_people_and_their_id_are(phone: Phone) -> None:
    tortoise, hare, owl = (phone.handle(name) for name in ("Tortoise", "Hare", "Owl"))
    hare_by_sms = phone.handle("Hare", "SMS")
    for guid, members, group in (
        ("a", (tortoise, hare), "race"),
        ("same", (tortoise, hare_by_sms), "race"),
        ("other id", (tortoise, hare), "picnic"),
        ("other people", (tortoise, owl), "race"),
        ("more people", (tortoise, hare, owl), "race"),
        ("nobody listed", (), "race"),
    ):
        phone.message(phone.chat(guid, GROUP, members=members, group=group), {"text": guid, "handle_id": tortoise})
    assert [[content for _, content in session] for session in said(read(phone)[0])] == [
        ["a", "same"], ["other id"], ["other people"], ["more people"], ["nobody listed"],
    ]  # fmt: skip


def test_a_group_of_one_other_person_is_not_the_conversation_with_them(phone: Phone) -> None:
    hare = phone.handle("Hare")
    phone.message(phone.chat("direct", DIRECT, members=(hare,)), {"text": "to you", "handle_id": hare})
    phone.message(phone.chat("group", GROUP, members=(hare,)), {"text": "to all", "handle_id": hare})
    assert [(session.id, session.kind) for session in read(phone)[0]] == [("direct", "direct"), ("group", "group")]


def test_a_chat_that_lists_no_members_is_read_and_known_by_its_identifier(phone: Phone) -> None:
    handle = phone.handle("+15550100100")
    listed = phone.chat("iMessage;-;+15550100100", members=(handle,))
    unlisted = phone.chat("SMS;-;5550100100", chat_identifier="5550100100")
    phone.message(listed, {"text": "one", "handle_id": handle})
    phone.message(unlisted, {"text": "two", "handle_id": handle})
    assert said(read(phone)[0]) == [[("+15550100100", "one"), ("+15550100100", "two")]]


def test_a_message_in_two_chats_of_one_conversation_is_read_once(phone: Phone) -> None:
    hare = phone.handle("Hare")
    first, second = (phone.chat(guid, members=(hare,)) for guid in ("a", "b"))
    phone.join(second, phone.message(first, {"text": "once", "handle_id": hare}))
    assert said(read(phone)[0]) == [[("Hare", "once")]]


def test_a_message_in_two_conversations_stays_in_the_first(phone: Phone) -> None:
    hare, owl = phone.handle("Hare"), phone.handle("Owl")
    first, second = phone.chat("a", members=(hare,)), phone.chat("b", members=(owl,))
    phone.join(second, phone.message(first, {"text": "once", "handle_id": hare}))
    phone.message(second, {"text": "mine", "handle_id": owl})
    assert said(read(phone)[0]) == [[("Hare", "once")], [("Owl", "mine")]]


@pytest.mark.parametrize(
    ("account", "through"),
    [("E:owner@garden.example", None), ("P:+15550100199", None), (None, "+15550100199"), (None, "5550100199")],
)
def test_notes_to_self_are_left_out_in_both_their_shapes(
    phone: Phone, account: str | None, through: str | None
) -> None:
    address = account[2:] if account else "+15550100199"
    hare, me = phone.handle("Hare"), phone.handle(address)
    phone.message(
        phone.chat("friend", members=(hare,)), {"text": "hi", "handle_id": hare, "destination_caller_id": through}
    )
    myself = phone.chat("self", members=(me,))
    for is_from_me in (1, 0, 1):  # the same text as two rows, and as one
        note: dict[str, Value] = {"text": "buy milk", "handle_id": me, "is_from_me": is_from_me}
        phone.message(myself, {**note, "account": account, "destination_caller_id": through})
    sessions, dropped = read(phone)
    assert said(sessions) == [[("Hare", "hi")]]
    assert dropped == {"note to self": 3}


ALIAS = "alias@garden.example"


@pytest.mark.parametrize(
    "tell",
    [
        lambda phone, _friend, _chat, myself: phone.db.execute(
            "UPDATE chat SET last_addressed_handle = ? WHERE ROWID = ?", (ALIAS, myself)
        ),
        lambda phone, _friend, chat, _: phone.db.execute(
            "UPDATE chat SET last_addressed_handle = ? WHERE ROWID = ?", (ALIAS, chat)
        ),
        lambda phone, friend, chat, _: phone.message(
            chat, {"text": "hi", "handle_id": friend, "destination_caller_id": ALIAS}
        ),
        lambda phone, friend, chat, _: [
            phone.message(chat, {"text": "hi", "handle_id": friend, "is_from_me": 1, "destination_caller_id": ALIAS}),
            [phone.message(chat, {"text": f"no {n}", "handle_id": friend, "is_from_me": 1}) for n in range(120)],
        ],
        lambda phone, _friend, _chat, myself: phone.db.execute(
            "UPDATE message SET destination_caller_id = ? WHERE ROWID = (SELECT min(message_id) FROM chat_message_join "
            "WHERE chat_id = ?)",
            (ALIAS, myself),
        ),
    ],
    ids=["its own chat", "another chat", "one message that came", "one that went long ago", "one note"],
)
def test_a_note_to_an_alias_is_one_to_self_wherever_the_alias_stands(
    phone: Phone, tell: Callable[[Phone, int, int, int], object]
) -> None:
    friend, me = phone.handle("Hare"), phone.handle(ALIAS)
    chat, myself = phone.chat("friend", members=(friend,)), phone.chat("self", members=(me,))
    phone.message(chat, {"text": "hello", "handle_id": friend, "destination_caller_id": "+15550100199"})
    for is_from_me in (1, 0):
        phone.message(myself, {"text": "buy milk", "handle_id": me, "is_from_me": is_from_me})
    tell(phone, friend, chat, myself)
    sessions, dropped = read(phone)
    assert dropped == {"note to self": 2}
    assert len(sessions) == 1


def test_a_friend_is_not_the_owner_because_one_chat_went_through_their_address(phone: Phone) -> None:
    hare = phone.handle("+15550100100")
    row: dict[str, Value] = {"text": "hi", "handle_id": hare, "destination_caller_id": "+15550100100"}
    phone.message(phone.chat("a", members=(hare,)), row)
    assert said(read(phone)[0]) == [[("+15550100100", "hi")]]


@pytest.mark.parametrize("address", ["22395", "urn:biz:0b1c2d3e"])
def test_short_codes_and_businesses_are_no_people_and_neither_is_what_they_are_told(phone: Phone, address: str) -> None:
    service = phone.handle(address, "SMS")
    chat = phone.chat("c", members=(service,))
    phone.message(chat, {"text": "Your parcel is on its way", "handle_id": service})
    phone.message(chat, {"text": "STOP", "handle_id": service, "is_from_me": 1})
    assert read(phone) == ([], Counter({"from a service": 2}))


def test_messages_from_unknown_senders_are_kept_and_noted(phone: Phone) -> None:
    hare = phone.handle("+15550100100")
    phone.message(phone.chat("c", members=(hare,), is_filtered=1), {"text": "It is me, Hare", "handle_id": hare})
    noted: Counter[str] = Counter()
    sessions = list(map(whole, stream_imessage(phone.save(), Counter(), noted=noted)))
    assert said(sessions) == [[("+15550100100", "It is me, Hare")]]
    assert noted == {"from unknown senders": 1}


def test_session_ids_are_unique_even_where_guids_are_not(phone: Phone) -> None:
    phone.db.executescript(
        "CREATE TABLE plain AS SELECT * FROM chat; DROP TABLE chat; ALTER TABLE plain RENAME TO chat;"
        "INSERT INTO chat (ROWID, guid, style) VALUES (1, 'same', 45), (2, 'same', 45);"
    )
    for chat in (1, 2):
        phone.message(chat, {"text": "hi"})
    assert [session.id for session in read(phone)[0]] == ["same", "same#2"]


def test_any_number_of_handles_of_one_person_are_put_together_in_linear_time() -> None:
    def work(count: int) -> Callable[[], object]:
        handles = [(number, f"u{number}@example.test", "P") for number in range(count)]
        return lambda: People(handles)

    assert_linear(work, 4_000)
    people = People([(number, f"u{number}@example.test", "P") for number in range(100)])
    assert set(people.senders.values()) == {"u0@example.test"}
    assert people.known["u0@example.test"].addresses == [f"u{number}@example.test" for number in range(100)]
