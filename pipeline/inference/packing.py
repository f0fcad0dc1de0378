"""Several conversations in one row of tokens: all go through the layers together, and each looks at itself alone.

Only attention tells the tokens of a row apart, so it is done for one conversation after the other, as if alone; all
else is done for each token by itself, whatever stands beside it. Imports torch.
"""

import itertools
from collections.abc import Sequence
from typing import cast

import torch
from transformers import AttentionInterface, Cache, DynamicCache, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from pipeline.inference.batching import Part

# Models that know a token's place by its position id alone, and do nothing with keys but hand them to attention.
_PACKABLE = ("llama", "qwen2", "qwen3")
_ATTENTION = "by_conversation"


def make_packable(model: PreTrainedModel) -> bool:
    """Prepare a model for `forward`, if it is of a kind that can be; whether it was."""
    has_windows = "sliding_attention" in (getattr(model.config, "layer_types", None) or ())
    if model.config.model_type not in _PACKABLE or has_windows:
        return False
    AttentionInterface.register(_ATTENTION, _attend)
    model.set_attn_implementation(_ATTENTION)
    return True


def forward(model: PreTrainedModel, parts: Sequence[Part]) -> Sequence[torch.Tensor]:
    """For each part the logits after its last token, (1, vocabulary), or after each: (tokens, vocabulary).

    Adds to the caches.

    A token alone gets company: products of a single row add up in another order than those of several, which in
    bfloat16 is enough to say another word now and then. So an answer is the same whether others are made beside it.
    """
    if len(parts) == 1 and len(parts[0].ids) == 1 and model.dtype == torch.bfloat16:
        return forward(model, [*parts, Part(parts[0].ids, DynamicCache())])[:1]
    news = [len(part.ids) for part in parts]
    places = [torch.arange(new) + part.cache.get_seq_length() for new, part in zip(news, parts, strict=True)]
    ends = itertools.accumulate(news)
    kept = [range(end - new if part.whole else end - 1, end) for end, new, part in zip(ends, news, parts, strict=True)]
    logits: torch.Tensor = model(
        input_ids=torch.tensor([[token for part in parts for token in part.ids]], device=model.device),
        position_ids=torch.cat(places)[None].to(model.device),
        past_key_values=cast(Cache, _Caches([part.cache for part in parts], news)),
        use_cache=True,
        logits_to_keep=torch.tensor(list(itertools.chain.from_iterable(kept)), device=model.device),
        news=news,
    ).logits
    return torch.split(logits[0], [len(each) for each in kept])


class _Caches:
    """The caches of a row's conversations, in the place of one."""

    def __init__(self, caches: Sequence[DynamicCache], news: list[int]) -> None:
        self._caches = caches
        self._news = news

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: object
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Give each cache its new tokens; returns each conversation's keys and values, (1, heads, tokens, size)."""
        news = zip(self._caches, torch.split(keys, self._news, 2), torch.split(values, self._news, 2), strict=True)
        known = [cache.update(key, value, layer) for cache, key, value in news]
        return [key for key, _ in known], [value for _, value in known]


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    keys: list[torch.Tensor],
    values: list[torch.Tensor],
    _mask: None,
    *,
    news: list[int],
    scaling: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Attention of each conversation's new tokens to all of its own: (1, tokens, heads, size)."""
    found = []
    for asks, key, value in zip(torch.split(query, news, 2), keys, values, strict=True):
        new, size = asks.shape[2], key.shape[2]
        sees = None  # one token sees all; a whole prompt what is before each token, which is the default
        if 1 < new < size:
            sees = torch.ones(new, size, dtype=torch.bool, device=asks.device).tril(size - new)[None, None]
        found.append(sdpa_attention_forward(module, asks, key, value, sees, scaling=scaling)[0])
    return torch.cat(found, 1), None
