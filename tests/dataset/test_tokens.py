import json
import re
from pathlib import Path

import pytest
import tiktoken
from tiktoken import registry
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from pipeline.dataset.example import Example
from pipeline.dataset.tokens import token_counter, tokens_of
from pipeline.errors import InputError

EXAMPLE: Example = {
    "messages": [
        {"role": "user", "content": "Speed is key!"},
        {"role": "assistant", "content": "Slow and steady."},
    ]
}


def test_an_estimate_counts_characters_and_messages_of_any_model() -> None:
    assert token_counter("a model nobody knows", "estimate")(EXAMPLE) == 9 + 2 * 4


def test_exact_needs_a_model_whose_tokenizer_is_known() -> None:
    message = (
        "convert.tokens: expected a model whose tokenizer is known here, got meta-llama/Llama-3.1-8B. "
        "Set `convert.tokens: estimate`."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        token_counter("meta-llama/Llama-3.1-8B", "exact")


@pytest.fixture
def byte_model(tmp_path: Path) -> Path:
    """A Hugging Face directory whose tokenizer has one token a byte, and ChatML as its template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|im_start|>"), AddedToken("<|im_end|>")])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    turn = "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    template = "{% for message in messages %}" + turn + "{% endfor %}"
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template, "eos_token": "<|im_end|>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (tmp_path / "model.safetensors").touch()
    return tmp_path


def test_exact_counts_a_base_models_tokens_with_its_templates(byte_model: Path) -> None:
    templates = len("SuserN") + len("EN") + len("SassistantN") + len("EN")  # S, E: control tokens; N: a line break
    assert token_counter(str(byte_model), "exact")(EXAMPLE) == 13 + 16 + templates


def test_exact_counts_an_openai_model_as_its_cookbook_does(monkeypatch: pytest.MonkeyPatch) -> None:
    one_token_a_byte = tiktoken.Encoding(
        "bytes", pat_str=r"(?s).", mergeable_ranks={bytes([n]): n for n in range(256)}, special_tokens={}
    )
    # The real vocabulary is a download.
    monkeypatch.setitem(registry.ENCODINGS, "o200k_base", one_token_a_byte)
    count = token_counter("ft:gpt-4o-mini:acme", "exact")
    assert count(EXAMPLE) == (3 + len("user") + 13) + (3 + len("assistant") + 16) + 3


def test_a_vocabulary_that_cannot_be_downloaded_is_answered_with_the_switch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    message = (
        "convert.tokens: the vocabulary cl100k_base of gpt-4 cannot be downloaded (ProxyError). "
        "Set `convert.tokens: estimate`, or run once with access to the internet."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        token_counter("gpt-4", "exact")


def test_blanks_that_are_too_many_for_tiktoken_are_counted_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    words = {bytes([n]): n for n in range(256)} | {b"  ": 256}
    pairs = tiktoken.Encoding("pairs", pat_str=r"\S+|\s+(?!\S)|\s+", mergeable_ranks=words, special_tokens={})
    monkeypatch.setitem(registry.ENCODINGS, "o200k_base", pairs)
    with pytest.raises(ValueError, match="Max stack size exceeded"):
        pairs.encode(" " * 1_000_000)
    (counted,) = tokens_of("gpt-4o-mini", "exact").count([" " * 1_000_000])
    assert counted == 500_000
