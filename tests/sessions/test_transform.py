import time

from hypothesis import example, given
from hypothesis import strategies as st
from langchain_community.chat_loaders.utils import map_ai_messages_in_session, merge_chat_runs_in_session
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, HumanMessage

from pipeline.sessions.session import Message, Session
from pipeline.sessions.transform import map_roles
from tests.sessions.files import merge_session

SENDERS = st.sampled_from(["me", "Hare", "Tortoise", ""])
CONTENTS = st.text(st.sampled_from("ab \n\t\u00a0\u200e🐢"), max_size=4)
SESSIONS = st.lists(st.tuples(SENDERS, CONTENTS), max_size=12)
Turns = list[tuple[str, str]]


def ours(turns: Turns) -> Session:
    messages = [Message(sender, sender == "me", f"time {n}", text) for n, (sender, text) in enumerate(turns)]
    return Session("id", "group", "title", messages)


def langchains(turns: Turns) -> ChatSession:
    return ChatSession(messages=[HumanMessage(text, additional_kwargs={"sender": sender}) for sender, text in turns])


@given(SESSIONS, st.sampled_from(["\n\n", "\n", "", " ", " / ", "\n>>> "]))
@example([("Hare", " \n"), ("Hare", ""), ("Hare", " a ")], " ")
@example([("Hare", " a "), ("Hare", " "), ("Hare", " b ")], "")
def test_merging_gives_what_langchain_gives(turns: Turns, delimiter: str) -> None:
    theirs = merge_chat_runs_in_session(langchains(turns), delimiter)
    merged = merge_session(ours(turns), delimiter)
    assert [(message.sender, message.content) for message in merged.messages] == [
        (message.additional_kwargs["sender"], message.content) for message in theirs["messages"]
    ]


@given(SESSIONS, SENDERS)
def test_mapping_gives_what_langchain_gives(turns: Turns, sender: str) -> None:
    theirs = map_ai_messages_in_session(langchains(turns), sender)
    mapped = map_roles(ours(turns), sender)
    assert [(message.role, message.content) for message in mapped.messages] == [
        ("assistant" if isinstance(message, AIMessage) else "user", message.content) for message in theirs["messages"]
    ]


def test_a_merged_message_has_the_time_of_its_first() -> None:
    merged = merge_session(ours([("Hare", "Go!"), ("Hare", "Now!"), ("Tortoise", "Soon.")]), "\n\n")
    assert merged == Session(
        "id",
        "group",
        "title",
        [
            Message("Hare", False, "time 0", "Go!\n\nNow!", merged=2, until="time 1"),
            Message("Tortoise", False, "time 2", "Soon."),
        ],
    )


def test_a_long_run_is_joined_in_linear_time() -> None:
    session = ours([("Hare", "x" * 100)] * 50_000)
    start = time.process_time()
    merged = merge_session(session, "\n")
    assert time.process_time() - start < 5  # far below 1 s; copying the text so far each time takes a minute
    assert len(merged.messages[0].content) == 50_000 * 101 - 1


def test_several_senders_can_be_the_assistant_and_me_is_the_owner_by_any_name() -> None:
    session = Session(
        "id",
        "direct",
        None,
        [Message("Snail", True, None, "a"), Message("Hare", False, None, "b"), Message("Owl", False, None, "c")],
    )
    assert [message.role for message in map_roles(session, ["me", "Owl"]).messages] == [
        "assistant",
        "user",
        "assistant",
    ]
    assert [message.role for message in map_roles(session, "Snail").messages] == ["assistant", "user", "user"]
    assert [message.role for message in session.messages] == [None, None, None]
