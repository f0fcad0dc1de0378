"""Models as an evaluation asks them: what they answer, and how likely they find what somebody else said."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from pipeline.backends.client import Connection
from pipeline.models.messages import ChatMessage

if TYPE_CHECKING:
    import openai
    from openai.types import Completion
    from openai.types.chat import ChatCompletionMessageParam

    from pipeline.models.chat_format import ChatFormat

T = TypeVar("T")
WHERE = "evaluate"
_REFUSALS = frozenset({400, 403, 404, 405, 422, 501})
"""Statuses by which a server says that it does not do this at all, rather than not now."""


class Said(msgspec.Struct, frozen=True):
    """An answer. `ended` is False where it was cut off by the limit."""

    text: str
    ended: bool


class Odds(msgspec.Struct, frozen=True):
    """Of a text: the sum of -log p over its tokens, in nats, and how many tokens that are."""

    nats: float
    tokens: int


class Asked(msgspec.Struct, frozen=True):
    """What to score: all that the assistant says after `context`, which is `begun` and then `text`."""

    context: tuple[ChatMessage, ...]
    text: str
    begun: str = ""


class Models(Protocol):
    """What can be asked. None from either means: this backend does not do that for this model."""

    def answer(
        self, model: str, context: Sequence[ChatMessage], *, temperature: float, most_tokens: int, seed: int
    ) -> Said | None:
        """What the model says next."""

    def odds(self, model: str, asked: Sequence[Asked]) -> list[Odds] | None:
        """How likely the model finds each text."""

    def go_on(self, model: str, asked: Asked, most_tokens: int) -> Said | None:
        """How the model goes on after `asked.begun`, at temperature 0."""


class Backend:
    """The models of a run's backend, through the openai client.

    Likelihoods come from the legacy endpoint, /v1/completions with `echo` and `logprobs` (OpenAI API reference,
    completions). Its prompts are sent as token ids, so that each text is divided into tokens as it was in training.
    """

    def __init__(self, connection: Connection, chat_format: "ChatFormat | None") -> None:
        """`chat_format` is the base model's; None where it is not known here: then there are no likelihoods."""
        self._connection = connection
        self._format = chat_format
        self._no_odds: set[str] = set()
        _ = connection.client  # made here, before several threads ask

    def answer(  # noqa: D102 - see Models
        self, model: str, context: Sequence[ChatMessage], *, temperature: float, most_tokens: int, seed: int
    ) -> Said | None:
        messages: list[ChatCompletionMessageParam] = [_param(message) for message in context]

        def ask(client: "openai.OpenAI") -> Said:
            made = client.chat.completions.create(
                model=model,
                messages=messages,
                temperature=temperature,
                max_completion_tokens=most_tokens,
                seed=seed,
            )
            choice = made.choices[0]
            return Said(choice.message.content or "", choice.finish_reason != "length")

        return self._asked(ask)

    def odds(self, model: str, asked: Sequence[Asked]) -> list[Odds] | None:  # noqa: D102
        if self._format is None or model in self._no_odds:
            return None
        begun = [self._begun(each) for each in asked]
        prompts = [ids + self._words(each.begun + each.text, each) for ids, each in zip(begun, asked, strict=True)]

        def ask(client: "openai.OpenAI") -> list[Odds] | None:
            made = client.completions.create(
                model=model, prompt=prompts, echo=True, logprobs=0, max_tokens=0, temperature=0
            )
            return _odds_of(made, [len(ids) for ids in begun])

        found = self._asked(ask)
        if found is None:
            self._no_odds.add(model)
        return found

    def go_on(self, model: str, asked: Asked, most_tokens: int) -> Said | None:  # noqa: D102
        if self._format is None or model in self._no_odds:
            return None
        prompt = [self._begun(asked) + self._words(asked.begun, asked)]

        def ask(client: "openai.OpenAI") -> Said:
            made = client.completions.create(model=model, prompt=prompt, max_tokens=most_tokens, temperature=0)
            return Said(made.choices[0].text, made.choices[0].finish_reason != "length")

        return self._asked(ask)

    def _asked(self, ask: "Callable[[openai.OpenAI], T | None]") -> T | None:
        """The answer; None where the server says that it does not do this at all."""
        import openai

        def unless_refused(client: "openai.OpenAI") -> T | None:
            try:
                return ask(client)
            except openai.APIStatusError as error:
                if error.status_code in _REFUSALS:
                    return None
                raise

        with self._connection.listening(WHERE):
            return self._connection.ask(WHERE, unless_refused)

    def _begun(self, asked: Asked) -> list[int]:
        """Token ids up to where the assistant begins to speak."""
        return [] if self._format is None else self._format.prompt(asked.context)

    def _words(self, text: str, asked: Asked) -> list[int]:
        """Token ids of what it says, as in training."""
        if self._format is None or not text:
            return []
        ids = self._format.answer(asked.context, ChatMessage("assistant", text))
        return ids[: self._format.count([text])[0]]


def _param(message: ChatMessage) -> "ChatCompletionMessageParam":
    match message.role:
        case "system":
            return {"role": "system", "content": message.content}
        case "user":
            return {"role": "user", "content": message.content}
        case _:
            return {"role": "assistant", "content": message.content}


def _odds_of(made: "Completion", begins: Sequence[int]) -> list[Odds] | None:
    """Of each prompt the tokens behind its context; None where the server did not echo them."""
    choices = sorted(made.choices, key=lambda choice: choice.index)
    if len(choices) != len(begins):
        return None
    found = []
    for choice, begin in zip(choices, begins, strict=True):
        told = choice.logprobs.token_logprobs if choice.logprobs is not None else None
        if not told or len(told) <= begin:
            return None
        own = [odds for odds in told[begin:] if odds is not None]
        found.append(Odds(-sum(own), len(own)))
    return found
