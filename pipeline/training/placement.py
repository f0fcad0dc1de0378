"""Where and in which precision a model runs, and loading it there. Imports torch."""

import time
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel

from pipeline.errors import InputError
from pipeline.training.base_models import quiet_transformers

Dtype = Literal["float32", "bfloat16"]

_WORTH_IT = 1.2


def pick_device() -> torch.device:
    """CUDA or MPS where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def pick_dtype(device: torch.device) -> Dtype:
    """The faster precision of frozen weights on `device`.

    A CPU is measured (50 ms), because neither its name nor its flags tell: bfloat16 is up to 7 times faster than
    float32 with AMX, 2 times with AVX512-BF16, and slower without either.
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    if device.type == "mps":
        return "float32"
    return "bfloat16" if _seconds(torch.float32) > _WORTH_IT * _seconds(torch.bfloat16) else "float32"


def _seconds(dtype: torch.dtype) -> float:
    """The best of a few matrix products, about as large as a small model's."""
    left, right = torch.ones(256, 576, dtype=dtype), torch.ones(1536, 576, dtype=dtype)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        torch.nn.functional.linear(left, right)
        times.append(time.perf_counter() - start)
    return min(times)


def load_model(directory: Path, dtype: Dtype, device: torch.device) -> PreTrainedModel:
    """Load a base model from its Hugging Face directory: safetensors only, and none of its own code.

    Raises:
        InputError: transformers cannot load it.
    """
    quiet_transformers()
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            directory,
            dtype=getattr(torch, dtype),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(
            f"base model {directory.name}",
            f"transformers cannot load it ({type(error).__name__}: {str(error).splitlines()[0]})",
            fix="Mend the directory, or choose another base model.",
        ) from error
    model.to(device)  # type: ignore[arg-type]  # transformers wraps the method and loses its `self`
    return model


def context_length(model: PreTrainedModel) -> int:
    """How many tokens the model can look at."""
    return int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or 2048)
