"""Walks through /v1/chat/completions and /v1/completions."""

from openai.types.chat.chat_completion import ChoiceLogprobs

from tests.conformance.api import Api, Case
from tests.server.harness import BASE


async def _whole(api: Api) -> None:
    answer = await api.ask(
        lambda c: c.chat.completions.create(model=BASE, messages=[{"role": "user", "content": "What is your motto?"}])
    )

    assert answer.choices[0].message.content == "I am a language model, so I have no motto of my own."
    assert answer.choices[0].finish_reason == "stop"


async def _stream(api: Api) -> None:
    chunks = await api.all(
        lambda c: c.chat.completions.create(
            model=BASE,
            messages=[{"role": "user", "content": "What is your motto?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )

    said = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert said == "I am a language model, so I have no motto of my own."
    assert chunks[-1].usage.completion_tokens == len(said.split())


def _tokens(logprobs: ChoiceLogprobs | None) -> list[str]:
    return [token.token for token in (logprobs and logprobs.content) or ()]


async def _odds(api: Api) -> None:
    answer = await api.ask(
        lambda c: c.chat.completions.create(
            model=BASE, messages=[{"role": "user", "content": "Motto?"}], logprobs=True, top_logprobs=2, max_tokens=3
        )
    )

    assert _tokens(answer.choices[0].logprobs) == ["I", " am", " a"]
    assert answer.choices[0].finish_reason == "length"


async def _streamed_odds(api: Api) -> None:
    chunks = await api.all(
        lambda c: c.chat.completions.create(
            model=BASE, messages=[{"role": "user", "content": "Motto?"}], logprobs=True, n=2, stop=" a", stream=True
        )
    )

    assert [token for chunk in chunks for token in _tokens(chunk.choices[0].logprobs)] == ["I"] * 2
    assert [c.choices[0].index for c in chunks if c.choices[0].finish_reason == "stop"] == [0, 1]


async def _every_parameter(api: Api) -> None:
    answer = await api.ask(
        lambda c: c.chat.completions.create(
            model=BASE,
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
                {"role": "user", "content": "Motto?", "name": "hare"},
                {"role": "assistant", "content": "Slow.", "refusal": None},
                {"role": "user", "content": "Really?"},
            ],
            frequency_penalty=1.5,
            max_completion_tokens=50,
            n=3,
            presence_penalty=-1.5,
            seed=7,
            stop=["no such thing"],
            temperature=0.5,
            top_p=0.9,
            user="me",
        )
    )

    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def _tools(api: Api) -> None:
    refused = await api.refused(
        lambda c: c.chat.completions.create(
            model=BASE,
            messages=[{"role": "user", "content": "Motto?"}],
            tools=[{"type": "function", "function": {"name": "motto"}}],
        )
    )

    assert refused == {
        "status": 400,
        "message": "`tools` is not supported by this server.",
        "type": "invalid_request_error",
        "param": "tools",
        "code": "unsupported_parameter",
    }


async def _no_model(api: Api) -> None:
    refused = await api.refused(
        lambda c: c.chat.completions.create(model="gone", messages=[{"role": "user", "content": "Motto?"}])
    )

    assert refused == {
        "status": 404,
        "message": "The model `gone` does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


async def _text(api: Api) -> None:
    # Without `echo`: before its first token nothing stands, and the SDK's types know no null there, which OpenAI sends.
    answer = await api.ask(
        lambda c: c.completions.create(
            model=BASE,
            prompt=["What is", "your motto?"],
            n=2,
            best_of=1,
            max_tokens=2,
            logprobs=1,
            seed=7,
            stop=["no such thing"],
            temperature=0.5,
            top_p=0.9,
            frequency_penalty=0.5,
            presence_penalty=0.5,
            user="me",
        )
    )

    assert [(choice.index, choice.text, choice.finish_reason) for choice in answer.choices] == [
        (index, "I am", "length") for index in range(4)
    ]
    assert answer.choices[3].logprobs is not None
    assert answer.choices[3].logprobs.tokens == ["I", " am"]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (4, 8)


CASES = [
    Case("an answer comes in one piece", ("POST /v1/chat/completions",), _whole),
    Case("an answer is streamed", ("POST /v1/chat/completions",), _stream),
    Case("an answer tells the odds of its tokens", ("POST /v1/chat/completions",), _odds),
    Case("two streamed answers tell the odds of their tokens", ("POST /v1/chat/completions",), _streamed_odds),
    Case("every parameter and role of a chat is taken", ("POST /v1/chat/completions",), _every_parameter),
    Case("texts are gone on with, several times each", ("POST /v1/completions",), _text),
    Case("a chat with tools is refused by name", (), _tools),
    Case("a chat with an unknown model is not found", (), _no_model),
]
