"""A model that cannot be trained here is refused by the name of what it is."""

import json
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.models import model_check
from pipeline.models.architectures import check_architecture

OTHERS = "Choose a model of one of these: gemma3_text, llama, mistral, qwen2, qwen3, smollm3."


def write(tmp_path: Path, **config: object) -> Path:
    for name in ("tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"model_type": "qwen3_moe", "num_experts": 128}, ": it is a mixture of experts, got qwen3_moe"),
        ({"model_type": "mixtral", "num_local_experts": 8}, ": it is a mixture of experts, got mixtral"),
        (
            {"model_type": "gemma3", "text_config": {}, "vision_config": {}},
            ": it is a model of text with images or sound, got gemma3",
        ),
        (
            {"model_type": "qwen3_5", "text_config": {"layer_types": ["linear_attention", "full_attention"]}},
            ": it has layers that are no attention, such as Mamba's, got qwen3_5",
        ),
        (
            {"model_type": "lfm2", "layer_types": ["conv", "full_attention"]},
            ": it has layers that are no attention, such as Mamba's, got lfm2",
        ),
        (
            {"model_type": "granitemoehybrid", "num_local_experts": 0, "mamba_d_state": 128},
            ": it has layers that are no attention, such as Mamba's, got granitemoehybrid",
        ),
        (
            {"model_type": "mamba2", "state_size": 128},
            ": it has layers that are no attention, such as Mamba's, got mamba2",
        ),
        ({"model_type": "t5", "num_decoder_layers": 2}, ": it has an encoder of its own, got t5"),
        ({"model_type": "gpt2"}, ", got gpt2"),
        ({"model_type": ["llama"]}, ", got ['llama']"),
    ],
)
def test_an_architecture_that_is_not_supported_is_named_with_those_that_are(
    tmp_path: Path, config: dict[str, object], what: str
) -> None:
    with pytest.raises(InputError) as refused:
        model_check.check(str(write(tmp_path, **config)))
    assert str(refused.value) == f"base model {tmp_path.name}: its architecture cannot be trained here{what}. {OTHERS}"


@pytest.mark.parametrize(
    ("told", "got"),
    [({"quant_method": "gptq", "bits": 4}, "gptq"), ({}, "quantization_config"), ("?", "quantization_config")],
)
def test_quantised_weights_are_refused(tmp_path: Path, told: object, got: str) -> None:
    with pytest.raises(InputError) as refused:
        model_check.check(str(write(tmp_path, model_type="llama", quantization_config=told)))
    assert str(refused.value) == (
        f"base model {tmp_path.name}: its weights are quantised, and training needs them whole, got {got}. "
        "Choose the model that it was made from, in bfloat16 or float32."
    )


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"model_type": "evil", "auto_map": {}}', "[" * 100_000])
def test_what_transformers_says_better_is_left_to_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    check_architecture(tmp_path)
