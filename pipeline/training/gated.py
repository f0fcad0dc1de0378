"""A gated feed-forward part, from its gate to its output, as one step of autograd. Imports torch.

Autograd keeps four tensors of the feed-forward's width for each token: the gate, what its activation makes of it, what
is gated, and the product. Two of them follow from the other two in little time, and are made again on the way back: a
layer of the bundled model then keeps 28 kB of a token in float32 rather than 40.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from peft.tuners.lora import Linear
from torch.nn.functional import gelu, linear, silu
from transformers.activations import GELUTanh, SiLUActivation

from pipeline.training.adapted_linear import is_plain


class _Activation(NamedTuple):
    """A function, and what becomes of a gradient on its way back through it."""

    of: Callable[[torch.Tensor], torch.Tensor]
    back: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _tanh_gelu(x: torch.Tensor) -> torch.Tensor:
    return gelu(x, approximate="tanh")


def _tanh_gelu_back(grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return cast(torch.Tensor, torch.ops.aten.gelu_backward(grad, x, approximate="tanh"))


def _silu_back(grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return cast(torch.Tensor, torch.ops.aten.silu_backward(grad, x))


_ACTIVATIONS: dict[type, _Activation] = {
    SiLUActivation: _Activation(silu, _silu_back),
    torch.nn.SiLU: _Activation(silu, _silu_back),
    GELUTanh: _Activation(_tanh_gelu, _tanh_gelu_back),
}


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        gate: torch.Tensor,
        gated: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scaling: float,
        activation: _Activation,
    ) -> torch.Tensor:
        rows = activation.of(gate).mul_(gated).reshape(-1, gate.shape[-1])
        narrow = rows @ down.to(rows.dtype).t()
        out = linear(rows, weight, bias)
        out.addmm_(narrow, up.to(rows.dtype).t(), alpha=scaling)
        ctx.save_for_backward(gate, gated, weight, down, up, narrow)
        ctx.scaling, ctx.activation = scaling, activation
        return out.view(*gate.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gate, gated, weight, down, up, narrow = ctx.saved_tensors
        grad = grads[0].reshape(-1, weight.shape[0])
        activated = ctx.activation.of(gate)
        grad_narrow = (grad @ up.to(grad.dtype)).mul_(ctx.scaling)
        grad_down = (grad_narrow.t() @ (activated * gated).view(-1, gate.shape[-1])).to(down.dtype)
        grad_up = (grad.t() @ narrow).to(up.dtype).mul_(ctx.scaling)
        grad_product = (grad @ weight).addmm_(grad_narrow, down.to(grad.dtype)).view(gate.shape)
        grad_gated = activated.mul_(grad_product)
        grad_gate = ctx.activation.back(grad_product.mul_(gated), gate)
        return grad_gate, grad_gated, None, None, grad_down, grad_up, None, None


def gate_in_one_step(model: torch.nn.Module) -> None:
    """Have the feed-forward parts of an adapted model computed so, wherever they are gated ones and nothing else."""
    random = torch.Generator().manual_seed(0)
    for module in model.modules():
        output, activation = getattr(module, "down_proj", None), getattr(module, "act_fn", None)
        known = _ACTIVATIONS.get(type(activation))
        if known is None or type(output) is not Linear or not is_plain(output):
            continue
        shortened = _forward(module, output, known, module.forward)
        weight = cast(torch.Tensor, output.get_base_layer().weight)
        x = torch.randn(2, weight.shape[0], generator=random).to(weight)
        try:
            with torch.no_grad():
                usual, found = module(x), shortened(x)
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):  # it takes or has something else
            continue
        if usual.shape == found.shape and torch.allclose(found.float(), usual.float(), rtol=0.02, atol=1e-3):
            module.forward = shortened


def _forward(
    module: torch.nn.Module, output: Linear, activation: _Activation, usual: Callable[..., torch.Tensor]
) -> Callable[..., torch.Tensor]:
    (name,) = output.active_adapters
    base: torch.nn.Linear = output.get_base_layer()  # type: ignore[assignment]

    def forward(x: torch.Tensor) -> torch.Tensor:
        if output.disable_adapters or output.merged:
            return usual(x)
        gate, gated = module.gate_proj(x), module.up_proj(x)  # type: ignore[operator]
        down, up = output.lora_A[name].weight, output.lora_B[name].weight
        scaling = output.scaling[name]
        out = _Gated.apply(gate, gated, base.weight, base.bias, down, up, scaling, activation)  # type: ignore[no-untyped-call]
        return cast(torch.Tensor, out)

    return forward
