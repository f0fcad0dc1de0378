"""A frozen linear layer with its adapter as one step of autograd. Imports torch.

PEFT adds the adapter's output to the layer's in float32, in five tensors as large as the output and three as large as
the input; in bfloat16 each of them is a copy in another precision, and the adapter's products are float32's slow ones.
Here the adapter computes in the precision of the weights and adds its output in the product itself, and what is kept
for the way back is the input and a tensor as narrow as the rank. The adapter's own weights and gradients stay float32.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from peft.tuners.lora import Linear
from torch.nn.functional import linear


class _Adapted(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])
        narrow = rows @ down.to(x.dtype).t()
        out = linear(rows, weight, bias)
        out.addmm_(narrow, up.to(x.dtype).t(), alpha=scaling)
        ctx.save_for_backward(x, weight, down, up, narrow)
        ctx.scaling = scaling
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, down, up, narrow = ctx.saved_tensors
        rows, grad = x.reshape(-1, x.shape[-1]), grads[0].reshape(-1, weight.shape[0])
        grad_narrow = (grad @ up.to(grad.dtype)).mul_(ctx.scaling)
        grad_down = (grad_narrow.t() @ rows).to(down.dtype)
        grad_up = (grad.t() @ narrow).to(up.dtype).mul_(ctx.scaling)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = (grad @ weight).addmm_(grad_narrow, down.to(grad.dtype)).view(x.shape)
        return grad_x, None, None, grad_down, grad_up, None


def adapt_in_one_step(model: torch.nn.Module) -> None:
    """Have the adapted linear layers of a model computed so, wherever the adapter is a plain one."""
    for module in model.modules():
        if type(module) is Linear and is_plain(module):
            module.forward = _forward(module, module.forward)  # type: ignore[method-assign]


def is_plain(module: Linear) -> bool:
    """Whether it is a frozen linear layer and one adapter of two weights, and nothing else."""
    (name, *others) = module.active_adapters
    base = module.get_base_layer()
    return (
        not others
        and type(base) is torch.nn.Linear
        and not base.weight.requires_grad
        and not module.fan_in_fan_out
        and not module.lora_variant
        and isinstance(module.lora_dropout[name], torch.nn.Identity)
        and module.lora_A[name].bias is None
        and module.lora_B[name].bias is None
    )


def _forward(module: Linear, usual: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    (name,) = module.active_adapters
    base = module.get_base_layer()

    def forward(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if args or kwargs or module.disable_adapters or module.merged:
            return usual(x, *args, **kwargs)
        down, up = module.lora_A[name].weight, module.lora_B[name].weight
        adapted = _Adapted.apply(x, base.weight, base.bias, down, up, module.scaling[name])  # type: ignore[no-untyped-call]
        return cast(torch.Tensor, adapted)

    return forward
