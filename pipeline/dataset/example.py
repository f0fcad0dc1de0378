"""A training example: one line of the training file."""

from typing import Literal, NotRequired, TypedDict

import msgspec

from pipeline.models.example_rules import text_of


class Turn(TypedDict):
    """One message of an example; weight 0 keeps an assistant's from being learnt."""

    role: Literal["system", "user", "assistant"]
    content: str
    weight: NotRequired[Literal[0, 1]]


class Example(TypedDict):
    """One line of a training file, in OpenAI's chat format."""

    messages: list[Turn]


_decode = msgspec.json.Decoder(Example).decode


def as_text(line: bytes) -> Example:
    """A line of a training file to be shown or counted: what is no text stands in brackets."""
    try:
        return _decode(line)
    except msgspec.ValidationError:
        messages = msgspec.json.decode(line)["messages"]
    roles: dict[str, Literal["system", "assistant"]] = {
        "assistant": "assistant",
        "system": "system",
        "developer": "system",
    }
    turns: list[Turn] = []
    for message in messages:
        turn: Turn = {"role": roles.get(message["role"], "user"), "content": text_of(message)}
        if message.get("weight") == 0:
            turn["weight"] = 0
        turns.append(turn)
    return {"messages": turns}
