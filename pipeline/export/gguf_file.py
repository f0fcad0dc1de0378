"""A tuned model as one GGUF file, written tensor by tensor with the library of llama.cpp's authors.

What differs between the architectures is in KINDS, after llama.cpp's own converter (conversion of each in
convert_hf_to_gguf.py, and src/llama-model.cpp for what it has no key for). Imports torch.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type

from pipeline.errors import ExpectationNotMet, InputError
from pipeline.export.gguf_vocabulary import Ends, add_vocabulary
from pipeline.export.messages import Quant
from pipeline.export.tensors import Weights
from pipeline.models.hub_cache import title


class Kind(NamedTuple):
    """How llama.cpp computes an architecture.

    Attributes:
        rotates_pairs: it rotates neighbours, where transformers rotates halves: the rows of q and k change places.
        norm_plus: what is added to the weights of norms.
    """

    arch: gguf.MODEL_ARCH
    rotates_pairs: bool = False
    norm_plus: float = 0.0


KINDS = {
    "llama": Kind(gguf.MODEL_ARCH.LLAMA, rotates_pairs=True),
    "mistral": Kind(gguf.MODEL_ARCH.LLAMA, rotates_pairs=True),
    "smollm3": Kind(gguf.MODEL_ARCH.SMOLLM3, rotates_pairs=True),
    "qwen2": Kind(gguf.MODEL_ARCH.QWEN2),
    "qwen3": Kind(gguf.MODEL_ARCH.QWEN3),
    "gemma3_text": Kind(gguf.MODEL_ARCH.GEMMA3, norm_plus=1.0),
}
_TYPES: dict[Quant, tuple[Type, gguf.LlamaFileType]] = {
    "f32": (Type.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (Type.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (Type.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
_NO_ROPE_EVERY = 4  # SmolLM3's layers without positions; llama.cpp knows no other pattern
_FULL_EVERY = 6  # Gemma 3's layers that see everything; likewise


class Converted:
    """A model's tensors under llama.cpp's names, computed when they are asked for.

    Args:
        config: the base model's, as transformers reads it.
    """

    def __init__(self, directory: Path, weights: Weights, config: Any, quant: Quant) -> None:
        """See that llama.cpp can compute it.

        Raises:
            InputError: it cannot.
        """
        self._directory = directory
        self._weights = weights
        self._config = config
        self._kind = KINDS[config.model_type]
        self._quant = _TYPES[quant][0]
        self._head = int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
        names = gguf.get_tensor_name_map(self._kind.arch, config.num_hidden_layers)
        self.names: dict[str, str] = {}
        for name in weights.shapes:
            if name == "lm_head.weight" and config.tie_word_embeddings:
                continue
            found = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if found is None:
                raise self._refused(f"llama.cpp has no place for its weights {name}")
            self.names[found if found.endswith((".weight", ".bias")) else f"{found}{name[name.rindex('.') :]}"] = name
        self._rope = dict(getattr(config, "rope_parameters", None) or {})
        if "full_attention" in self._rope:
            self._local = self._rope.get("sliding_attention")
            self._rope = self._rope["full_attention"]
        else:
            self._local = None
        self._check()

    def _refused(self, what: str) -> InputError:
        return InputError(f"base model {title(self._directory)}", what, fix="Export with `--to merged`.")

    def _check(self) -> None:
        config = self._config
        if self._rope.get("rope_type", "default") not in ("default", "linear", "llama3"):
            raise self._refused(f"positions of the kind {self._rope['rope_type']} are not written as GGUF here")
        layers = range(1, config.num_hidden_layers + 1)
        if config.model_type == "smollm3":
            if list(config.no_rope_layers) != [int(layer % _NO_ROPE_EVERY != 0) for layer in layers]:
                raise self._refused(f"llama.cpp wants every {_NO_ROPE_EVERY}th layer without positions")
        elif config.model_type == "gemma3_text":
            kinds = ["full_attention" if layer % _FULL_EVERY == 0 else "sliding_attention" for layer in layers]
            if list(config.layer_types) != kinds or config.query_pre_attn_scalar != self._head:
                raise self._refused("its attention is not that of Gemma 3's small models, which llama.cpp computes")

    def context(self) -> int:
        """How many tokens it may look at; llama.cpp gives Mistral and Qwen no sliding window, so not beyond that."""
        window = getattr(self._config, "sliding_window", None)
        most = int(self._config.max_position_embeddings)
        slides = window is not None and self._config.model_type != "gemma3_text"
        if slides and getattr(self._config, "use_sliding_window", True):
            return min(most, int(window or most))
        return most

    def add_keys(self, writer: gguf.GGUFWriter) -> None:
        """What llama.cpp needs to know besides the tensors."""
        config = self._config
        writer.add_context_length(self.context())
        writer.add_embedding_length(config.hidden_size)
        writer.add_block_count(config.num_hidden_layers)
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count(config.num_attention_heads)
        writer.add_head_count_kv(config.num_key_value_heads or config.num_attention_heads)
        writer.add_key_length(self._head)
        writer.add_value_length(self._head)
        writer.add_rope_dimension_count(self._head)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_freq_base(float(self._rope.get("rope_theta") or 10000.0))
        if self._rope.get("rope_type") == "linear":
            writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(float(self._rope["factor"]))
        if config.model_type == "gemma3_text":
            writer.add_sliding_window(config.sliding_window)
            writer.add_sliding_window_pattern(_FULL_EVERY)
            if self._local:
                writer.add_rope_freq_base_swa(float(self._local["rope_theta"]))
        writer.add_vocab_size(config.vocab_size)

    def type_of(self, name: str) -> Type:
        """What a tensor is written as: norms and biases whole, rows that are no multiple of a block as float16."""
        shape = self._weights.shapes[self.names[name]]
        if len(shape) == 1:
            return Type.F32
        return Type.F16 if self._quant == Type.Q8_0 and shape[-1] % 32 else self._quant

    def tensors(self) -> Iterator[tuple[str, Type, "tuple[int, ...]"]]:
        """Name, type and shape of each, in the order of the file."""
        if self._rope.get("rope_type") == "llama3":
            yield "rope_freqs.weight", Type.F32, (self._head // 2,)
        for name, original in self.names.items():
            yield name, self.type_of(name), self._weights.shapes[original]

    def values(self, name: str) -> "np.ndarray[Any, Any]":
        """One of them in float32."""
        if name == "rope_freqs.weight":
            return self._llama3_factors()
        original = self.names[name]
        tensor = self._weights.get(original).float()
        if self._kind.rotates_pairs and ".self_attn." in original:
            for part, heads in (
                (".q_proj.", self._config.num_attention_heads), (".k_proj.", self._config.num_key_value_heads),
            ):  # fmt: skip
                if part in original:
                    apart = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
                    tensor = apart.swapaxes(1, 2).reshape(tensor.shape)
        if original.endswith("norm.weight"):
            tensor = tensor + self._kind.norm_plus
        found: np.ndarray[Any, Any] = tensor.contiguous().numpy()
        return found

    def _llama3_factors(self) -> "np.ndarray[Any, Any]":
        """By how much each frequency is slowed down (transformers, modeling_rope_utils.py, llama3)."""
        rope = self._rope
        frequencies = 1.0 / (rope["rope_theta"] ** (torch.arange(0, self._head, 2).float() / self._head))
        before = rope["original_max_position_embeddings"]
        low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
        found = []
        for frequency in frequencies.tolist():
            length = 2 * math.pi / frequency
            smooth = min(1.0, max(0.0, (before / length - low) / (high - low)))
            found.append(1 / ((1 - smooth) / factor + smooth))
        return np.array(found, dtype=np.float32)


def write_gguf(
    path: Path, converted: Converted, directory: Path, size: int, ends: Ends, quant: Quant, *, name: str, template: str
) -> None:
    """Write the file; one tensor is in memory at a time."""
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[converted._kind.arch])
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    writer.add_file_type(_TYPES[quant][1])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    converted.add_keys(writer)
    add_vocabulary(writer, directory, size, ends)
    writer.add_chat_template(template)
    for tensor, kind, shape in converted.tensors():
        block, bytes_of_block = gguf.GGML_QUANT_SIZES[kind]
        nbytes = math.prod(shape) // block * bytes_of_block
        writer.add_tensor_info(tensor, shape, np.dtype(np.float32), nbytes, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor, kind, _ in list(converted.tensors()):
        writer.write_tensor_data(gguf.quantize(converted.values(tensor), kind))
    writer.close()


_FURTHEST = {Type.F32: 0.0, Type.F16: 2**-10, Type.Q8_0: 1 / 127}
"""How far from what it stands for a number may be, as a part of the largest of its row."""


def compare_tensors(path: Path, converted: Converted) -> str:
    """Read the file again, and see that each tensor is what was to be written.

    Raises:
        ExpectationNotMet: one is not.
    """
    read = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    furthest = 0.0
    for name, kind, _ in list(converted.tensors()):
        wanted = converted.values(name)
        found = gguf.dequantize(read[name].data, read[name].tensor_type).reshape(wanted.shape)
        part = np.abs(found - wanted).max(-1) / np.maximum(np.abs(wanted).max(-1), 1e-30)
        furthest = max(furthest, float(part.max()))
        if part.max() > _FURTHEST[kind]:
            raise ExpectationNotMet(
                "export",
                f"the tensor {name} in the GGUF file is not what was to be written",
                got=f"a difference of {part.max():.4f} of the largest number",
                fix="Nothing was kept. Export with `--to merged`.",
            )
    return f"compared tensor by tensor, not run: {len(read)} tensors, {furthest:.5f} of a row's largest number off"
