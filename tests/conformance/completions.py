"""Walks through /v1/chat/completions."""

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


CASES = [
    Case("an answer comes in one piece", ("POST /v1/chat/completions",), _whole),
    Case("an answer is streamed", ("POST /v1/chat/completions",), _stream),
]
