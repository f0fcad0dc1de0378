"""Attention within each of several examples that lie one after the other in a row, by plain products. Imports torch.

PyTorch's fused attention is written for long rows; on a CPU its way back takes twice as long as the products that it
consists of, and in bfloat16 many times. Here queries go through in blocks, each with the keys that it may see, so that
nothing is computed between examples and little above the diagonal.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

import torch
from transformers import PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

_NAME = "finetune_packed"
_BLOCK = 128
"""Queries at once: longer blocks compute more above the diagonal, shorter ones take more calls."""


class Block(NamedTuple):
    """Queries `first` to `last` of a row, and the keys from `seen` to `last` that at least one of them may see."""

    first: int
    last: int
    seen: int


@lru_cache(maxsize=16)
def blocks(lengths: Sequence[int], window: int | None) -> list[Block]:
    """The blocks of examples of so many tokens."""
    return list(_blocks(lengths, window))


def _blocks(lengths: Sequence[int], window: int | None) -> Iterator[Block]:
    begin = 0
    for length in lengths:
        for first in range(begin, begin + length, _BLOCK):
            seen = begin if window is None else max(begin, first - window + 1)
            yield Block(first, min(first + _BLOCK, begin + length), seen)
        begin += length


class _Attention(torch.autograd.Function):
    """Of (tokens, heads, size) each; several heads of queries may share one of keys and values."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, window: int | None, scaling: float
    ) -> torch.Tensor:
        parts = blocks(packed.lengths, window)
        out = query.new_empty(*query.shape[:2], value.shape[-1])
        for part in parts:
            q, k, v = _of(part, query, key, value)
            weights = _weights(q, k, part, window, scaling)
            _by_head(out, part, len(k)).copy_(_split(weights @ v, part))
        ctx.save_for_backward(query, key, value, out)
        ctx.parts, ctx.window, ctx.scaling = parts, window, scaling
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, out = ctx.saved_tensors
        grad_query, grad_key, grad_value = torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(value)
        # PyTorch's own way back through a softmax differs in its last bits with the number of threads.
        shared = (grads[0] * out).sum(-1, keepdim=True).neg_()
        for part in ctx.parts:
            q, k, v = _of(part, query, key, value)
            weights = _weights(q, k, part, ctx.window, ctx.scaling)
            grad = _flat(grads[0], part, len(k))
            grad_value[part.seen : part.last].transpose(0, 1).add_(weights.transpose(1, 2) @ grad)
            less = _flat(shared, part, len(k)).expand_as(weights)
            grad_scores = torch.baddbmm(less, grad, v.transpose(1, 2)).mul_(weights)
            grad_q = (grad_scores @ k).mul_(ctx.scaling)
            _by_head(grad_query, part, len(k)).copy_(_split(grad_q, part))
            grad_key[part.seen : part.last].transpose(0, 1).add_(grad_scores.transpose(1, 2) @ q, alpha=ctx.scaling)
        return grad_query, grad_key, grad_value, None, None


def _by_head(x: torch.Tensor, part: Block, heads: int) -> torch.Tensor:
    """A part of (tokens, heads of queries, size), seen as (heads of keys, heads of queries to each, tokens, size)."""
    count = part.last - part.first
    return x[part.first : part.last].view(count, heads, -1, x.shape[-1]).permute(1, 2, 0, 3)


def _split(x: torch.Tensor, part: Block) -> torch.Tensor:
    """What `_flat` makes, seen as `_by_head` does."""
    return x.view(len(x), -1, part.last - part.first, x.shape[-1])


def _flat(x: torch.Tensor, part: Block, heads: int) -> torch.Tensor:
    """The same, copied as (heads of keys, heads of queries to each * tokens, size)."""
    return _by_head(x, part, heads).reshape(heads, -1, x.shape[-1])


def _of(
    part: Block, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Queries (heads of keys, heads of queries to each * tokens, size), and what they see (heads, keys, size)."""
    keys, values = (each[part.seen : part.last].transpose(0, 1) for each in (key, value))
    return _flat(query, part, len(keys)), keys, values


def _weights(q: torch.Tensor, k: torch.Tensor, part: Block, window: int | None, scaling: float) -> torch.Tensor:
    queries = part.last - part.first
    mask = _mask(queries, part.last - part.seen, q.shape[1] // queries, window, q.dtype)
    return torch.baddbmm(mask.expand(len(k), -1, -1), q, k.transpose(1, 2), alpha=scaling).softmax(-1)


@lru_cache(maxsize=64)
def _mask(queries: int, keys: int, times: int, window: int | None, dtype: torch.dtype) -> torch.Tensor:
    """What is added to scores, (times * queries, keys): the last query sees the last key, each what came before it."""
    hidden = torch.ones(queries, keys, dtype=torch.bool).triu(keys - queries + 1)
    if window is not None:
        hidden |= torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries - window)
    return torch.zeros(queries, keys, dtype=dtype).masked_fill_(hidden, -torch.inf).repeat(times, 1)


class _Packed:
    """Attention as transformers calls it.

    Attributes:
        lengths: of the examples in the row that goes through the model.
    """

    lengths: tuple[int, ...] = ()

    def __call__(
        self,
        module: torch.nn.Module,  # noqa: ARG002  # the signature is transformers'
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,  # noqa: ARG002
        scaling: float | None = None,
        sliding_window: int | None = None,
        **_: object,
    ) -> tuple[torch.Tensor, None]:
        parts = [each[0].transpose(0, 1) for each in (query, key, value)]
        scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
        out = _Attention.apply(*parts, sliding_window, scaling)  # type: ignore[no-untyped-call]
        return cast(torch.Tensor, out)[None], None


packed = _Packed()


def use_packed_attention(model: PreTrainedModel) -> bool:
    """Have a model attend so; False, and it stays as it was, if rows of two examples do not give what they give apart.

    That is so where tokens see each other in other ways than by attention, or by one that this does not know.
    """
    usual, first, second = model.config._attn_implementation, *_probes(model)
    if usual not in ("sdpa", "eager") or getattr(model.config.get_text_config(), "attention_dropout", None):
        return False
    ALL_ATTENTION_FUNCTIONS.register(_NAME, packed)
    apart = torch.cat([_hidden(model, ids, (len(ids),)) for ids in (first, second)])
    try:
        model.set_attn_implementation(_NAME)
        together = _hidden(model, torch.cat([first, second]), (len(first), len(second)))
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):  # another architecture
        together = torch.full_like(apart, torch.inf)
    differences = (together - apart).norm(dim=-1) / apart.norm(dim=-1)
    fits = bool(differences.max() < (0.1 if model.dtype == torch.bfloat16 else 1e-3))
    if not fits:
        model.set_attn_implementation(usual)
    return fits


def _probes(model: PreTrainedModel) -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(0)
    most = model.config.get_text_config().vocab_size
    return tuple(torch.randint(most, (count,), generator=random) for count in (7, 12))


def _hidden(model: PreTrainedModel, ids: torch.Tensor, lengths: tuple[int, ...]) -> torch.Tensor:
    positions = torch.cat([torch.arange(length) for length in lengths])
    packed.lengths = lengths
    with torch.no_grad():
        found = model.base_model(input_ids=ids[None], position_ids=positions[None], use_cache=False)
    return cast(torch.Tensor, found.last_hidden_state[0].float())
