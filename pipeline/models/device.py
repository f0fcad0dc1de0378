"""Loading a model where it runs, and in which precision. Imports torch and transformers."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from pipeline.errors import InputError
from pipeline.models.base_models import mend, quiet_transformers, unloadable
from pipeline.models.exit_codes import exit_status
from pipeline.models.hub_cache import title
from pipeline.models.precision import Dtype as Dtype
from pipeline.models.precision import cpu_dtype as cpu_dtype
from pipeline.models.precision import pick_device as pick_device
from pipeline.models.precision import pick_dtype as pick_dtype

MAX_LAYERS = 1_000
"""More than any model has; to lay out a million takes minutes and gigabytes before anything is seen to be missing."""

_LAYERS = re.compile("num_hidden_layers|num_layers|n_layers?")


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
    where = f"base model {title(directory)}"
    fix = mend(directory, f"Put files that belong together into {directory}.")
    rows, highest = vocabulary_size(model), max(*example, *tokens)
    if highest >= rows:
        what = f"its tokenizer has a token {highest}, but the model knows only those below {rows}"
        raise InputError(where, what, fix=fix)
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if positions is not None and positions < len(example):
        what = f"its max_position_embeddings has no room for a question and an answer, which take {len(example)} tokens"
        fix = mend(directory, "Mend its config.json, or choose another base model.")
        raise InputError(where, what, got=str(positions), fix=fix)
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
                    f"base model {title(directory)}",
                    f"expected 1 to {MAX_LAYERS} layers in its config.json",
                    got=f"{name}: {value}",
                    fix=mend(directory),
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
            f"base model {title(directory)}",
            f"its weights are not those of its config.json ({wrong[0]}{more})",
            fix=mend(directory, f"Put files that belong together into {directory}, or choose another base model."),
        )
    return model


def context_length(model: PreTrainedModel) -> int:
    """How many tokens the model can look at."""
    return int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or 2048)
