"""Measures how fast this machine trains, in a process of its own: `python -m pipeline.models.probe`. Imports torch.

Two rates decide how long a step takes: that of the bare matrix products, and that of what is done to each number
between them. Both are measured at the sizes of SmolLM2-135M, in the precision that training would take here; for less
than a second, after torch is imported.
"""

import sys
import time
from collections.abc import Callable

import msgspec
import torch

from pipeline.models.environment import settle_worker
from pipeline.models.machine import Device, Measured
from pipeline.models.precision import pick_device, pick_dtype

_SECONDS = 0.25
_AT_ONCE = 10
_TOKENS, _HIDDEN, _WIDE = 256, 576, 1536
_ON_GPU = 16
"""As many times as many tokens there: a GPU is not busy with fewer."""


def measure() -> Measured:
    """What this machine does; on a CPU one thread by its own time, so that other programs do not count."""
    device = pick_device()
    dtype = pick_dtype(device)
    torch.set_num_threads(1)
    is_cpu = device.type == "cpu"
    tokens = _TOKENS if is_cpu else _TOKENS * _ON_GPU
    text = torch.randn(tokens, _HIDDEN, device=device, dtype=getattr(torch, dtype))
    matrix = torch.randn(_WIDE, _HIDDEN, device=device, dtype=getattr(torch, dtype))
    wide = torch.randn(tokens, _WIDE, device=device)
    now = time.process_time if is_cpu else time.monotonic
    products = _rate(lambda: torch.nn.functional.linear(text, matrix), 2 * tokens * _HIDDEN * _WIDE, device, now)
    made = torch.empty_like(wide)
    passes = _rate(lambda: torch.mul(wide, wide, out=made), wide.numel(), device, now)
    memory = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None
    called = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    kinds: dict[str, Device] = {"cuda": "cuda", "mps": "mps"}
    return Measured(kinds.get(device.type, "cpu"), called, dtype, products, passes, memory)


def _rate(work: Callable[[], object], size: int, device: torch.device, now: Callable[[], float]) -> float:
    """`size` times how often `work` is done in a second, at best: what else goes on only makes it slower."""
    best, begun = 0.0, now()
    while now() - begun < _SECONDS:
        start = now()
        for _ in range(_AT_ONCE):
            work()
        _wait_for(device)
        best = max(best, _AT_ONCE * size / max(now() - start, 1e-9))
    return best


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


if __name__ == "__main__":
    settle_worker()
    sys.stdout.buffer.write(msgspec.json.encode(measure()))
