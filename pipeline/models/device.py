"""Where and in which precision a model runs, and loading it there. Imports torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from pipeline.errors import InputError
from pipeline.models.base_models import quiet_transformers, unloadable
from pipeline.models.exit_codes import exit_status

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


def load_model(directory: Path, dtype: Dtype, device: torch.device) -> PreTrainedModel:
    """Load a base model from its Hugging Face directory: safetensors only, and none of its own code.

    Its attention is PyTorch's fused one: what plain softmax computes backwards differs in its last bits with the number
    of threads, which follows how busy the machine is. It takes up to 15 % longer in bfloat16, and no longer in float32.

    Raises:
        InputError: transformers cannot load it.
    """
    quiet_transformers()
    model = _pretrained(directory, dtype=getattr(torch, dtype))
    model.to(device)  # type: ignore[arg-type]  # transformers wraps the method and loses its `self`
    return model


def check_model(directory: Path) -> None:
    """See that a base model could be loaded, without reading its weights: their names and shapes are enough.

    Raises:
        InputError: it could not.
    """
    quiet_transformers()
    try:
        AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # as below
        raise unloadable(directory, "its config.json", error) from error
    _pretrained(directory, device_map="meta")


def _pretrained(directory: Path, **how: object) -> PreTrainedModel:
    try:
        loaded: tuple[PreTrainedModel, dict[str, Any]] = AutoModelForCausalLM.from_pretrained(  # type: ignore[assignment]
            directory,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # found out below, by name
            output_loading_info=True,
            **how,
        )
    except Exception as error:  # a config may say anything, and it shows anywhere in transformers
        if exit_status(error) != 1:  # the machine is to blame
            raise
        raise unloadable(directory, "it", error) from error
    model, found = loaded
    wrong = [
        f"{name} has the shape {list(has)}, expected {list(wants)}" for name, has, wants in found["mismatched_keys"]
    ]
    wrong += [f"{name} is missing" for name in sorted(found["missing_keys"])]
    if wrong:
        more = f" and {len(wrong) - 1} more" if wrong[1:] else ""
        raise InputError(
            f"base model {directory.name}",
            f"its weights are not those of its config.json ({wrong[0]}{more})",
            fix=f"Put files that belong together into {directory}, or choose another base model.",
        )
    return model


def context_length(model: PreTrainedModel) -> int:
    """How many tokens the model can look at."""
    return int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or 2048)
