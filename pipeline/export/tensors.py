"""Weights one by one: those of a base model with an adapter added, and files of safetensors written as they come.

The format of safetensors: eight bytes with the length of a JSON header, the header with each tensor's type, shape and
place, then the data (huggingface/safetensors, README). Imports torch.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import torch
from safetensors import safe_open

from pipeline.durable import read_file
from pipeline.errors import InputError

_NAMES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
_BEFORE = "base_model.model."
_HALVES = (".lora_A.weight", ".lora_B.weight")
_PLAIN = {"use_dora": False, "bias": "none", "alpha_pattern": {}, "rank_pattern": {}, "fan_in_fan_out": False}
"""What the configuration of an adapter says that is nothing but two factors for each layer."""


class Weights:
    """A base model's weights with an adapter's added, read when they are asked for.

    Attributes:
        shapes: by name.
        files: the names in each file of the base model.
    """

    def __init__(self, base: Path, adapter: Path) -> None:
        """Look what there is.

        Raises:
            InputError: the adapter is of another kind, or of another model.
        """
        self._base = base
        config = _adapter_config(adapter)
        rank, alpha = int(config["r"]), float(config["lora_alpha"])
        self._scale = alpha / (rank**0.5 if config.get("use_rslora") else rank)
        self.files: dict[str, list[str]] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._types: dict[str, str] = {}
        for file in sorted(base.glob("*.safetensors")):
            with safe_open(file, "pt") as opened:
                self.files[file.name] = list(opened.keys())
                for name in self.files[file.name]:
                    part = opened.get_slice(name)
                    self.shapes[name], self._types[name] = tuple(part.get_shape()), part.get_dtype()
        self._factors: dict[str, torch.Tensor] = {}
        with safe_open(adapter / "adapter_model.safetensors", "pt") as opened:
            self._factors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  it is no dict
        self._adapted = {self._name_in_base(name) for name in self._factors if name.endswith(_HALVES[0])}
        if 2 * len(self._adapted) != len(self._factors) or not self._adapted <= set(self.shapes):
            raise InputError(str(adapter), "this adapter does not fit the base model", fix="Train it again.")

    def _name_in_base(self, name: str) -> str:
        return name.removeprefix(_BEFORE).removesuffix(_HALVES[0]) + ".weight"

    def type(self, name: str) -> str:
        """The type that the base model has it in, as safetensors call it."""
        return self._types[name]

    def get(self, name: str) -> torch.Tensor:
        """One of them, with the adapter's part; float32 if it is adapted."""
        file = next(file for file, names in self.files.items() if name in names)
        with safe_open(self._base / file, "pt") as opened:
            tensor: torch.Tensor = opened.get_tensor(name)
        if name not in self._adapted:
            return tensor
        factors = [self._factors[_BEFORE + name.removesuffix(".weight") + half].float() for half in _HALVES]
        return tensor.float() + self._scale * (factors[1] @ factors[0])

    def write(self, file: str, target: BinaryIO) -> None:
        """Write one of the base model's files anew, in the types that it has."""
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        at = 0
        for name in self.files[file]:
            size = _NAMES[self._types[name]].itemsize * torch.Size(self.shapes[name]).numel()
            header[name] = {
                "dtype": self._types[name], "shape": self.shapes[name], "data_offsets": [at, at + size],
            }  # fmt: skip
            at += size
        encoded = msgspec.json.encode(header)
        encoded += b" " * (-len(encoded) % 8)
        target.write(len(encoded).to_bytes(8, "little") + encoded)
        for data in self._data(file):
            target.write(data)

    def _data(self, file: str) -> Iterator[bytes]:
        for name in self.files[file]:
            tensor = self.get(name).to(_NAMES[self._types[name]]).contiguous()
            yield tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


def _adapter_config(adapter: Path) -> dict[str, Any]:
    """What the adapter says of itself.

    Raises:
        InputError: it is more than two factors for each layer.
    """
    config: dict[str, Any] = msgspec.json.decode(read_file(adapter / "adapter_config.json"), type=dict[str, Any])
    wrong = [key for key, plain in _PLAIN.items() if config.get(key, plain) != plain]
    if config.get("peft_type") != "LORA" or wrong or config.get("modules_to_save"):
        got = ", ".join([str(config.get("peft_type")), *wrong])
        raise InputError(str(adapter), "expected a plain LoRA adapter", got=got, fix="Export with `--to adapter`.")
    return config
