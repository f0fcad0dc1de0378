"""/v1/completions on the scripted engine: prompts in every form, what is refused, and how it is bounded."""

import threading

import openai
import pytest

from pipeline.server.requests import MAX_PROMPT_TOKENS, MAX_PROMPTS
from pipeline.testing import MockServer
from tests.server.harness import BASE, connect


def _create(client: openai.OpenAI, **changes: object) -> openai.types.Completion:
    request: dict[str, object] = {"model": BASE, "prompt": "Hello there", "max_tokens": 2, **changes}
    return client.completions.create(**request)  # type: ignore[call-overload,no-any-return]  # keywords as a dict


@pytest.mark.parametrize(
    ("prompt", "texts", "tokens"),
    [
        ("a b", ["a b"], 2),
        (["a b", "c"], ["a b", "c"], 3),
        ([5, 6, 7], ["<5><6><7>"], 3),
        ([[5], [6, 7]], ["<5>", "<6><7>"], 3),
    ],
    ids=["a text", "texts", "tokens", "lists of tokens"],
)
def test_a_prompt_has_four_forms_and_is_read_once_for_all_its_answers(
    client: openai.OpenAI, prompt: object, texts: list[str], tokens: int
) -> None:
    answer = _create(client, prompt=prompt, echo=True, max_tokens=0, n=2)
    assert [(each.index, each.text) for each in answer.choices] == list(
        enumerate(text for text in texts for _ in range(2))
    )
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (
        tokens, 0, tokens,
    )  # fmt: skip


def test_more_prompts_than_are_made_at_once_come_back_in_their_order(client: openai.OpenAI) -> None:
    answer = _create(client, prompt=[f"p{number}" for number in range(100)], echo=True, max_tokens=1)
    assert [each.text for each in answer.choices] == [f"p{number}I" for number in range(100)]


def test_sixteen_tokens_are_made_unless_the_request_says(client: openai.OpenAI) -> None:
    answer = client.completions.create(model=BASE, prompt="x", logprobs=0)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].logprobs is not None
    assert len(answer.choices[0].logprobs.tokens or ()) == 13  # all words of the answer


def test_usage_comes_last_in_a_stream_that_asks_for_it(shared: MockServer) -> None:
    # Not strict: OpenAI sends null for `finish_reason` until the end, which the SDK's types do not know.
    client = connect(shared, strict=False)
    asked = {"model": BASE, "prompt": ["a", "b"], "max_tokens": 2, "stream": True}
    pieces = list(client.completions.create(stream_options={"include_usage": True}, **asked))  # type: ignore[call-overload]
    said = {index: "".join(c.text for p in pieces for c in p.choices if c.index == index) for index in (0, 1)}
    assert said == {0: "I am", 1: "I am"}
    assert (pieces[-1].choices, pieces[-1].usage.total_tokens) == ([], 6)


TOKENS_TOO_MANY = f"The prompts hold more than {MAX_PROMPT_TOKENS} tokens in all. Send fewer at a time."
FORMS = "prompt: Expected a string, a list of strings, a list of token ids, or a list of such lists."


@pytest.mark.parametrize(
    ("changes", "message", "param", "code"),
    [
        ({"prompt": None}, FORMS, "prompt", "invalid_type"),
        ({"prompt": [True, False]}, FORMS, "prompt", "invalid_type"),
        ({"prompt": ["a", 1]}, FORMS, "prompt", "invalid_type"),
        ({"prompt": [[1], ["a"]]}, FORMS, "prompt", "invalid_type"),
        ({"prompt": {"a": 1}}, FORMS, "prompt", "invalid_type"),
        ({"prompt": [1, -1]}, "prompt: Token ids begin at 0.", "prompt", "invalid_type"),
        (
            {"prompt": []},
            "prompt: List should have at least 1 item after validation, not 0.",
            "prompt",
            "empty_array",
        ),
        (
            {"prompt": ["x"] * (MAX_PROMPTS + 1)},
            f"prompt: List should have at most {MAX_PROMPTS} items after validation, not {MAX_PROMPTS + 1}.",
            "prompt",
            "array_above_max_length",
        ),
        (
            {"prompt": ["x"] * 1025, "n": 2},
            f"`n` answers to each prompt are more than {MAX_PROMPTS} in all.",
            "n",
            None,
        ),
        ({"prompt": [[1] * 33000] * 2}, TOKENS_TOO_MANY, "prompt", "request_too_large"),
        ({"prompt": "x " * (MAX_PROMPT_TOKENS + 1)}, TOKENS_TOO_MANY, "prompt", "request_too_large"),
        (
            {"prompt": ""},
            "prompt: expected at least one token. Send a text, or the ids of its tokens.",
            "prompt",
            None,
        ),
        ({"logprobs": 6}, "logprobs: Input should be less than or equal to 5.", "logprobs", "integer_above_max_value"),
        ({"logprobs": True}, "logprobs: Input should be a valid integer.", "logprobs", "invalid_type"),
        ({"best_of": 2}, "`best_of` is not supported by this server.", "best_of", "unsupported_parameter"),
        ({"suffix": "x"}, "`suffix` is not supported by this server.", "suffix", "unsupported_parameter"),
        (
            {"extra_body": {"colour": 1}},
            "Unrecognized request argument supplied: colour",
            "colour",
            "unknown_parameter",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    client: openai.OpenAI, changes: dict[str, object], message: str, param: str, code: str | None
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        _create(client, **changes)
    assert refused.value.body == {
        "message": message,
        "type": "invalid_request_error",
        "param": param,
        "code": code,
    }


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        _create(client, model="gone")
    assert refused.value.code == "model_not_found"


def test_chats_go_on_beside_a_request_of_many_prompts(client: openai.OpenAI) -> None:
    answers: list[int] = []
    prompts = ["x " * 200] * 300
    many = threading.Thread(target=lambda: answers.append(len(_create(client, prompt=prompts).choices)))
    many.start()
    said = client.chat.completions.create(model=BASE, messages=[{"role": "user", "content": "x"}], max_tokens=1)
    many.join(60)
    assert (said.choices[0].message.content, answers) == ("I", [300])
