"""What a chat engine is, and what all of them need: an answer in pieces, up to a stop string."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

from pipeline.errors import InputError
from pipeline.inference.protocol import Finish, ModelRef, Piece, Prompt, Sampling, TokenOdds
from pipeline.models.messages import ChatMessage


class ContextLengthError(InputError):
    """The conversation, or the prompt, does not fit into the model's context.

    Attributes:
        limit: of the model, in tokens.
        prompt_tokens: of the conversation as rendered.
    """

    def __init__(
        self,
        limit: int,
        prompt_tokens: int,
        *,
        at_least: bool = False,
        where: Literal["messages", "prompt"] = "messages",
    ) -> None:
        """`at_least`: the tokens were not counted, only that there are no fewer."""
        self.limit = limit
        self.prompt_tokens = prompt_tokens
        super().__init__(
            where,
            f"this model's context holds at most {limit} tokens",
            got=f"{'at least ' if at_least else ''}{prompt_tokens} tokens",
            fix=f"Please reduce the length of the {where}.",
        )


class PromptError(InputError):
    """A prompt that the model cannot read."""


class Engine(Protocol):
    """Answers conversations, with a base model or with a tuned one. Safe to use from several threads at once."""

    def generate(
        self, model: ModelRef, messages: Sequence[ChatMessage], sampling: Sampling, cancelled: Callable[[], bool]
    ) -> Iterator[Piece | Finish]:
        """Yield the answer in pieces and, last, a Finish; once `cancelled()` is true, end without one.

        Nothing happens, and no error is raised, before the first piece is asked for. Close the iterator, or exhaust it.

        Raises:
            InputError: no such base model or adapter; ContextLengthError if the conversation does not fit.
        """
        ...

    def complete(
        self, model: ModelRef, prompt: Prompt, sampling: Sampling, cancelled: Callable[[], bool], *, echo: bool
    ) -> Iterator[Piece | Finish]:
        """Go on with a text as it stands, without a chat template: yields what `generate` does.

        Control tokens that are written in a text count as such, and none are added. With odds, the token that ends an
        answer is told, too, though it has no text and is not counted.

        Args:
            echo: the first piece is the prompt; of its first token, before which nothing stands, the odds say nothing.

        Raises:
            InputError: no such base model or adapter; PromptError if the model does not know such a token, or there is
                none; ContextLengthError if the prompt does not fit.
        """
        ...

    def warm_up(self, base_model: str | None) -> None:
        """Begin, in the background, what a first answer would wait for: load a base model, or just the libraries."""
        ...

    def unload(self, adapter: Path) -> None:
        """Forget an adapter, if it was ever loaded."""
        ...


class StopFilter:
    """Lets text through up to the first stop string, never any part of one.

    Text that might be the beginning of a stop string is held back until it is clear. The first stop string is the one
    that ends first, so that the answer does not depend on how the text was cut into pieces.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """Take more text and return what can be said; after `stopped`, nothing more."""
        if self.stopped:
            return ""
        text = self._held + text
        found = [(text.index(stop) + len(stop), text.index(stop)) for stop in self._stops if stop in text]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]]
        keep = max((self._overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """The text held back, once it is known that no more comes."""
        held, self._held = self._held, ""
        return held

    @staticmethod
    def _overlap(text: str, stop: str) -> int:
        """How many characters at the end of `text` may be the beginning of `stop`."""
        return next(n for n in range(min(len(text), len(stop) - 1), -1, -1) if text.endswith(stop[:n]))


class Speech:
    """Turns the tokens of one answer into pieces: text that no stop string can end any more, and its tokens' odds."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._filter = StopFilter(stops)
        self._said = 0  # characters
        self._fed = 0
        self._waiting: deque[tuple[int, TokenOdds]] = deque()  # where each token's text begins

    @property
    def ended(self) -> bool:
        """Whether a stop string has come."""
        return self._filter.stopped

    def feed(self, text: str, odds: TokenOdds | None) -> Iterator[Piece]:
        """Take a token, and the text that it completes; yields a piece if there is something to say."""
        if odds is not None:
            self._waiting.append((self._fed, odds))
        self._fed += len(text)
        yield from self._say(self._filter.feed(text))

    def finish(self) -> Iterator[Piece]:
        """Yield what was held back, once no more comes. Tokens of a stop string are left out, as its text is."""
        yield from self._say(self._filter.flush(), last=not self.ended)

    def _say(self, text: str, *, last: bool = False) -> Iterator[Piece]:
        self._said += len(text)
        tokens = []
        while self._waiting and (last or self._waiting[0][0] < self._said):
            tokens.append(self._waiting.popleft()[1])
        if text or tokens:
            yield Piece(text, tuple(tokens))
