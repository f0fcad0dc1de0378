"""On what and in which precision a model runs here. Imports torch, but not transformers, which takes much longer."""

from collections.abc import Mapping
from typing import Literal

import torch

Dtype = Literal["float32", "bfloat16"]

_FAST_BFLOAT16 = ("amx_bf16", "avx512_bf16")


def pick_device() -> torch.device:
    """CUDA or MPS where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def pick_dtype(device: torch.device) -> Dtype:
    """The faster precision of frozen weights on `device`; always the same on the same machine, however busy it is."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    if device.type == "mps":
        return "float32"
    return cpu_dtype(torch.cpu.get_capabilities())


def cpu_dtype(capabilities: Mapping[str, object]) -> Dtype:
    """The faster precision on a CPU that can do this, named as by torch.cpu.get_capabilities.

    Matrix products as large as a small model's take a seventh of the time in bfloat16 with AMX, and half of it with
    AVX512-BF16 (measured); without either they take longer. A measurement at the start of each training would be
    another one on a busy machine, and the same job would train another model.
    """
    return "bfloat16" if any(capabilities.get(name) for name in _FAST_BFLOAT16) else "float32"
