"""Synthetic people, who write as differently as is wished, and a model that says what it is told to."""

import random
from collections.abc import Callable, Sequence

import msgspec

from pipeline.evaluation.asking import Asked, Odds, Said
from pipeline.evaluation.replies import Reply
from pipeline.models.messages import ChatMessage

_SHORT = "hey lol yeah gonna be late haha sure thing ok cool nah dude idk maybe tmrw see ya"
_LONG = "certainly i think that we should discuss this tomorrow kind regards however indeed perhaps the meeting"


def casual(seed: int) -> str:
    """Somebody who types small letters and smiles."""
    chosen = random.Random(f"casual {seed}")
    words = " ".join(chosen.choice(_SHORT.split()) for _ in range(chosen.randint(2, 12)))
    return words + chosen.choice(["", " :)", "!!"])


def formal(seed: int) -> str:
    """Somebody who writes whole sentences."""
    chosen = random.Random(f"formal {seed}")
    return " ".join(chosen.choice(_LONG.split()) for _ in range(chosen.randint(4, 16))).capitalize() + "."


def texts(write: Callable[[int], str], count: int, begin: int = 0) -> list[str]:
    return [write(number) for number in range(begin, begin + count)]


def replies(written: Sequence[str], system: str | None = "You are Theo.") -> list[Reply]:
    """As answers to questions that differ."""
    head = [ChatMessage("system", system)] if system else []
    return [
        Reply((*head, ChatMessage("user", f"What about number {number}?")), text, number + 1)
        for number, text in enumerate(written)
    ]


class Doll:
    """Stands for a backend: says what `says` says, and finds a text as likely as `nats` says, per token of a word each.

    Attributes:
        asked: every call, in order: what for, and of which model.
    """

    def __init__(
        self,
        says: Callable[[str, Sequence[ChatMessage], int], str | None],
        nats: Callable[[str, Asked], float] | None,
        goes_on: Callable[[Asked], str] = lambda _: "",
    ) -> None:
        self._says, self._nats, self._goes_on = says, nats, goes_on
        self.asked: list[tuple[str, str]] = []

    def answer(
        self, model: str, context: Sequence[ChatMessage], *, temperature: float, most_tokens: int, seed: int
    ) -> Said | None:
        assert temperature in (0.0, 0.8)
        self.asked.append(("answer", model))
        said = self._says(model, context, seed)
        return None if said is None else Said(said, len(said.split()) <= most_tokens)

    def odds(self, model: str, asked: Sequence[Asked]) -> list[Odds] | None:
        self.asked.append(("odds", model))
        if self._nats is None:
            return None
        found = []
        for each in asked:
            tokens = max(1, len((each.begun + each.text).split()))
            found.append(Odds(tokens * self._nats(model, each), tokens))
        return found

    def go_on(self, model: str, asked: Asked, most_tokens: int) -> Said | None:  # noqa: ARG002 - as it is asked
        self.asked.append(("go on", model))
        return None if self._nats is None else Said(self._goes_on(asked), ended=True)


def example(reply: Reply) -> bytes:
    """As a line of a training file."""
    turns = [{"role": message.role, "content": message.content} for message in reply.context]
    return msgspec.json.encode({"messages": [*turns, {"role": "assistant", "content": reply.text}]}) + b"\n"
