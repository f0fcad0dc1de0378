"""Chat with base models and adapters in this process. Torch is imported when the first answer is asked for."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.training import base_models, environment
from pipeline.training.fair_lock import FairLock
from pipeline.training.generation import ContextLengthError, StopFilter
from pipeline.training.protocol import ChatMessage, Finish, ModelRef, Piece, Sampling

if TYPE_CHECKING:
    from pipeline.training.resident_model import ResidentModel


class LocalEngine:
    """Keeps the models it was asked for in memory. Answers made at the same time take turns, token by token."""

    def __init__(self) -> None:
        self._models: dict[str, ResidentModel] = {}
        self._loading = threading.Lock()
        self._turn = FairLock()

    def generate(
        self, model: ModelRef, messages: Sequence[ChatMessage], sampling: Sampling, cancelled: Callable[[], bool]
    ) -> Iterator[Piece | Finish]:
        """See Engine."""
        resident = self._resident(model)
        from transformers import DynamicCache

        from pipeline.training.sampling import Sampler

        prompt = resident.chat_format.prompt(messages)
        room = resident.context - len(prompt)
        if room < 1:
            raise ContextLengthError(resident.context, len(prompt))
        limit = room if sampling.max_tokens is None else min(room, sampling.max_tokens)
        sampler, stops = Sampler(sampling), StopFilter(sampling.stop)
        text_of = resident.chat_format.detokenizer()
        cache = DynamicCache()
        unseen, used, ended = prompt, 0, False
        while used < limit and not ended:
            if cancelled():
                return
            with self._turn:
                logits = resident.forward(model.adapter, unseen, cache)
            token = sampler.choose(logits)
            if token in resident.chat_format.stop_ids:
                ended = True
                break
            unseen, used = [token], used + 1
            if piece := stops.feed(text_of(token)):
                yield Piece(piece)
            ended = stops.stopped
        if piece := stops.flush():
            yield Piece(piece)
        yield Finish("stop" if ended else "length", len(prompt), used)

    def unload(self, adapter: Path) -> None:
        """See Engine."""
        with self._turn:
            for model in self._models.values():
                model.unload(adapter)

    def _resident(self, model: ModelRef) -> "ResidentModel":
        """The model in memory, with its adapter on it."""
        with self._loading:
            if model.base_model not in self._models:
                environment.require_libraries()
                with environment.sleeping_threads():
                    from pipeline.training.resident_model import ResidentModel

                self._models[model.base_model] = ResidentModel(base_models.prepare(model.base_model))
            resident = self._models[model.base_model]
            if model.adapter is not None:
                with self._turn:
                    resident.load(model.adapter)
        return resident
