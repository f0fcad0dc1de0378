"""What training and chatting take: memory and time, as arithmetic from a model's shape. Torch-free.

The constants for a CPU are fitted to trainings in float32 of SmolLM2-135M and of the shape of SmolLM2-360M: they hold
within an eighth of their memory, and for the first of its time for chats of usual lengths. Where most examples are
longer than 1,000 tokens, attention takes up to twice as long. For other models they are arithmetic; for GPUs nothing
was measured.
"""

from pipeline.models.machine import Device, Machine
from pipeline.models.picks import Shape

RANK = 16
"""Of the adapters that the trainer makes."""

ROW_TOKENS = 1024
"""Tokens of several examples that a CPU takes at once."""
KEPT_BYTES = 1 << 30
"""What the way back through a row may need; layers whose part of it does not fit are computed twice."""
_BATCH_TOKENS = 2048
"""Tokens of several examples that a GPU takes at once."""
_LIBRARIES = 500_000_000
_ADAPTER_BYTES = 16
"""Of each of its parameters: itself, its gradient and Adam's two moments, in float32."""
_LOST = 0.8
"""Of what is kept, again as much lies between the pieces of memory in use, where none fits (measured)."""
_LOGITS = 2 * 4 << 24
"""Bytes of the logits that are computed at once, and of what the loss makes of them."""
_ADAPTED = 7
"""Linear layers of a layer; of the input of each, its adapter keeps RANK numbers."""
_TARGETS = 0.5
"""The share of tokens that logits are computed of."""
_PASSES = 1600
"""How often each number of the hidden state is read and written in a layer, beside the matrix products."""
_BYTES = {"float32": 4, "bfloat16": 2}

_GPU_HIDDEN, _GPU_WIDE, _GPU_BYTES, _GPU_LOGIT_BYTES, _GPU_PASSES = 14, 7, 4, 12, 3400
"""On a GPU: numbers kept of each token and layer, for each of the hidden state's and the feed-forward's; bytes of one,
and of a logit; and passes."""


def tokens_at_once(longest: int, examples: int, batch_size: int | None) -> int:
    """How many tokens a CPU sends through a model at once, at most: a row of several examples, or the longest one.

    Args:
        longest: tokens of the longest example.
        batch_size: None where the trainer chooses: one for every fifty examples, from 1 to 8.
    """
    batch = batch_size or max(1, min(8, examples // 50))
    return max(longest, min(ROW_TOKENS, longest * batch))


def memory_to_train(shape: Shape, dtype: str, tokens: int, device: Device = "cpu") -> int:
    """Bytes at the peak of a training.

    Args:
        tokens: that a CPU would send through the model at once; a GPU takes more where that is a row of several.
    """
    fixed = _LIBRARIES + shape.parameters * _BYTES[dtype] + _adapter(shape) * _ADAPTER_BYTES
    if device != "cpu":
        at_once = _BATCH_TOKENS if tokens == ROW_TOKENS else tokens
        per_layer = _GPU_BYTES * (_GPU_HIDDEN * shape.hidden + _GPU_WIDE * shape.feed_forward)
        return fixed + at_once * (shape.layers * per_layer + round(_TARGETS * _GPU_LOGIT_BYTES * shape.vocabulary))
    layer = tokens * _BYTES[dtype] * _kept_of_a_token(shape)
    inputs = tokens * _BYTES[dtype] * shape.hidden * shape.layers
    kept = max(min(KEPT_BYTES, layer * (shape.layers + 1)), inputs + layer)
    return fixed + _LOGITS + round(kept * (1 + _LOST))


def _kept_of_a_token(shape: Shape) -> int:
    """Numbers that the way back through a layer needs of each token: see packed_attention, elementwise and gated."""
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    return 4 * shape.hidden + 2 * (queries + keys + shape.feed_forward) + _ADAPTED * RANK


def memory_to_chat(shape: Shape, dtype: str, tokens: int) -> int:
    """Bytes of a server that answers a chat of so many tokens."""
    remembered = 2 * shape.layers * shape.kv_heads * shape.head_size * _BYTES[dtype]
    return _LIBRARIES + shape.parameters * _BYTES[dtype] + _adapter(shape) * 4 + tokens * remembered


def seconds_to_train(shape: Shape, machine: Machine, tokens: int) -> float | None:
    """Seconds that a training on so many tokens, all epochs, takes of a machine that does nothing else.

    None where it could not be measured.
    """
    if machine.measured is None:
        return None
    # Forwards, and backwards through weights that do not change: two products each.
    operations = 4 * (shape.in_layers + _TARGETS * shape.vocabulary * shape.hidden)
    times = _PASSES if machine.measured.device == "cpu" else _GPU_PASSES
    passes = times * shape.layers * shape.hidden
    a_token = operations / machine.measured.products + passes / machine.measured.passes
    return tokens * a_token / machine.threads


def _adapter(shape: Shape) -> int:
    return shape.layers * RANK * sum(inputs + outputs for inputs, outputs in shape.products)
