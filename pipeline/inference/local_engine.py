"""Chat with base models and adapters in this process. Torch is imported when the first answer is asked for."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import FinetuneError
from pipeline.inference.batching import Batcher, Step
from pipeline.inference.generation import ContextLengthError, PromptError, Speech
from pipeline.inference.protocol import Finish, ModelRef, Piece, Prompt, Sampling
from pipeline.models import base_models, environment
from pipeline.models.messages import ChatMessage

if TYPE_CHECKING:
    import torch

    from pipeline.inference.resident_model import ResidentModel
    from pipeline.inference.scoring import Scores

PREFILL = 512  # tokens of a prompt at a time, so that a long one holds up no other answer for long


class LocalEngine:
    """Keeps the models it was asked for in memory. Answers made at the same time are made together, token by token."""

    def __init__(self) -> None:
        self._models: dict[str, ResidentModel] = {}
        self._loading = threading.Lock()
        self._batcher = Batcher()
        self._imported = False

    def generate(
        self, model: ModelRef, messages: Sequence[ChatMessage], sampling: Sampling, cancelled: Callable[[], bool]
    ) -> Iterator[Piece | Finish]:
        """See Engine."""
        resident = self._resident(model)
        fewest = resident.chat_format.fewest_tokens(messages)
        if fewest >= resident.context:  # known without the seconds that it takes to encode megabytes
            raise ContextLengthError(resident.context, fewest, at_least=True)
        prompt = resident.chat_format.prompt(messages)
        if len(prompt) >= resident.context:
            raise ContextLengthError(resident.context, len(prompt))
        yield from _Answer(self._batcher, resident, model, prompt, sampling).generate(cancelled)

    def complete(
        self, model: ModelRef, prompt: Prompt, sampling: Sampling, cancelled: Callable[[], bool], *, echo: bool
    ) -> Iterator[Piece | Finish]:
        """See Engine."""
        resident = self._resident(model)
        ids = _ids(prompt, resident)
        room = resident.context - (sampling.max_tokens != 0)  # a token must be read before the next one is chosen
        if len(ids) > room:
            raise ContextLengthError(resident.context, len(ids), where="prompt")
        answer = _Answer(self._batcher, resident, model, ids, sampling, echo=echo, tells_end=True)
        yield from answer.generate(cancelled)

    def warm_up(self, base_model: str | None) -> None:
        """See Engine."""
        with contextlib.suppress(RuntimeError):  # no more threads: the first answer takes longer
            threading.Thread(target=self._warm_up, args=(base_model,), name="warm-up").start()

    def _warm_up(self, base_model: str | None) -> None:
        with contextlib.suppress(FinetuneError, OSError), self._loading:  # whoever asks for an answer is told
            if base_model is None:
                self._import()
            else:
                self._base(base_model)

    def unload(self, adapter: Path) -> None:
        """See Engine."""
        with self._batcher.turn:
            for model in self._models.values():
                model.unload(adapter)

    def _resident(self, model: ModelRef) -> "ResidentModel":
        """The model in memory, with its adapter on it."""
        with self._loading:
            resident = self._base(model.base_model)
            if model.adapter is not None:
                with self._batcher.turn:
                    resident.load(model.adapter)
        return resident

    def _base(self, name: str) -> "ResidentModel":
        if name not in self._models:
            self._import()
            from pipeline.inference.resident_model import ResidentModel

            self._models[name] = ResidentModel(base_models.prepare(name))
        return self._models[name]

    def _import(self) -> None:
        if self._imported:
            return
        environment.require_libraries()
        with environment.sleeping_threads(), environment.imported_for_good():
            from pipeline.inference import resident_model, sampling, scoring  # noqa: F401
        self._imported = True


class _Answer:
    """One answer that is made.

    Args:
        prompt: token ids, at least one.
        echo: the prompt is the first piece.
        tells_end: the odds of the token that ends the answer are told.
    """

    def __init__(
        self,
        batcher: Batcher,
        resident: "ResidentModel",
        model: ModelRef,
        prompt: Sequence[int],
        sampling: Sampling,
        *,
        echo: bool = False,
        tells_end: bool = False,
    ) -> None:
        from transformers import DynamicCache  # imported already, with the model

        from pipeline.inference.sampling import Choice
        from pipeline.inference.scoring import Scores

        self._batcher = batcher
        self._resident = resident
        self._adapter = model.adapter
        self._prompt = prompt
        self._sampling = sampling
        self._echo = echo
        self._tells_end = tells_end
        self._cache = DynamicCache()
        room = resident.context - len(prompt)
        self._limit = room if sampling.max_tokens is None else min(room, sampling.max_tokens)
        name, bytes_of, top = _name(model), resident.chat_format.token_bytes, sampling.top_logprobs
        self._choice = Choice(name, sampling, bytes_of)
        self._scores = Scores(name, prompt, top, bytes_of) if echo and top is not None else None

    def generate(self, cancelled: Callable[[], bool]) -> Iterator[Piece | Finish]:
        """See Engine."""
        if (self._limit or self._scores) and not self._read(cancelled):
            return
        if self._echo:
            odds = self._scores.odds if self._scores else ()
            yield Piece(self._resident.chat_format.decode(self._prompt), tuple(odds))
        stop_ids, text_of = self._resident.chat_format.stop_ids, self._resident.chat_format.detokenizer()
        speech, choice = Speech(self._sampling.stop), self._choice
        used, ended = 0, False
        while used < self._limit and not ended:
            if used:
                if cancelled():
                    return
                self._step([choice.token], choice.make)
            if choice.token in stop_ids:
                ended = True
                if self._tells_end:
                    yield from speech.feed("", choice.odds)
                break
            used += 1
            yield from speech.feed(text_of(choice.token), choice.odds)
            ended = speech.ended
        yield from speech.finish()
        yield Finish("stop" if ended else "length", len(self._prompt), used)

    def _read(self, cancelled: Callable[[], bool]) -> bool:
        """Read the prompt, and choose the token after it if one is wanted; false if cancelled meanwhile."""
        for begin in range(0, len(self._prompt), PREFILL):
            if cancelled():
                return False
            part = self._prompt[begin : begin + PREFILL]
            chooses = begin + PREFILL >= len(self._prompt) and self._limit > 0
            if self._scores is None:
                self._step(part, self._choice.make if chooses else self._choice.skip)
            else:
                self._step(part, functools.partial(self._score, self._scores, chooses), whole=True)
        return True

    def _score(self, scores: "Scores", chooses: bool, logits: "torch.Tensor") -> None:
        scores.take(logits)
        if chooses:
            self._choice.make(logits[-1].float().cpu().clone())

    def _step(self, ids: Sequence[int], take: "Callable[[torch.Tensor], None]", *, whole: bool = False) -> None:
        self._batcher.do(Step(self._resident, self._adapter, ids, self._cache, take, whole=whole))


def _ids(prompt: Prompt, resident: "ResidentModel") -> list[int]:
    """The token ids of a prompt.

    Raises:
        PromptError: there are none, or the model does not know one.
        ContextLengthError: they are too many, told without encoding them.
    """
    if isinstance(prompt, str):
        fewest = resident.chat_format.fewest_tokens([ChatMessage("user", prompt)])
        if fewest > resident.context:
            raise ContextLengthError(resident.context, fewest, at_least=True, where="prompt")
        ids = resident.chat_format.encode(prompt)
    else:
        ids = list(prompt)
    if not ids:
        raise PromptError("prompt", "expected at least one token", fix="Send a text, or the ids of its tokens.")
    if max(ids) >= resident.vocabulary:
        what = f"this model knows the tokens 0 to {resident.vocabulary - 1}"
        raise PromptError("prompt", what, got=str(max(ids)), fix="Encode the text with this model's own tokenizer.")
    return ids


def _name(model: ModelRef) -> str:
    base = f"base model {Path(model.base_model).name}"
    return base if model.adapter is None else f"a model tuned from {base}"
