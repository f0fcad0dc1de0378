"""What the training tests share: training files, job specs, and a worker process to run them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pipeline.training.protocol import JobSpec, Report, encode_spec

# Tests share the cores: see pipeline.training.environment.sleeping_threads. Set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from pipeline.training.chat_format import ChatFormat

Chat = Sequence[tuple[str, str]]


def write_chats(path: Path, chats: Sequence[Chat]) -> Path:
    """Write a training file from (role, content) pairs."""
    lines = [{"messages": [{"role": role, "content": content} for role, content in chat]} for chat in chats]
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return path


CHAT_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are tiny.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face directory: a Llama with two small layers of noise, a tokenizer of bytes, and ChatML."""
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from pipeline.training.base_models import quiet_transformers

    quiet_transformers()
    directory = tmp_path_factory.mktemp("tiny-model")
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*specials, *letters, "Sl", "ow", "Slow"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("S", "l"), ("o", "w"), ("Sl", "ow")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>", chat_template=CHAT_TEMPLATE
    ).save_pretrained(directory)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=False,
        initializer_range=0.4,  # or no answer could stand out
    )
    LlamaForCausalLM(config).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def tiny_format(tiny_model: Path) -> "ChatFormat":
    from pipeline.training.chat_format import ChatFormat

    return ChatFormat(tiny_model)


@pytest.fixture
def training_file(tmp_path: Path) -> Path:
    return write_chats(
        tmp_path / "train.jsonl", [[("user", f"Question {n}?"), ("assistant", "Slow.")] for n in range(8)]
    )


@pytest.fixture
def make_spec(tmp_path: Path, training_file: Path) -> Callable[..., JobSpec]:
    """A job spec; keywords replace its fields."""

    def make(**changes: Any) -> JobSpec:
        spec = JobSpec(
            job_id="ftjob-1",
            trainer="scripted",
            base_model="smollm2-135m-instruct",
            training_file=training_file,
            validation_file=None,
            n_epochs=2,
            batch_size=4,
            learning_rate_multiplier=1.0,
            seed=7,
            work_dir=tmp_path / "work",
        )
        return msgspec.structs.replace(spec, **changes)

    return make


@pytest.fixture
def make_script(tmp_path: Path) -> Callable[..., Path]:
    """A script file with the given keys."""

    def make(**keys: Any) -> Path:
        path = tmp_path / "script.json"
        path.write_bytes(msgspec.json.encode(keys))
        return path

    return make


class Worker:
    """A real worker process and what it says."""

    def __init__(self, spec: JobSpec, command: Sequence[str] = ("-m", "pipeline.training")) -> None:
        spec_file = spec.work_dir.parent / "spec.json"
        spec_file.write_bytes(encode_spec(spec))
        self.process = subprocess.Popen(
            [sys.executable, *command, str(spec_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONWARNINGS": ""},
        )

    def reports(self) -> Iterator[Report]:
        """What it says from now on, until it leaves."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield msgspec.json.decode(line, type=Report)

    def say(self, text: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def finish(self) -> tuple[list[Report], int, str]:
        """Wait for its end: the reports not read yet, exit code and stderr."""
        said = list(self.reports())
        assert self.process.stderr is not None
        errors = self.process.stderr.read().decode()
        return said, self.process.wait(60), errors

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def start_worker() -> Iterator[Callable[..., Worker]]:
    """Start worker processes; none outlives the test."""
    workers: list[Worker] = []

    def start(spec: JobSpec, command: Sequence[str] = ("-m", "pipeline.training")) -> Worker:
        workers.append(Worker(spec, command))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()
