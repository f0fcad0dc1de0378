"""What a model's small files say of whether it can be trained, before its weights are there. Imports transformers."""

from pathlib import Path

import msgspec
from transformers import __version__
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from pipeline.durable import read_file
from pipeline.errors import InputError
from pipeline.models.architectures import check_architecture
from pipeline.models.hub_cache import title
from pipeline.models.tokenizer_files import load_template

_SPEAKING = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
"""What architectures are called that answer with text: transformers would give others an untrained head."""
_CHOOSE = "Choose another model, one that is made for chat."


class _Config(msgspec.Struct):
    model_type: str = ""
    auto_map: dict[str, object] | None = None
    architectures: list[str] | None = None


def check_small_files(directory: Path) -> None:
    """See whose code a model needs, whether its architecture is one of chat models, and that it has a chat template.

    Raises:
        InputError: it cannot be trained here.
    """
    where = f"base model {title(directory)}"
    try:
        config = msgspec.json.decode(read_file(directory / "config.json"), type=_Config)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(where, f"its config.json makes no sense ({error})", fix=_CHOOSE) from None
    check_architecture(directory)
    _check_head(config, where)
    load_template(directory)


def _check_head(config: _Config, where: str) -> None:
    names = config.architectures or []
    speaks = not names or any(name.endswith(_SPEAKING) for name in names)
    if config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and speaks:  # then no code beside the weights is needed
        return
    named = ", ".join(names) or config.model_type or "unknown"
    if config.auto_map and config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise InputError(
            where,
            f"its architecture ({named}) needs code of its own (`auto_map`), which is never run",
            fix="Choose a model of an architecture that transformers knows.",
        )
    raise InputError(where, f"transformers {__version__} has no chat model of its architecture ({named})", fix=_CHOOSE)
