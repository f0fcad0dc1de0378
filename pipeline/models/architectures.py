"""Which architectures are trained and served here, read from a config.json. Torch-free.

Each of SUPPORTED goes the whole way in the tests: tokens, training, resuming, answers made together.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pipeline.durable import read_file
from pipeline.errors import InputError
from pipeline.models.hub_cache import title

SUPPORTED = ("gemma3_text", "llama", "mistral", "qwen2", "qwen3", "smollm3")

# What a config.json says of kinds of models that people try, by keys that no supported one has. The first that fits.
_LAYERS = "it has layers that are no attention, such as Mamba's"
_KINDS = (
    (_LAYERS, ("ssm_cfg", "state_size", "mamba_d_state", "ssm_state_size", "conv_L_cache", "linear_num_key_heads")),
    ("it is a mixture of experts", ("num_experts", "num_local_experts", "n_routed_experts", "moe_intermediate_size")),
    ("it is a model of text with images or sound", ("vision_config", "audio_config", "image_token_id")),
    ("it has an encoder of its own", ("encoder_layers", "num_encoder_layers", "num_decoder_layers", "encoder")),
)
_NO_ATTENTION = ("linear_attention", "mamba", "conv", "recurrent")


def check_architecture(directory: Path) -> None:
    """See that a model's architecture is one of SUPPORTED and its weights are not quantised.

    A config.json that cannot be read, names none, or needs code of its own is left to transformers.

    Raises:
        InputError: one or the other is not so.
    """
    try:
        config = msgspec.json.decode(read_file(directory / "config.json"), type=dict[str, Any])
    except (OSError, UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return
    where, kind = f"base model {title(directory)}", config.get("model_type")
    if kind is not None and kind not in SUPPORTED and "auto_map" not in config:
        why = _why(config)
        raise InputError(
            where,
            f"its architecture cannot be trained here{f': {why}' if why else ''}",
            got=str(kind),
            fix=f"Choose a model of one of these: {', '.join(SUPPORTED)}.",
        )
    if (quantised := config.get("quantization_config")) is not None:
        how = quantised.get("quant_method") if isinstance(quantised, Mapping) else None
        raise InputError(
            where,
            "its weights are quantised, and training needs them whole",
            got=str(how or "quantization_config"),
            fix="Choose the model that it was made from, in bfloat16 or float32.",
        )


def _why(config: Mapping[str, Any]) -> str | None:
    """What stands against the model that a config.json describes, if it is one of those that people try."""
    inner = config.get("text_config")
    text = inner if isinstance(inner, Mapping) else config
    layers = text.get("layer_types")
    if isinstance(layers, list) and any(str(layer).startswith(_NO_ATTENTION) for layer in layers):
        return _LAYERS
    return next((why for why, marks in _KINDS if {*config, *text}.intersection(marks)), None)
