"""Which files of a model training needs."""

import fnmatch
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pipeline.durable import read_file
from pipeline.errors import InputError
from pipeline.models.hub_cache import INDEX, SINGLE, weights_of

SMALL = (
    "config.json", "generation_config.json", "tokenizer*", "special_tokens_map.json", "added_tokens.json",
    "chat_template.jinja", "*.model", INDEX,
)  # fmt: skip
"""Of the first level only, where transformers looks. Weights that are code (`*.bin`, `*.pth`: pickles) are none."""
_MOST_SMALL = 200_000_000  # bytes; the largest tokenizers have 35 MB
_OTHER_WEIGHTS = {
    ".gguf": "GGUF", ".bin": "pickled PyTorch", ".pth": "pickled PyTorch", ".pt": "pickled PyTorch", ".h5": "Keras",
    ".msgpack": "Flax", ".onnx": "ONNX",
}  # fmt: skip
_CHOOSE = "Choose another model: one with safetensors that is made for chat."


def small_files(sizes: Mapping[str, int], where: str) -> list[str]:
    """The files beside the weights.

    Args:
        sizes: in bytes, of every file of the first level.

    Raises:
        InputError: something that training cannot do without is not among them.
    """
    chosen = sorted(name for name in sizes if any(fnmatch.fnmatchcase(name, pattern) for pattern in SMALL))
    chosen = [name for name in chosen if not name.endswith(tuple(_OTHER_WEIGHTS))]
    if "config.json" not in sizes and "adapter_config.json" in sizes:
        raise InputError(
            where,
            "is an adapter (LoRA), not a whole model",
            fix="Name the model that it was made for, as its page says.",
        )
    if "config.json" not in sizes:
        raise InputError(where, "has no config.json, so it is no model of transformers", fix=_CHOOSE)
    if INDEX not in sizes and SINGLE not in sizes:
        others = sorted({kind for name in sizes for end, kind in _OTHER_WEIGHTS.items() if name.endswith(end)})
        has = f"has weights as {' and '.join(others)} only" if others else "has no weights"
        raise InputError(where, f"{has}, and safetensors are needed, which cannot hold code", fix=_CHOOSE)
    if "tokenizer.json" not in sizes:
        raise InputError(where, "has no tokenizer.json", fix=_CHOOSE)
    for name in chosen:
        if sizes[name] > _MOST_SMALL:
            raise InputError(
                where, f"its {name} is larger than any such file", got=f"{sizes[name]:,} bytes", fix=_CHOOSE
            )
    return chosen


def weight_files(directory: Path, sizes: Mapping[str, int], where: str) -> list[str]:
    """The weights, as transformers looks for them: those that the index names, or the one file.

    Raises:
        InputError: the index names others than those that are there.
    """
    if INDEX not in sizes:
        return [SINGLE]
    try:
        named = weights_of(read_file(directory / INDEX))
    except msgspec.DecodeError as error:
        raise InputError(where, f"its {INDEX} makes no sense ({error})", fix=_CHOOSE) from None
    for name in named:
        if name not in sizes or not name.endswith(".safetensors"):
            raise InputError(where, f"its {INDEX} names a file that is not there", got=name, fix=_CHOOSE)
    return named
