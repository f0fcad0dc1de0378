"""Norms and rotary positions in fewer passes over their tensors than autograd makes of them. Imports torch.

A model's own classes are not asked for by name: what computes the same on numbers of chance is replaced.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch

_ROTARY = "apply_rotary_pos_emb"


class _Norm(torch.autograd.Function):
    """Root mean square norm by a weight that is not trained, computed in float32."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        wide = x.float()
        squares = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_()
        scale = squares.div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        normed: torch.Tensor = (wide * scale).mul_(weight)
        return normed.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        wide, grad = x.float(), grads[0] * weight
        shared = (grad * wide).sum(-1, keepdim=True).mul_(scale.square()).div_(x.shape[-1])
        return grad.addcmul_(wide, shared, value=-1).mul_(scale).to(x.dtype), None, None


class _Rotated(torch.autograd.Function):
    """A query or key turned by its position; its halves are the parts of complex numbers."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(x, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _turn(grads[0], cos, sin, -1), None, None


def _turn(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, way: int) -> torch.Tensor:
    half = x.shape[-1] // 2
    turned = x * cos
    turned[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-way)
    turned[..., half:].addcmul_(x[..., :half], sin[..., half:], value=way)
    return turned


def rotate(
    q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, unsqueeze_dim: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """What transformers calls apply_rotary_pos_emb."""
    cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
    turned = (_Rotated.apply(each, cos, sin) for each in (q, k))  # type: ignore[no-untyped-call]
    return cast(tuple[torch.Tensor, torch.Tensor], tuple(turned))


def shorten(model: torch.nn.Module) -> None:
    """Replace a model's norms and its rotary function by these, wherever they compute the same."""
    random = torch.Generator().manual_seed(0)
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            _shorten_norm(module, random)
    for name in {type(module).__module__ for module in model.modules()}:
        rotary = getattr(sys.modules[name], _ROTARY, None)
        if rotary is not None and _turns_alike(rotary, random):
            setattr(sys.modules[name], _ROTARY, rotate)


def _shorten_norm(module: torch.nn.Module, random: torch.Generator) -> None:
    weight, eps = module.weight, getattr(module, "variance_epsilon", getattr(module, "eps", None))
    if not isinstance(weight, torch.Tensor) or weight.requires_grad or not isinstance(eps, float):
        return
    x = torch.randn(2, *weight.shape, generator=random).to(weight)
    usual = module(x).float()
    for factor in (weight, weight.float() + 1):  # Gemma's weights are what is added to 1
        norm = partial(_norm, weight=factor, eps=eps)
        if torch.allclose(norm(x).float(), usual, rtol=0.02):
            module.forward = norm
            return


def _norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    return cast(torch.Tensor, _Norm.apply(x, weight, eps))  # type: ignore[no-untyped-call]


def _turns_alike(rotary: Callable[..., Any], random: torch.Generator) -> bool:
    q, k = torch.randn(2, 1, 2, 3, 8, generator=random)
    cos, sin = torch.randn(2, 1, 3, 8, generator=random)
    try:
        usual = rotary(q, k, cos, sin)
    except (TypeError, ValueError, RuntimeError):  # it takes something else
        return False
    return all(torch.allclose(*pair) for pair in zip(usual, rotate(q, k, cos, sin), strict=True))
