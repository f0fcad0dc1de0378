"""Layers of a long row that are computed twice, so that what they keep for the way back fits. Imports torch.

A layer of the bundled model keeps 29 kB of a token in float32, its input is 2 kB. Rows of usual lengths keep it all.
"""

import math
from functools import partial

import psutil  # type: ignore[import-untyped]
import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from pipeline.training.packed_attention import packed

KEPT_BYTES = 1 << 30
"""Of a row, where there is memory for it."""
_PROBE = 32


class Recomputing:
    """Chooses for each row how many layers are computed again on the way back. What is learnt is the same.

    Args:
        model: with its adapter. Layers that transformers cannot compute again are left alone.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._layers = [each for each in model.modules() if isinstance(each, GradientCheckpointingLayer)]
        for layer in self._layers:
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)  # type: ignore[assignment]
        self._input = model.config.get_text_config().hidden_size * model.dtype.itemsize
        self._kept = _kept_of_a_token(model) / max(1, len(self._layers))

    def fit(self, tokens: int) -> int:
        """Set up the layers for a row of so many tokens; returns how many are computed again."""
        room = min(KEPT_BYTES, psutil.virtual_memory().available // 2) / tokens
        # One of them is whole at a time, when it is computed again.
        missing = (len(self._layers) + 1) * self._kept - room
        again = 0
        if missing > self._kept:
            again = min(len(self._layers), math.ceil(missing / max(1, self._kept - self._input)))
        for number, layer in enumerate(self._layers):
            layer.gradient_checkpointing = number < again
        return again


def _kept_of_a_token(model: PreTrainedModel) -> float:
    """Bytes of a token that all layers together keep for the way back, weights not counted."""
    weights = {each.untyped_storage().data_ptr() for each in model.parameters()}
    kept: dict[int, int] = {}

    def keep(saved: torch.Tensor) -> torch.Tensor:
        storage = saved.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return saved

    packed.lengths = (_PROBE,)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        model.base_model(
            input_ids=torch.zeros(1, _PROBE, dtype=torch.long, device=model.device),
            position_ids=torch.arange(_PROBE, device=model.device)[None],
            use_cache=False,
        )
    return sum(kept.values()) / _PROBE
