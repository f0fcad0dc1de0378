"""The notebook preset: a session is an example as it is, as LangChain's fine-tuning notebooks make it.

The result is that of langchain_community.adapters.openai.convert_messages_for_finetuning; a test holds this against the
installed package. Nothing is trimmed: an example may begin or end with anybody's turn.
"""

from typing import Literal, NotRequired, TypedDict

from pipeline.chats.session import Session


class Turn(TypedDict):
    """One message of an example; weight 0 keeps an assistant's from being learnt."""

    role: Literal["system", "user", "assistant"]
    content: str
    weight: NotRequired[Literal[0, 1]]


class Example(TypedDict):
    """One line of a training file, in OpenAI's chat format."""

    messages: list[Turn]


def to_example(session: Session, system_prompt: str | None) -> Example | None:
    """Turn a mapped session into an example, `system_prompt` in front; None where the assistant says nothing.

    A message whose role was never set counts as the user's.
    """
    turns: list[Turn] = [{"role": message.role or "user", "content": message.content} for message in session.messages]
    if not any(turn["role"] == "assistant" for turn in turns):
        return None
    if system_prompt is not None:
        turns.insert(0, {"role": "system", "content": system_prompt})
    return {"messages": turns}
