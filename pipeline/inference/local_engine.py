"""Chat with base models and adapters in this process. Torch is imported when the first answer is asked for."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import FinetuneError
from pipeline.inference.batching import Batcher, Step
from pipeline.inference.generation import ContextLengthError, Speech
from pipeline.inference.protocol import Finish, ModelRef, Piece, Sampling
from pipeline.models import base_models, environment, hub_cache
from pipeline.models.messages import ChatMessage

if TYPE_CHECKING:
    from pipeline.inference.resident_model import ResidentModel

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
        from transformers import DynamicCache  # imported already, with the model

        from pipeline.inference.sampling import Choice

        fewest = resident.chat_format.fewest_tokens(messages)
        if fewest >= resident.context:  # known without the seconds that it takes to encode megabytes
            raise ContextLengthError(resident.context, fewest, at_least=True)
        prompt = resident.chat_format.prompt(messages)
        room = resident.context - len(prompt)
        if room < 1:
            raise ContextLengthError(resident.context, len(prompt))
        limit = room if sampling.max_tokens is None else min(room, sampling.max_tokens)
        choice = Choice(_name(model), sampling, resident.chat_format.token_bytes)
        speech = Speech(sampling.stop, thinks=resident.chat_format.thinks)
        text_of = resident.chat_format.detokenizer()
        cache = DynamicCache()
        unseen, used, ended = prompt, 0, False
        while used < limit and not ended:
            if cancelled():
                return
            part, unseen = unseen[:PREFILL], unseen[PREFILL:]
            self._batcher.do(Step(resident, model.adapter, part, cache, choice.skip if unseen else choice.make))
            if unseen:
                continue
            if choice.token in resident.chat_format.stop_ids:
                ended = True
                break
            unseen, used = [choice.token], used + 1
            yield from speech.feed(text_of(choice.token), choice.odds)
            ended = speech.ended
        yield from speech.finish()
        yield Finish("stop" if ended else "length", len(prompt), used)

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
            from pipeline.inference import resident_model, sampling  # noqa: F401
        self._imported = True


def _name(model: ModelRef) -> str:
    base = f"base model {hub_cache.short_name(model.base_model)}"
    return base if model.adapter is None else f"a model tuned from {base}"
