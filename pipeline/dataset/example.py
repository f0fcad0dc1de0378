"""A training example: one line of the training file."""

from typing import Literal, NotRequired, TypedDict


class Turn(TypedDict):
    """One message of an example; weight 0 keeps an assistant's from being learnt."""

    role: Literal["system", "user", "assistant"]
    content: str
    weight: NotRequired[Literal[0, 1]]


class Example(TypedDict):
    """One line of a training file, in OpenAI's chat format."""

    messages: list[Turn]
