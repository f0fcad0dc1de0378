from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.archives.filters import Chosen, Filters, require_all_found
from pipeline.errors import InputError
from pipeline.sessions.session import Message, Person, Session
from pipeline.sessions.stream import Stream, streamed, whole

HARE, OWL = "+15550100100", "owl@wood.example"
PEOPLE = {
    HARE: Person("Friend-1", [HARE, "hare@garden.example"]),
    OWL: Person("Friend-2", [OWL]),
    "Tortoise": Person("Tortoise", ["Tortoise"]),
}


def message(sender: str, content: str, day: str | None = "2023-08-28", reply_to: str | None = None) -> Message:
    time = f"{day}T12:00:00Z" if day else None
    return Message(sender, sender == "me", time, content, None, reply_to or msgspec.UNSET)


def direct(sender: str, *messages: Message) -> Session:
    said = list(messages) or [message(sender, "a"), message("me", "b")]
    return Session(f"any;-;{sender}", "direct", None, said, {sender: PEOPLE[sender]}, "iMessage")


def group(*messages: Message, members: tuple[str, ...] = (HARE, OWL, "Tortoise")) -> Session:
    return Session("any;+;1", "group", "Race", list(messages), {name: PEOPLE[name] for name in members}, "iMessage")


def keep(
    sessions: Iterable[Session], filters: Filters, dropped: Counter[str], *, strict: bool = True
) -> Iterator[Session]:
    """What is left of each session, lazily; message by message, each is a block of its own."""
    chosen = Chosen(filters, dropped)
    for stream in chosen.of(map(in_small_blocks, sessions)):
        session = whole(stream)
        if session.messages:
            yield session
    if strict:
        require_all_found(filters, chosen.found)


def in_small_blocks(session: Session) -> Stream:
    return Stream(streamed(session).session, ([message] for message in session.messages))


def kept(filters: Filters, *sessions: Session) -> tuple[list[tuple[str, list[tuple[str, str]]]], dict[str, int]]:
    dropped: Counter[str] = Counter()
    before = sum(len(session.messages) for session in sessions)
    found = list(keep(iter(sessions), filters, dropped))
    assert sum(len(session.messages) for session in found) + dropped.total() == before
    return [(s.id, [(m.sender, m.content) for m in s.messages]) for s in found], dict(dropped)


@pytest.mark.parametrize("spelling", [HARE, "(555) 010-0100", "Hare@Garden.example"])
def test_somebody_excluded_is_gone_from_every_chat_by_any_of_their_addresses(spelling: str) -> None:
    race = group(message(HARE, "Hurry"), message("me", "No"), message(OWL, "Hoo"))
    assert kept(Filters(exclude_people=[spelling]), direct(HARE), direct(OWL), race) == (
        [("any;-;owl@wood.example", [(OWL, "a"), ("me", "b")]), ("any;+;1", [("me", "No"), (OWL, "Hoo")])],
        {"by or with exclude_people": 3},
    )
    (left,) = keep([race], Filters(exclude_people=[spelling]), Counter())
    assert left.people.keys() == {OWL, "Tortoise"}


def test_a_chat_in_which_only_the_owner_spoke_to_somebody_excluded_is_gone() -> None:
    assert kept(Filters(exclude_people=[HARE]), direct(HARE, message("me", "Are you there?"))) == (
        [],
        {"by or with exclude_people": 1},
    )


def test_a_group_of_nobody_but_people_excluded_is_gone() -> None:
    race = group(message(HARE, "Hurry"), message("me", "No"), members=(HARE, OWL))
    assert kept(Filters(exclude_people=[HARE, OWL]), race, direct(OWL)) == ([], {"by or with exclude_people": 4})


def test_what_somebody_excluded_said_is_not_quoted_either() -> None:
    race = group(
        message(HARE, "x" * 200),
        message(OWL, "Said by Owl"),
        message("me", "to Hare", reply_to="x" * 120),
        message("me", "to Owl", reply_to="Said by Owl"),
        message("me", "to nobody", reply_to="not in the archive"),
    )
    (left,) = keep([race], Filters(exclude_people=[HARE]), Counter())
    assert [m.reply_to for m in left.messages] == [msgspec.UNSET, msgspec.UNSET, "Said by Owl", msgspec.UNSET]


def test_only_people_keeps_the_owner_and_them() -> None:
    race = group(message(HARE, "Hurry"), message("me", "No"), message(OWL, "Hoo"), message("unknown", "?"))
    others = group(message("Tortoise", "Slow"), message("me", "Yes"), members=("Tortoise",))
    assert kept(Filters(only_people=["hare@garden.example"]), direct(HARE), direct(OWL), race, others) == (
        [(f"any;-;{HARE}", [(HARE, "a"), ("me", "b")]), ("any;+;1", [(HARE, "Hurry"), ("me", "No")])],
        {"not by only_people": 6},
    )


def test_of_a_chat_whose_owner_is_not_marked_both_sides_stay() -> None:
    chat = Session("whatsapp-1", "direct", None, [message("Hare", "a"), message("Tortoise", "b")])
    chat.people = {"Hare": Person("Hare"), "Tortoise": Person("Tortoise")}
    assert kept(Filters(only_people=["Hare"]), chat)[0] == [("whatsapp-1", [("Hare", "a"), ("Tortoise", "b")])]
    assert kept(Filters(exclude_people=["hare"]), chat) == ([], {"by or with exclude_people": 2})


def test_exclude_people_wins_over_only_people() -> None:
    assert kept(Filters(only_people=[HARE], exclude_people=[HARE]), direct(HARE)) == (
        [],
        {"by or with exclude_people": 2},
    )


def test_the_owner_can_be_excluded_from_a_group() -> None:
    race = group(message(HARE, "Hurry"), message("me", "No"))
    assert kept(Filters(exclude_people=["me"]), race) == (
        [("any;+;1", [(HARE, "Hurry")])],
        {"by or with exclude_people": 1},
    )


@pytest.mark.parametrize("name", ["any;+;1", "Race"])
def test_only_chats_goes_by_id_or_title(name: str) -> None:
    race = group(message("me", "No"))
    assert kept(Filters(only_chats=[name]), direct(HARE), race) == (
        [("any;+;1", [("me", "No")])],
        {"not in only_chats": 2},
    )


@pytest.mark.parametrize(("kind", "left"), [("direct", f"any;-;{HARE}"), ("group", "any;+;1")])
def test_kinds_are_told_apart(kind: str, left: str) -> None:
    found, dropped = kept(Filters(kinds=[kind]), direct(HARE), group(message("me", "b"), message(OWL, "c")))
    assert [session_id for session_id, _ in found] == [left]
    assert dropped == {"not of these kinds": 2}


def test_the_first_and_the_last_day_are_read_whole() -> None:
    days = ["2023-08-26", "2023-08-27", "2023-08-28", "2023-08-29", None]
    chat = direct(HARE, *(message("me", str(day), day) for day in days))
    assert kept(Filters(since=date(2023, 8, 27), until=date(2023, 8, 28)), chat) == (
        [(f"any;-;{HARE}", [("me", "2023-08-27"), ("me", "2023-08-28")])],
        {"before since": 1, "after until": 1, "without a date": 1},
    )


def test_a_session_with_nothing_left_is_left_out() -> None:
    assert kept(Filters(since=date(2024, 1, 1)), direct(HARE)) == ([], {"before since": 2})


@pytest.mark.parametrize(
    ("filters", "error"),
    [
        (
            Filters(exclude_people=["Snail"]),
            "load.exclude_people: nobody in the archive has this name or address, got Snail. "
            "Take it out or correct it; `finetune senders CONFIG` lists who is there.",
        ),
        (
            Filters(only_people=["x" * 60_000]),
            f"load.only_people: nobody in the archive has this name or address, got {'x' * 299}…. "
            "Take it out or correct it; `finetune senders CONFIG` lists who is there.",
        ),
        (
            Filters(only_people=[HARE, "+15550100199"]),
            "load.only_people: nobody in the archive has this name or address, got +15550100199. "
            "Take it out or correct it; `finetune senders CONFIG` lists who is there.",
        ),
        (
            Filters(only_chats=["Race", "Rice"]),
            "load.only_chats: no chat has this id or title, got Rice. "
            "Take it out or correct it; `finetune senders CONFIG` with --chats lists them.",
        ),
    ],
)
def test_a_filter_that_names_nobody_is_a_mistake_unless_one_only_looks(filters: Filters, error: str) -> None:
    sessions = [direct(HARE), group(message("me", "No"))]
    with pytest.raises(InputError) as caught:
        list(keep(sessions, filters, Counter()))
    assert str(caught.value) == error
    list(keep(sessions, filters, Counter(), strict=False))


def test_sessions_are_filtered_one_at_a_time() -> None:
    read = []

    def sessions() -> Iterator[Session]:
        for session in (direct(HARE), direct(OWL)):
            read.append(session.id)
            yield session

    next(keep(sessions(), Filters(kinds=["direct"]), Counter()))
    assert read == [f"any;-;{HARE}"]


@given(
    st.lists(
        st.tuples(st.sampled_from([HARE, OWL, "Tortoise", "me", "unknown"]), st.sampled_from(["2023-08-28", None]))
    ),
    st.sets(st.sampled_from([HARE, OWL, "me"])),
    st.sets(st.sampled_from([HARE, OWL])),
    st.booleans(),
)
def test_every_message_is_kept_or_counted_and_nobody_excluded_speaks(
    said: list[tuple[str, str | None]], excluded: set[str], only: set[str], dated: bool
) -> None:
    sessions = [group(*(message(sender, "x", day) for sender, day in said)), direct(HARE), direct(OWL)]
    filters = Filters(sorted(only), sorted(excluded - {"me"}), since=date(2000, 1, 1) if dated else None)
    found, _ = kept(filters, *sessions)
    speakers = {sender for _, messages in found for sender, _ in messages}
    assert speakers.isdisjoint(excluded - {"me"})
    assert not only or speakers <= only | {"me"}
