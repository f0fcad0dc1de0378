import shutil
from pathlib import Path

import pytest

from pipeline.errors import InputError


def test_a_damaged_model_is_one_clear_line(tiny_model: Path, tmp_path: Path) -> None:
    import torch

    from pipeline.models.device import load_model

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
    from pipeline.models.device import cpu_dtype

    assert cpu_dtype(capabilities) == dtype


def test_every_device_has_a_precision() -> None:
    import torch

    from pipeline.models.device import cpu_dtype, pick_dtype

    assert pick_dtype(torch.device("cpu")) == cpu_dtype(torch.cpu.get_capabilities())
    assert pick_dtype(torch.device("mps")) == "float32"


def test_what_a_model_learns_does_not_depend_on_the_number_of_threads(tiny_model: Path) -> None:
    import torch

    from pipeline.models.device import load_model

    model = load_model(tiny_model, "float32", torch.device("cpu"))
    ids = torch.arange(8 * 150).reshape(8, 150) % 200

    def learnt(threads: int) -> torch.Tensor:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            model.zero_grad()
            model(input_ids=ids, labels=ids).loss.backward()
        finally:
            torch.set_num_threads(before)
        return torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None])

    assert torch.equal(learnt(1), learnt(2))
    assert torch.equal(learnt(1), learnt(4))
