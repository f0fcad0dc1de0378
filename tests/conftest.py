"""What many tests share: a clock that never waits, a script for the scripted trainer, a tiny model."""

import datetime
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from pipeline.models.chat_format import ChatFormat

# Tests share the cores: see pipeline.models.environment.sleeping_threads. Set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A suite that nohup started would hand an ignored hangup on to every command that a test hangs up on.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Busy machines are slow machines: a property holds or not, however long that takes.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


class FakeClock:
    """Time passes only in `sleep`; every wait is remembered."""

    def __init__(self) -> None:
        self.elapsed = 1000.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.elapsed += seconds

    def now(self) -> datetime.datetime:
        return datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC) + datetime.timedelta(seconds=self.elapsed - 1000)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own keys and settings decide no test."""
    for name in list(os.environ):
        if name.startswith("FINETUNE_") and name != "FINETUNE_CACHE_DIR":
            monkeypatch.delenv(name)
        if name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "NEBIUS_API_KEY"):
            monkeypatch.delenv(name)
        if name in ("HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name)


@pytest.fixture
def make_script(tmp_path: Path) -> Callable[..., Path]:
    """A script file with the given keys."""

    def make(**keys: Any) -> Path:
        path = tmp_path / "script.json"
        path.write_bytes(msgspec.json.encode(keys))
        return path

    return make


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

    from pipeline.models.base_models import quiet_transformers

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
    from pipeline.models.chat_format import ChatFormat

    return ChatFormat(tiny_model)
