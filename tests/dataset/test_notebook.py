from hypothesis import given
from hypothesis import strategies as st
from langchain_community.adapters.openai import convert_messages_for_finetuning
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from pipeline.dataset.checks import check_example
from pipeline.dataset.notebook import to_example
from pipeline.sessions.session import Message, Session

Turns = list[tuple[bool, str]]
SESSIONS = st.lists(st.tuples(st.booleans(), st.text()), max_size=6)


def ours(turns: Turns) -> Session:
    messages = [Message("x", False, None, text, "assistant" if spoken else "user") for spoken, text in turns]
    return Session("id", "group", None, messages)


def langchains(turns: Turns) -> ChatSession:
    messages: list[BaseMessage] = [AIMessage(text) if spoken else HumanMessage(text) for spoken, text in turns]
    return ChatSession(messages=messages)


@given(st.lists(SESSIONS, max_size=4))
def test_examples_are_what_langchain_makes_of_the_same_sessions(sessions: list[Turns]) -> None:
    examples = [to_example(ours(turns), None) for turns in sessions]
    theirs = convert_messages_for_finetuning(map(langchains, sessions))
    assert [example["messages"] for example in examples if example is not None] == theirs


@given(SESSIONS, st.none() | st.text())
def test_every_example_keeps_openais_rules(turns: Turns, system_prompt: str | None) -> None:
    example = to_example(ours(turns), system_prompt)
    assert (example is None) == (not any(spoken for spoken, _ in turns))
    assert example is None or check_example(example) is None


def test_the_system_prompt_comes_first() -> None:
    assert to_example(ours([(False, "Hi"), (True, "Hello")]), "Be slow.") == {
        "messages": [
            {"role": "system", "content": "Be slow."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
        ]
    }


def test_a_session_that_was_never_mapped_has_no_example() -> None:
    assert to_example(Session("id", "direct", None, [Message("x", False, None, "Hi")]), "Be slow.") is None
