"""Loss of target tokens, whose logits never lie in memory all at once. Imports torch.

A vocabulary of logits for each target of 2,048 takes 400 MB in float32, and as much again for the loss, and for the way
back. Here a part of the targets goes through at a time, all the way, for the sum of their losses is what is wanted.
"""

from typing import Any, cast

import torch

_LOGITS = 1 << 24
"""Logits at once: 64 MB of them in float32."""


class _TargetLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
        correct = torch.zeros((), dtype=torch.int64, device=hidden.device)
        grad = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        count = max(1, _LOGITS // len(head))
        for first in range(0, len(targets), count):
            part, wanted = hidden[first : first + count], targets[first : first + count, None]
            logits = (part @ head.t()).float()
            correct += (logits.argmax(-1, keepdim=True) == wanted).sum()
            logs = logits.log_softmax(-1)
            loss -= logs.gather(-1, wanted).sum()
            if grad is not None:
                less = logs.exp_().scatter_add_(-1, wanted, torch.full_like(wanted, -1, dtype=logs.dtype))
                torch.mm(less.to(hidden.dtype), head, out=grad[first : first + count])
        if grad is not None:
            ctx.save_for_backward(grad)
        ctx.mark_non_differentiable(correct)
        return loss, correct

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return grad * grads[0].to(grad.dtype), None, None


def target_loss(hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum of losses in nats, and number of targets that were predicted as the most likely.

    Args:
        hidden: what the model's last layer says of the token before each target, (targets, size).
        head: weights of the vocabulary, (vocabulary, size); they are not trained.
        targets: token ids.
    """
    computed = _TargetLoss.apply(hidden, head, targets)  # type: ignore[no-untyped-call]
    return cast(tuple[torch.Tensor, torch.Tensor], computed)
