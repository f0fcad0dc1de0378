"""Where and in which precision a model runs, and loading it there. Imports torch."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from pipeline.errors import InputError
from pipeline.models.base_models import quiet_transformers, unloadable
from pipeline.models.exit_codes import exit_status

Dtype = Literal["float32", "bfloat16"]

MAX_LAYERS = 1_000
"""More than any model has; to lay out a million takes minutes and gigabytes before anything is seen to be missing."""

_LAYERS = re.compile("num_hidden_layers|num_layers|n_layers?")
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


def check_model(directory: Path, example: Sequence[int], tokens: Iterable[int]) -> None:
    """See that a base model could be loaded and trained, without reading its weights.

    Their names and shapes are enough, and one layer of zeros to send an example through.

    Args:
        example: the token ids of a short conversation.
        tokens: all that its tokenizer may make of a text, and what it pads with.

    Raises:
        InputError: it could not.
    """
    model = _pretrained(directory, device_map="meta", dtype=torch.float32)
    where, fix = f"base model {directory.name}", f"Put files that belong together into {directory}."
    rows, highest = vocabulary_size(model), max(*example, *tokens)
    if highest >= rows:
        what = f"its tokenizer has a token {highest}, but the model knows only those below {rows}"
        raise InputError(where, what, fix=fix)
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if positions is not None and positions < len(example):
        what = f"its max_position_embeddings has no room for a question and an answer, which take {len(example)} tokens"
        raise InputError(where, what, got=str(positions), fix="Mend its config.json, or choose another base model.")
    try:
        _send_through_one_layer(model, example)
    except Exception as error:
        if exit_status(error) != 1:
            raise
        raise unloadable(directory, "it so that it can be trained", error) from error


def check_config(directory: Path) -> None:
    """See that transformers takes a config, and that it asks for no more layers than there can be.

    Raises:
        InputError: one or the other is not so.
    """
    quiet_transformers()
    _check_layers(directory)  # first: of so many layers transformers would make lists
    try:
        AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a config may say anything
        raise unloadable(directory, "its config.json", error) from error


def _check_layers(directory: Path) -> None:
    try:
        config = json.loads((directory / "config.json").read_bytes())
    except (ValueError, RecursionError):
        return  # transformers says it better
    sections = [config, *config.values()] if isinstance(config, dict) else []
    for section in sections:
        for name, value in section.items() if isinstance(section, dict) else ():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if _LAYERS.fullmatch(name) and is_number and not 1 <= value <= MAX_LAYERS:
                raise InputError(
                    f"base model {directory.name}",
                    f"expected 1 to {MAX_LAYERS} layers in its config.json",
                    got=f"{name}: {value}",
                    fix="Mend the directory, or choose another base model.",
                )


def vocabulary_size(model: PreTrainedModel) -> int:
    """How many tokens a model knows."""
    table: torch.Tensor = model.get_input_embeddings().weight  # type: ignore[assignment]
    return table.shape[0]


def _send_through_one_layer(model: PreTrainedModel, example: Sequence[int]) -> None:
    """Compute one layer as in training; takes a model that is on no device and leaves it useless."""
    count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    stacks = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, torch.nn.ModuleList) and len(child) == count
    ]
    if len(stacks) != 1:  # an architecture of another shape: the training itself will tell
        return
    parent, name, layers = stacks[0]
    setattr(parent, name, layers[:1])
    model.to_empty(device="cpu")  # memory that is not written to, such as most of the vocabulary's, takes none
    for parameter in layers[0].parameters():
        torch.nn.init.zeros_(parameter)
    ids = torch.tensor([list(example)])
    model.train()
    model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)


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
