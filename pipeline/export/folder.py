"""The folders that transformers and PEFT load. Imports torch."""

import fnmatch
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from pipeline.durable import read_file, write_atomically
from pipeline.errors import ExpectationNotMet
from pipeline.export.frames import Frames
from pipeline.export.messages import Order
from pipeline.export.proof import Ask
from pipeline.export.tensors import Weights
from pipeline.models.base_models import quiet_transformers
from pipeline.models.chat_format import ChatFormat

_BESIDE = (
    "config.json", "generation_config.json", "tokenizer*", "special_tokens_map.json", "added_tokens.json", "*.model",
    "chat_template.jinja", "model.safetensors.index.json",
)  # fmt: skip
_TEMPLATE = "chat_template.jinja"
_TOKENIZER = "tokenizer_config.json"


def write_merged(order: Order, folder: Path, frames: Frames, chat_format: ChatFormat) -> None:
    """Write the base model with the adapter in its weights, and its chat template as trained with."""
    base = Path(order.base)
    for file in sorted(base.iterdir()):
        if file.is_file() and any(fnmatch.fnmatchcase(file.name, pattern) for pattern in _BESIDE):
            shutil.copyfile(file, folder / file.name)
    weights = Weights(base, Path(order.adapter))
    for name in weights.files:
        with (folder / name).open("wb") as target:
            weights.write(name, target)
    if not _is_as_trained(folder, chat_format, order):
        write_atomically(folder / _TEMPLATE, frames.jinja().encode())
        _drop_template(folder / _TOKENIZER)


def write_adapter(order: Order, folder: Path) -> None:
    """Copy the adapter, and have it name its base model as others know it."""
    shutil.copyfile(Path(order.adapter) / "adapter_model.safetensors", folder / "adapter_model.safetensors")
    config: dict[str, Any] = json.loads(read_file(Path(order.adapter) / "adapter_config.json"))
    config |= {"base_model_name_or_path": order.base_name, "revision": order.revision}
    write_atomically(folder / "adapter_config.json", json.dumps(config, indent=2, sort_keys=True).encode())


def template_of(folder: Path) -> str:
    """The chat template that a merged folder has."""
    file = folder / _TEMPLATE
    if file.is_file():
        return read_file(file).decode()
    return str(json.loads(read_file(folder / _TOKENIZER))["chat_template"])


def plain_transformers(folder: Path, adapter: Path | None = None) -> Ask:
    """Load a model as a user would, and ask it."""
    from transformers import AutoModelForCausalLM

    quiet_transformers()
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, dtype="auto" if adapter is None else torch.float32
    )
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter), local_files_only=True)
    model.eval()

    def ask(ids: Sequence[int], most: int) -> tuple[list[int], list[float]]:
        with torch.inference_mode():
            cache, part = None, torch.tensor([list(ids)])
            tokens, odds = [], []
            for _ in range(most):
                answered = model(input_ids=part, past_key_values=cache, use_cache=True)
                cache = answered.past_key_values
                best = torch.log_softmax(answered.logits[0, -1].float(), -1).max(-1)
                tokens.append(int(best.indices))
                odds.append(float(best.values))
                part = best.indices.reshape(1, 1)
        return tokens, odds

    return ask


def check_template(folder: Path, chat_format: ChatFormat, order: Order) -> None:
    """See that transformers makes of a conversation the tokens that the model was trained with.

    Raises:
        ExpectationNotMet: it makes others.
    """
    if not _is_as_trained(folder, chat_format, order):
        raise ExpectationNotMet(
            "export",
            "transformers makes other tokens of a conversation than the model was trained with",
            fix="Nothing was kept. Export with `--to adapter`.",
        )


def _is_as_trained(folder: Path, chat_format: ChatFormat, order: Order) -> bool:
    from transformers import AutoTokenizer

    quiet_transformers()
    if "strftime_now" in template_of(folder):  # it was trained with one day, and would be asked with another
        return False
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    for chat in order.chats:
        messages = [{"role": each.role, "content": each.content} for each in chat]
        try:
            text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except Exception:  # noqa: BLE001  a template may do anything
            return False
        if tokenizer(text, add_special_tokens=False)["input_ids"] != chat_format.prompt(chat):
            return False
    return True


def _drop_template(file: Path) -> None:
    """Take the other template out: of two, programs take now the one, now the other."""
    if file.is_file():
        config = json.loads(read_file(file))
        if config.pop("chat_template", None) is not None:
            write_atomically(file, json.dumps(config, indent=2).encode())
