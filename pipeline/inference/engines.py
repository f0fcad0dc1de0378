"""The chat engines: a local model's, imported only where it is asked for, and one that says what a script says."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from pipeline.durable import read_file
from pipeline.errors import InputError
from pipeline.inference.generation import Engine, PromptError, Speech
from pipeline.inference.protocol import Finish, ModelRef, Piece, Prompt, Sampling, TokenOdds
from pipeline.models.messages import ChatMessage
from pipeline.training import scripted

_WORD = re.compile(r"\s*\S+|\s+$")
_BLOCK = 64 * 1024  # characters


def create_engine(trainer: Literal["lora", "scripted"], script: Path | None) -> Engine:
    """Make the engine that goes with a trainer; cheap, the models are loaded when they are first asked.

    Raises:
        InputError: the script is wrong.
    """
    if trainer == "scripted":
        return ScriptedEngine(scripted.read_script(script))
    from pipeline.inference.local_engine import LocalEngine

    return LocalEngine()


class ScriptedEngine:
    """Answers what the script says, a word at a time; a word is a token, and certain, as are those of a prompt."""

    def __init__(self, script: scripted.Script) -> None:
        self._base_reply = script.replies.base
        self._seconds_per_word = script.replies.seconds_per_word

    def generate(
        self, model: ModelRef, messages: Sequence[ChatMessage], sampling: Sampling, cancelled: Callable[[], bool]
    ) -> Iterator[Piece | Finish]:
        """See Engine."""
        prompt_tokens = sum(_count_words(message.content) for message in messages)
        yield from self._say(model, sampling, cancelled, prompt_tokens)

    def complete(
        self, model: ModelRef, prompt: Prompt, sampling: Sampling, cancelled: Callable[[], bool], *, echo: bool
    ) -> Iterator[Piece | Finish]:
        """See Engine. A token id is a word of its own, such as ``<17>``."""
        words = _WORD.findall(prompt) if isinstance(prompt, str) else [f"<{token}>" for token in prompt]
        if not words:
            raise PromptError("prompt", "expected at least one token", fix="Send a text, or the ids of its tokens.")
        if echo:
            odds = [self._odds(word, sampling.top_logprobs) for word in words]
            yield Piece("".join(words), tuple(each for each in odds if each is not None))
        yield from self._say(model, sampling, cancelled, len(words))

    def _say(
        self, model: ModelRef, sampling: Sampling, cancelled: Callable[[], bool], prompt_tokens: int
    ) -> Iterator[Piece | Finish]:
        words = _WORD.findall(self._reply(model))
        limit = len(words) if sampling.max_tokens is None else sampling.max_tokens
        speech = Speech(sampling.stop)
        used = 0
        for word in words[:limit]:
            if cancelled():
                return
            time.sleep(self._seconds_per_word)
            used += 1
            yield from speech.feed(word, self._odds(word, sampling.top_logprobs))
            if speech.ended:
                break
        yield from speech.finish()
        yield Finish("length" if limit < len(words) and not speech.ended else "stop", prompt_tokens, used)

    @staticmethod
    def _odds(word: str, top: int | None) -> TokenOdds | None:
        if top is None:
            return None
        data = word.encode()
        return TokenOdds(data, 0.0, (TokenOdds(data, 0.0),) if top else ())

    def warm_up(self, base_model: str | None) -> None:
        """Nothing is loaded, so there is nothing to begin."""

    def unload(self, adapter: Path) -> None:
        """Nothing is kept, so there is nothing to forget."""

    def _reply(self, model: ModelRef) -> str:
        if model.adapter is None:
            return self._base_reply
        try:
            found = read_file(model.adapter / scripted.ADAPTER_FILE)
            return msgspec.json.decode(found, type=scripted.Adapter).reply
        except (OSError, msgspec.DecodeError):
            raise InputError(
                str(model.adapter),
                "not the adapter of a scripted training",
                fix="Use the trainer that made it, or train it again.",
            ) from None


def _count_words(text: str) -> int:
    """As `len(text.split())`, a block at a time: a list of all words of a long text takes thirty times its memory."""
    count, in_word = 0, False
    for start in range(0, len(text), _BLOCK):
        block = text[start : start + _BLOCK]
        count += len(block.split()) - (in_word and not block[0].isspace())
        in_word = not block[-1].isspace()
    return count
