import shutil
from pathlib import Path

import pytest

from pipeline.errors import InputError


def test_a_damaged_model_is_one_clear_line(tiny_model: Path, tmp_path: Path) -> None:
    import torch

    from pipeline.training.placement import load_model

    directory = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (directory / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError) as caught:
        load_model(directory, "float32", torch.device("cpu"))
    assert str(caught.value) == (
        "base model model: transformers cannot load it (SafetensorError: Error while deserializing header: header too "
        "small). Mend the directory, or choose another base model."
    )


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"architecture": "x86_64", "avx512_f": True, "avx512_bf16": True, "amx_bf16": True}, "bfloat16"),
        ({"architecture": "x86_64", "avx512_f": True, "avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
        ({"architecture": "x86_64", "avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "float32"),
        ({"architecture": "arm64", "neon": True, "bf16": True}, "float32"),
    ],
)
def test_the_instructions_of_a_cpu_decide_its_precision(capabilities: dict[str, object], dtype: str) -> None:
    from pipeline.training.placement import cpu_dtype

    assert cpu_dtype(capabilities) == dtype


def test_every_device_has_a_precision() -> None:
    import torch

    from pipeline.training.placement import cpu_dtype, pick_dtype

    assert pick_dtype(torch.device("cpu")) == cpu_dtype(torch.cpu.get_capabilities())
    assert pick_dtype(torch.device("mps")) == "float32"
