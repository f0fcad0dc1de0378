"""Training on a GPU beside TRL's default: `python -P -W ignore -m tests.bench.gpu [--tiny] [--tokens N]`.

Models of the shapes of Qwen3 0.6B and 4B with random weights, on which speed does not depend, in bfloat16 where the GPU
has it. Prints tokens a second, the share of the GPU's rated speed (MFU) and its memory. This was never run on a GPU:
only `--tiny` was, on a CPU, where MFU and memory are left out.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

RATED = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "A10G": 70e12, "L4": 121e12, "4090": 165e12, "3090": 71e12}
"""Dense bfloat16 operations a second with accumulation in float32, as NVIDIA's data sheets have them."""
SHAPES: dict[str, dict[str, Any]] = {
    "Qwen3 0.6B": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16},
    "Qwen3 4B": {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
}
_WARM = 2
_STEPS = 6
_BATCH = 8


class Speed(msgspec.Struct):
    """What was measured: tokens a second, and bytes of the GPU's memory at the peak; 0 without a GPU."""

    tokens: float
    memory: int


def write_model(shape: str, folder: Path) -> int:
    """Write a model with random weights and the bundled model's tokenizer; returns how many weights a token meets."""
    import shutil

    import torch
    from transformers import AutoModelForCausalLM, Qwen3Config

    from pipeline.models import base_models

    bundled = base_models.prepare("smollm2-135m-instruct")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(bundled / name, folder / name)
    is_tiny = shape == "tiny"
    vocabulary, head_dim, shared = (49_152, 16, 2) if is_tiny else (151_936, 128, 8)
    config = Qwen3Config(
        vocab_size=vocabulary, head_dim=head_dim, num_key_value_heads=shared, tie_word_embeddings=True, **SHAPES[shape]
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    return sum(each.numel() for name, each in model.named_parameters() if each.dim() == 2)


def write_examples(path: Path, tokens: int) -> None:
    """Write so many batches of examples of about `tokens` tokens, all alike: none is padded."""
    half = "the " * (tokens // 2 - 12)
    example = {"messages": [{"role": "user", "content": half}, {"role": "assistant", "content": half}]}
    path.write_bytes((msgspec.json.encode(example) + b"\n") * (_BATCH * _STEPS))


def ours(model: Path, file: Path, folder: Path) -> Speed:
    """The worker's own way."""
    from pipeline.training import lora
    from pipeline.training.protocol import JobSpec, Report, Step

    ends, tokens = [], []

    def report(said: Report) -> None:
        if isinstance(said, Step):
            ends.append(time.monotonic())
            tokens.append(said.tokens)

    spec = JobSpec("bench", "lora", str(model), file, None, 1, _BATCH, 1.0, 7, folder / "ours")
    lora.train(spec, report, threading.Event(), checkpoint_every_s=3600)
    return _speed(tokens[-1] - tokens[_WARM - 1], ends[-1] - ends[_WARM - 1])


def trl(model: Path, file: Path, folder: Path) -> Speed:
    """TRL as it is when nothing is set but the precision of the weights."""
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    from pipeline.models.chat_format import ChatFormat
    from pipeline.models.device import load_model, pick_device, pick_dtype
    from pipeline.training.answer_trainer import _dataset
    from pipeline.training.lora import RANK
    from pipeline.training.tensors import load_examples

    device = pick_device()
    chat_format = ChatFormat(model)
    examples = load_examples(file, "training_file", chat_format, 2048)
    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            ends.append(time.monotonic())

    arguments = SFTConfig(
        output_dir=str(folder / "trl"),
        bf16=False,
        use_cpu=device.type == "cpu",
        per_device_train_batch_size=_BATCH,
        max_steps=_STEPS,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    SFTTrainer(
        model=load_model(model, pick_dtype(device), device),
        args=arguments,
        train_dataset=_dataset(examples),
        processing_class=chat_format.tokenizer,
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=2 * RANK, target_modules="all-linear"),
        callbacks=[Clock()],
    ).train()
    return _speed(sum(map(len, examples.input_ids[: _BATCH * (_STEPS - _WARM)])), ends[-1] - ends[_WARM - 1])


def _speed(tokens: int, seconds: float) -> Speed:
    import torch

    return Speed(tokens / seconds, torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0)


def _rated() -> float | None:
    import torch

    called = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return next((speed for name, speed in RATED.items() if name in called), None)


def _compare(shape: str, tokens: int, rated: float | None) -> None:
    with tempfile.TemporaryDirectory(prefix="finetune-bench-") as made:
        folder = Path(made)
        (model := folder / "model").mkdir()
        weights = write_model(shape, model)
        write_examples(folder / "examples.jsonl", tokens)
        for way in WAYS:
            command = [sys.executable, "-P", "-W", "ignore", "-c", _CHILD, str(Path(__file__).parents[2]), way, made]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            found = msgspec.json.decode(done.stdout.splitlines()[-1], type=Speed)
            # Forwards, and backwards through weights that do not change: two operations a weight each, and the
            # vocabulary counts for every token, though ours computes it for targets alone.
            share = "" if rated is None else f"  MFU {4 * weights * found.tokens / rated:.0%}"
            memory = f"  {found.memory / 1e9:.1f} GB" if found.memory else ""
            sys.stdout.write(f"{shape}, {tokens} tokens: {way:5}{found.tokens:10,.0f} tokens/s{share}{memory}\n")
            sys.stdout.flush()


WAYS = {"ours": ours, "trl": trl}
_CHILD = (
    "import sys, pathlib, msgspec; sys.path.insert(0, sys.argv[1]); from tests.bench import gpu; "
    "f = pathlib.Path(sys.argv[3]); speed = gpu.WAYS[sys.argv[2]](f / 'model', f / 'examples.jsonl', f); "
    "sys.stdout.buffer.write(b'\\n' + msgspec.json.encode(speed) + b'\\n')"
)


def main() -> None:
    """Print a line for each model and way."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu", description="Training on a GPU beside TRL.")
    parser.add_argument("--tiny", action="store_true", help="a tiny model, as on a CPU")
    parser.add_argument("--tokens", type=int, default=512, help="of an example")
    arguments = parser.parse_args()
    rated = _rated()
    for shape in ("tiny",) if arguments.tiny else ("Qwen3 0.6B", "Qwen3 4B"):
        _compare(shape, arguments.tokens, rated)


if __name__ == "__main__":
    main()
