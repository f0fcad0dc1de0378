from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dataset.checks import check_example, check_preference, too_few_to_learn, too_long_to_learn

USER = {"role": "user", "content": "Hi"}
ASSISTANT = {"role": "assistant", "content": "Hello"}
ROLES = "`role` is not one of system, developer, user, assistant, tool, function"


def example(*messages: object) -> dict[str, object]:
    return {"messages": list(messages)}


@pytest.mark.parametrize(
    "good",
    [
        example(USER, ASSISTANT),
        example(ASSISTANT),
        example(ASSISTANT, USER),
        example({"role": "system", "content": ""}, {"role": "developer", "content": "x", "name": "y"}, ASSISTANT),
        example({**ASSISTANT, "weight": 0}, {**ASSISTANT, "weight": 1}),
        example({**ASSISTANT, "weight": None}),
        example({"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url"}]}, ASSISTANT),
        example({"role": "assistant", "content": None, "tool_calls": [{}]}),
        example({"role": "assistant", "function_call": {}}),
        example({"role": "tool", "content": "4", "tool_call_id": "call_1"}, ASSISTANT),
        example({"role": "function", "content": "4", "name": "add"}, ASSISTANT),
        {"messages": [ASSISTANT], "tools": [], "parallel_tool_calls": False, "functions": None},
    ],
)
def test_what_openai_accepts_passes(good: object) -> None:
    assert check_example(good) is None


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ([], "not an object"),
        ({}, "`messages` is not a list with at least one message"),
        ({"messages": []}, "`messages` is not a list with at least one message"),
        ({"messages": "Hi"}, "`messages` is not a list with at least one message"),
        ({"messages": [ASSISTANT], "prompt": "x"}, "unknown key `prompt`"),
        ({"messages": [ASSISTANT], "a\nb": 1}, "unknown key `a\\nb`"),
        ({"messages": [ASSISTANT], "x" * 50: 1}, f"unknown key `{'x' * 39}…`"),
        ({"messages": [ASSISTANT], "tools": {}}, "`tools` is not a list"),
        (example(USER), "no assistant message to learn from"),
        (example(USER, {**ASSISTANT, "weight": 0}), "no assistant message to learn from"),
        (example("Hi"), "message 1: not an object"),
        (example(ASSISTANT, {"content": "Hi"}), f"message 2: {ROLES}"),
        (example({"role": "bot", "content": "Hi"}), f"message 1: {ROLES}"),
        (example({"role": ["user"], "content": "Hi"}), f"message 1: {ROLES}"),
        (example({**USER, "weight": 1}, ASSISTANT), "message 1: `weight` is for assistant messages only"),
        (example({**ASSISTANT, "weight": 2}), "message 1: `weight` is neither 0 nor 1"),
        (example({**ASSISTANT, "weight": True}), "message 1: `weight` is neither 0 nor 1"),
        (example({**ASSISTANT, "weight": 0.5}), "message 1: `weight` is neither 0 nor 1"),
        (example({**ASSISTANT, "weight": "1"}), "message 1: `weight` is neither 0 nor 1"),
        (example({**USER, "time": "now"}, ASSISTANT), "message 1: unknown key `time` for role user"),
        (example({"role": "user"}, ASSISTANT), "message 1: no `content`"),
        (example({"role": "assistant", "content": None}), "message 1: no `content`"),
        (example({"role": "assistant", "content": 4}), "message 1: `content` is neither text nor a list of parts"),
        (example({"role": "assistant", "content": []}), "message 1: `content` is neither text nor a list of parts"),
        (
            example({"role": "user", "content": [{"type": "text"}]}, ASSISTANT),
            "message 1: a part of `content` has no `type`, or is text without `text`",
        ),
        (
            example({"role": "assistant", "content": None, "tool_calls": []}),
            "message 1: `tool_calls` is not a list with at least one call",
        ),
        (
            example({"role": "tool", "content": "4"}, ASSISTANT),
            "message 1: no `tool_call_id`, which role tool needs",
        ),
        (example({"role": "function", "content": "4"}, ASSISTANT), "message 1: no `name`, which role function needs"),
        (example({**USER, "name": 7}, ASSISTANT), "message 1: `name` is not text"),
    ],
)
def test_the_first_broken_rule_is_named(bad: object, reason: str) -> None:
    assert check_example(bad) == reason


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["user", "assistant", "tool"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "weight", "name", "type", "text", "x"]), inner)
    ),
)


@given(st.fixed_dictionaries({"messages": JSON}) | JSON)
def test_no_json_makes_the_check_itself_fail(value: object) -> None:
    assert isinstance(check_example(value), str | None)


USER = {"role": "user", "content": "Who won?"}
PAIR = {"input": {"messages": [USER]}, "preferred_output": [ASSISTANT], "non_preferred_output": [ASSISTANT]}


@pytest.mark.parametrize(
    "good",
    [
        PAIR,
        {**PAIR, "input": {"messages": [USER, ASSISTANT, USER], "tools": [], "parallel_tool_calls": True}},
    ],
)
def test_a_pair_of_answers_passes(good: object) -> None:
    assert check_preference(good) is None


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ([], "not an object"),
        ({"messages": [USER, ASSISTANT]}, "no `input`"),
        ({"input": {"messages": [USER]}, "preferred_output": [ASSISTANT]}, "no `non_preferred_output`"),
        ({**PAIR, "prompt": ""}, "unknown key `prompt`"),
        ({**PAIR, "input": [USER]}, "`input` is not an object"),
        ({**PAIR, "input": {"messages": [USER], "seed": 1}}, "unknown key `seed` in `input`"),
        ({**PAIR, "input": {"messages": []}}, "`input.messages` is not a list with at least one message"),
        ({**PAIR, "input": {"messages": [{"role": "user"}]}}, "message 1 of `input`: no `content`"),
        ({**PAIR, "preferred_output": ASSISTANT}, "`preferred_output`: not a list of one message"),
        ({**PAIR, "preferred_output": []}, "`preferred_output`: not a list of one message"),
        ({**PAIR, "preferred_output": [ASSISTANT, ASSISTANT]}, "`preferred_output`: not a list of one message"),
        ({**PAIR, "non_preferred_output": ["x"]}, "`non_preferred_output`: not an object"),
        ({**PAIR, "non_preferred_output": [USER]}, "`non_preferred_output`: its message is not the assistant's"),
    ],
)
def test_a_pair_that_openai_refuses_is_named_with_its_rule(bad: object, reason: str) -> None:
    assert check_preference(bad) == reason


def test_too_little_to_learn_from_is_said_with_its_numbers() -> None:
    few = "OpenAI and the embedded server refuse fewer than 10 examples. Load more conversations."
    assert too_few_to_learn(1, 1) == f"WARNING: only 1 example with 1 reply to learn; {few}"
    assert too_few_to_learn(9, 40) == f"WARNING: only 9 examples with 40 replies to learn; {few}"
    assert too_few_to_learn(10, 9) == (
        "WARNING: only 9 replies to learn, which teaches next to nothing. Load more conversations."
    )
    assert too_few_to_learn(10, 10) is None


def test_replies_that_the_trainer_will_leave_out_are_told_before_anything_is_sent() -> None:
    assert too_long_to_learn(0, 0, 148, 2048) is None
    assert too_long_to_learn(2, 0, 148, 2048) == (
        "2 examples are longer than the 2,048 tokens that the trainer takes, and will be cut: no reply is lost by that."
    )
    assert too_long_to_learn(1, 72, 148, 2048) == (
        "WARNING: 1 example is longer than the 2,048 tokens that the trainer takes, and will be cut: about 72 of 148 "
        "replies will not be learnt. `convert.preset: texting` makes examples that fit."
    )
    assert str(too_long_to_learn(1, 72, 148, 2048, "ready")).endswith(
        "about 72 of 148 replies will not be learnt. Shorten them, or make several of one."
    )
