"""A base model in memory and the adapters on it, loaded without loading the base again. Imports torch."""

from collections.abc import Sequence
from pathlib import Path

import torch
from peft import PeftModel
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError
from transformers import PreTrainedModel

from pipeline.errors import InputError
from pipeline.inference import packing
from pipeline.inference.batching import Part
from pipeline.models.chat_format import ChatFormat
from pipeline.models.device import context_length, load_model, pick_device, pick_dtype, vocabulary_size


class ResidentModel:
    """One base model. Not safe to use from several threads at once: whoever uses it takes turns.

    Attributes:
        chat_format: its tokenizer and template.
        context: how many tokens it can look at.
        vocabulary: how many tokens it knows.
        packs: whether several parts take `forward` little longer than one.
    """

    def __init__(self, directory: Path) -> None:
        """Load from a Hugging Face directory.

        Raises:
            InputError: the directory has no usable tokenizer or chat template.
        """
        device = pick_device()
        self.chat_format = ChatFormat(directory)
        self._base: PreTrainedModel = load_model(directory, pick_dtype(device), device)
        self._adapted: PeftModel | None = None
        self._names: dict[Path, str] = {}
        self._count = 0
        self._selected: Path | None = None
        self._unsure = False  # PEFT selects as it likes when adapters come and go
        self.context = context_length(self._base)
        self.vocabulary = vocabulary_size(self._base)
        self.packs = packing.make_packable(self._base)

    def load(self, adapter: Path) -> None:
        """Put an adapter on the model, if it is not there yet.

        Raises:
            InputError: the folder holds no adapter, or one of another base model.
        """
        if adapter in self._names:
            return
        if not (adapter / SAFETENSORS_WEIGHTS_NAME).is_file():  # PEFT would read a pickle in its place
            raise InputError(str(adapter), "expected an adapter as safetensors", fix="Train it again.")
        self._count += 1
        name = f"adapter{self._count}"
        try:
            if self._adapted is None:
                self._adapted = PeftModel.from_pretrained(self._base, str(adapter), name, local_files_only=True).eval()
            else:
                self._adapted.load_adapter(str(adapter), name, local_files_only=True)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise InputError(
                str(adapter),
                f"not an adapter for this base model ({type(error).__name__})",
                fix="Train it again.",
            ) from error
        self._names[adapter] = name
        self._unsure = True

    def unload(self, adapter: Path) -> None:
        """Take an adapter off the model, if it is there."""
        name = self._names.pop(adapter, None)
        if name is None or self._adapted is None:
            return
        if self._names:
            self._adapted.set_adapter(next(iter(self._names.values())))  # PEFT stumbles over a deleted active one
            self._adapted.delete_adapter(name)
        else:
            self._base, self._adapted = self._adapted.unload(), None
        self._unsure = True

    def forward(self, adapter: Path | None, parts: Sequence[Part]) -> list[torch.Tensor]:
        """For each part the logits of the token after it: (vocabulary,), float32, on the CPU. Adds to the caches.

        Of a part that wants them whole, those after each token: (tokens, vocabulary), as the model computes them.

        Raises:
            InputError: the adapter was unloaded meanwhile.
        """
        if adapter is not None and adapter not in self._names:
            raise InputError(str(adapter), "the adapter was deleted", fix="Ask another model.")
        if self._adapted is not None:
            self._select(self._adapted, adapter)
        with torch.inference_mode():
            # The base model holds the adapters' layers too; calling it skips PEFT's own book-keeping.
            logits = packing.forward(self._base, parts) if self.packs else [self._forward(part) for part in parts]
        return [
            its_own if part.whole else its_own[-1].float().cpu().clone()
            for part, its_own in zip(parts, logits, strict=True)
        ]

    def _forward(self, part: Part) -> torch.Tensor:
        tokens = torch.tensor([list(part.ids)], device=self._base.device)
        logits: torch.Tensor = self._base(
            input_ids=tokens, past_key_values=part.cache, use_cache=True, logits_to_keep=0 if part.whole else 1
        ).logits
        return logits[0]

    def _select(self, adapted: PeftModel, adapter: Path | None) -> None:
        if adapter == self._selected and not self._unsure:
            return  # selecting walks all layers, which takes half as long as a token
        self._selected, self._unsure = adapter, False
        if adapter is None:
            adapted.base_model.disable_adapter_layers()  # type: ignore[operator]  # nn.Module types it as a Tensor
            return
        adapted.base_model.enable_adapter_layers()  # type: ignore[operator]
        adapted.set_adapter(self._names[adapter])
