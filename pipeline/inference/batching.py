"""Forward passes of answers that are made at the same time, done together (continuous batching). Torch-free by itself.

A pass reads all weights whether it computes one token or eight: on two CPU cores eight answers together take a quarter
of the processor time that they take in turns (measured, SmolLM2-135M).
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache

    from pipeline.inference.resident_model import ResidentModel

ROOM = 512  # tokens that others may add to a pass, so that none takes long


class Part(NamedTuple):
    """New tokens of one conversation, and what was computed of those before them.

    Attributes:
        whole: logits are wanted after each of the tokens, not after the last alone.
    """

    ids: Sequence[int]
    cache: "DynamicCache"
    whole: bool = False


class Step:
    """A forward pass that one answer wants.

    Args:
        ids: its next tokens, after what is in `cache`.
        take: given the logits of the token after `ids`: (vocabulary,), float32, on the CPU.
        whole: `take` is given those of the token after each of `ids` instead: (len(ids), vocabulary), in the model's
            precision and on its device.
    """

    def __init__(
        self,
        model: "ResidentModel",
        adapter: Path | None,
        ids: Sequence[int],
        cache: "DynamicCache",
        take: "Callable[[torch.Tensor], None]",
        *,
        whole: bool = False,
    ) -> None:
        self.model = model
        self.adapter = adapter
        self.ids = ids
        self.cache = cache
        self.take = take
        self.whole = whole
        self.is_done = False
        self.error: Exception | None = None

    def goes_with(self, other: "Step") -> bool:
        """Whether one pass can do both."""
        return self.model is other.model and self.adapter == other.adapter and self.model.packs


class Batcher:
    """Does steps in the order in which they are asked for, each with those of others that wait and go with it.

    An answer depends on those beside it by no more than the rounding of sums, see packing.py.

    Attributes:
        turn: held while a model computes or changes.
    """

    def __init__(self) -> None:
        self.turn = FairLock()
        self._mutex = threading.Lock()
        self._waiting: list[Step] = []

    def do(self, step: Step) -> None:
        """Do a step; on return its `take` has been called, by whichever thread.

        Raises:
            InputError: the adapter was unloaded meanwhile.
            Exception: whatever the pass raises, in each of those who were in it, or this step's own `take`.
        """
        with self._mutex:
            self._waiting.append(step)
        with self.turn:
            if not step.is_done:
                self._compute(self._company(step))
        if step.error is not None:
            raise step.error

    def _company(self, first: Step) -> list[Step]:
        """`first` and the waiting steps that go with it, in their order; they wait no more."""
        company, room = [first], ROOM
        with self._mutex:
            for step in self._waiting:
                if step is not first and step.goes_with(first) and len(step.ids) <= room:
                    company.append(step)
                    room -= len(step.ids)
            self._waiting = [step for step in self._waiting if step not in company]
        return company

    @staticmethod
    def _compute(steps: list[Step]) -> None:
        try:
            parts = [Part(step.ids, step.cache, step.whole) for step in steps]
            logits = steps[0].model.forward(steps[0].adapter, parts)
        except Exception as error:  # noqa: BLE001  each of them raises it where its answer is made
            for step in steps:
                step.error = error
        else:
            for step, its_own in zip(steps, logits, strict=True):
                try:
                    step.take(its_own)
                except Exception as error:  # noqa: BLE001  the others have their logits all the same
                    step.error = error
        for step in steps:
            step.is_done = True


class FairLock:
    """Like threading.Lock, which makes no promise about who is next: a busy thread can take it again and again."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._mutex:
            if not self._held:
                self._held = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()  # until whoever is before us hands the lock over

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False
