from collections.abc import Callable

import pytest

from pipeline.archives.imessage.database import Database, Row
from pipeline.archives.imessage.people import People
from pipeline.archives.imessage.speech import Speech
from pipeline.samples.chatdb import DIRECT, GROUP
from tests.archives.phone import Phone, read, said
from tests.growth import assert_linear

SECOND = 700_000_000 * 10**9


def test_a_row_synced_again_under_a_new_guid_counts_once(phone: Phone) -> None:
    hare = phone.handle("Hare")
    chat = phone.chat("c", members=(hare,))
    for date in (SECOND, SECOND + 1, SECOND + 999_999_999):
        phone.message(chat, {"text": "Speed is key!", "handle_id": hare, "date": date})
    sessions, dropped = read(phone)
    assert said(sessions) == [[("Hare", "Speed is key!")]]
    assert dropped == {"the same message again": 2}


def test_the_same_again_a_second_later_is_said_twice(phone: Phone) -> None:
    chat = phone.chat("c")
    for date in (SECOND, SECOND + 10**9):
        phone.message(chat, {"text": "Speed is key!", "date": date})
    assert read(phone)[1] == {}


def test_two_members_of_a_group_may_say_the_same_in_one_second(phone: Phone) -> None:
    hare, owl = phone.handle("Hare"), phone.handle("Owl")
    chat = phone.chat("c", GROUP, members=(hare, owl))
    for row in ({"handle_id": hare}, {"handle_id": owl}, {"is_from_me": 1}):
        phone.message(chat, {"text": "Hurray!", "date": SECOND, **row})
    assert said(read(phone)[0]) == [[("Hare", "Hurray!"), ("Owl", "Hurray!"), ("me", "Hurray!")]]


@pytest.mark.parametrize("order", [(1, 0), (0, 1)])
def test_a_twin_that_came_back_as_the_others_is_the_owners(phone: Phone, order: tuple[int, int]) -> None:
    hare = phone.handle("Hare")
    chat = phone.chat("c", DIRECT, members=(hare,))
    phone.message(chat, {"text": "before", "date": SECOND, "handle_id": hare})
    for is_from_me in order:
        phone.message(chat, {"text": "mine", "date": SECOND + 5, "is_from_me": is_from_me, "handle_id": hare})
    sessions, dropped = read(phone)
    assert said(sessions) == [[("Hare", "before"), ("me", "mine")]]
    assert dropped == {"the same message again": 1}


def test_both_may_say_the_same_in_one_second_if_not_in_one_instant(phone: Phone) -> None:
    hare = phone.handle("Hare")
    chat = phone.chat("c", DIRECT, members=(hare,))
    for is_from_me, date in ((1, SECOND), (0, SECOND + 10**6)):
        phone.message(chat, {"text": "Ha", "date": date, "is_from_me": is_from_me, "handle_id": hare})
    assert said(read(phone)[0]) == [[("me", "Ha"), ("Hare", "Ha")]]


def test_messages_without_a_date_are_no_twins(phone: Phone) -> None:
    chat = phone.chat("c")
    for _ in range(3):
        phone.message(chat, {"text": "when?", "date": None})
    assert len(read(phone)[0][0].messages) == 3


@pytest.mark.parametrize(("seconds", "kept"), [(0, 1), (90, 1), (91, 2)])
def test_a_link_and_its_preview_are_one_message_within_ninety_seconds(phone: Phone, seconds: int, kept: int) -> None:
    chat = phone.chat("c")
    preview = {"balloon_bundle_id": "com.apple.messages.URLBalloonProvider"}
    phone.message(chat, {"text": "https://example.test", "date": SECOND})
    phone.message(chat, {"text": "https://example.test", "date": SECOND + seconds * 10**9, **preview})
    assert len(read(phone)[0][0].messages) == kept


def test_many_messages_of_one_second_are_compared_in_linear_time(phone: Phone) -> None:
    chat = phone.chat("c", GROUP)
    for number in range(20_000):
        phone.message(chat, {"text": str(number % 10_000), "date": SECOND})
    sessions, dropped = read(phone)
    assert len(sessions[0].messages) == dropped["the same message again"] == 10_000


def test_many_messages_of_one_instant_between_two_are_compared_in_linear_time(phone: Phone) -> None:
    people, database = People([(1, "Hare", "")]), Database(phone.path, phone.db)

    def work(count: int) -> Callable[[], object]:
        rows: list[Row] = [(SECOND // 1000, number, 0, number % 2, 1, b"%d" % number, None) for number in range(count)]
        return lambda: list(Speech(database, people, set(), "drop", is_direct=True).hear(rows))

    assert_linear(work, 1_000)
