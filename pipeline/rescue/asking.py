"""The one place in this room that asks a model for an answer, which costs money: one request, never repeated here."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from pipeline.rescue.prompts import Prompt

if TYPE_CHECKING:
    import openai

_FRAME = 16  # tokens that a message takes beyond its text, and more than it does
_IMAGE = 50_000  # tokens; the most that one image takes (gpt-4o-mini, eight tiles: 48,169)


class Way(msgspec.Struct, frozen=True):
    """How to ask: greedily once, or `n` times at a temperature."""

    kind: str
    temperature: float
    n: int
    most_tokens: int

    def key(self, prompt: Prompt) -> str:
        """What an answer is kept by."""
        how = "greedy" if self.kind == "greedy" else f"{self.n} at {self.temperature:g}"
        return f"{prompt.id} {how}"

    def most_read(self, prompt: Prompt) -> int:
        """Tokens that the prompt has at most: a token is a byte or more."""
        text = len(msgspec.json.encode([prompt.messages, prompt.more]))
        contents = [message["content"] for message in prompt.messages if isinstance(message.get("content"), list)]
        parts = [part for content in contents for part in content if isinstance(part, dict)]
        images = sum(1 for part in parts if part.get("type") == "image_url")
        return text + _FRAME * len(prompt.messages) + _IMAGE * images


class Got(NamedTuple):
    """An answer as it came, and the headers that tell what is left."""

    response: dict[str, Any]
    headers: Mapping[str, str]


def ask(client: "openai.OpenAI", model: str, prompt: Prompt, way: Way, without: Collection[str]) -> Got:
    """Ask once.

    Args:
        client: without retries of its own.
        without: parameters that this model does not take.

    Raises:
        openai.APIError: whatever came instead of an answer.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": prompt.messages,
        **prompt.more,
        "temperature": way.temperature,
        "max_completion_tokens": way.most_tokens,
    }
    if way.kind == "greedy":
        body["logprobs"] = True
    else:
        body["n"] = way.n
    sent = {name: value for name, value in body.items() if name not in without}
    raw = client.chat.completions.with_raw_response.create(**sent)
    return Got(msgspec.json.decode(raw.content), raw.headers)
