"""What training and chatting take: memory and time, as arithmetic from a model's shape. Torch-free.

The constants are fitted to trainings of SmolLM2-135M and of a model of the shape of SmolLM2-360M, with the trainer of
this package on a CPU in float32. They hold within a twentieth there: 1.83 GB at 268 tokens and 3.83 GB at 1,064 for the
first, 3.18 GB at 268 for the second, and 12.6 and 30 ms of processor time a token. For other models and on GPUs they
are arithmetic.
"""

from pipeline.models.machine import Machine
from pipeline.models.picks import Shape

RANK = 16
"""Of the adapters that the trainer makes."""

_TOKENS_AT_ONCE = 2048
_LIBRARIES = 500_000_000
_ADAPTER_BYTES = 16
"""Of each of its parameters: itself, its gradient and Adam's two moments, in float32."""
_KEPT_HIDDEN, _KEPT_WIDE, _KEPT_BYTES = 14, 7, 4
"""Numbers that the way back needs of each token and layer, for each of the hidden state's and the feed-forward's: the
adapters keep what they are given in float32, so that bfloat16 saves nothing of it."""
_TARGETS = 0.5
"""The share of tokens that logits are computed of; a head's logits and what the loss makes of them, in float32."""
_LOGIT_BYTES = 12
_PASSES = 3400
"""How often each number of the hidden state is read and written in a layer, beside the matrix products."""
_BYTES = {"float32": 4, "bfloat16": 2}


def tokens_at_once(longest: int, examples: int, batch_size: int | None) -> int:
    """How many tokens the trainer sends through a model at once, at most: it fills 2,048 where the batch divides.

    Args:
        longest: tokens of the longest example.
        batch_size: None where the trainer chooses: one for every fifty examples, from 1 to 8.
    """
    batch = batch_size or max(1, min(8, examples // 50))
    allowed = max(1, _TOKENS_AT_ONCE // longest)
    return longest * max(size for size in range(1, batch + 1) if batch % size == 0 and size <= allowed)


def memory_to_train(shape: Shape, dtype: str, tokens: int) -> int:
    """Bytes at the peak of a training that sends so many tokens through the model at once."""
    per_layer = _KEPT_BYTES * (_KEPT_HIDDEN * shape.hidden + _KEPT_WIDE * shape.feed_forward)
    kept = shape.layers * per_layer + round(_TARGETS * _LOGIT_BYTES * shape.vocabulary)
    return _LIBRARIES + shape.parameters * _BYTES[dtype] + _adapter(shape) * _ADAPTER_BYTES + tokens * kept


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
    passes = _PASSES * shape.layers * shape.hidden
    a_token = operations / machine.measured.products + passes / machine.measured.passes
    return tokens * a_token / machine.threads


def _adapter(shape: Shape) -> int:
    return shape.layers * RANK * sum(inputs + outputs for inputs, outputs in shape.products)
