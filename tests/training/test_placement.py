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


def test_the_precision_is_one_that_the_machine_has() -> None:
    import torch

    from pipeline.training.placement import pick_device, pick_dtype

    assert pick_dtype(pick_device()) in ("float32", "bfloat16")
    assert pick_dtype(torch.device("mps")) == "float32"
