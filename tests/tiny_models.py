"""Tiny models of each supported architecture: noise for weights, a tokenizer trained on a few words, a chat template.

The templates are those that TRL carries, of the models that people pick; SmolLM3's, which it lacks, is told here in
short, as is one for a vocabulary like Llama 2's.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

WORDS = ["the slow tortoise wins", "the hare was fast and is late", "what is it? It is slow.", "user assistant model"]

SMOLLM3 = (
    "{%- set mode = '/think' if enable_thinking is not defined or enable_thinking else '/no_think' -%}"
    "{{- '<|im_start|>system\\n## Metadata\\n\\nToday Date: ' + strftime_now('%d %B %Y') -}}"
    "{{- '\\nReasoning Mode: ' + mode -}}"
    "{%- if messages[0].role == 'system' -%}{{- '\\n\\n' + messages[0].content.rstrip() -}}"
    "{%- set messages = messages[1:] -%}{%- endif -%}{{- '<|im_end|>\\n' -}}"
    "{%- set empty = '<think>\\n\\n</think>\\n' if mode == '/no_think' else '' -%}"
    "{%- for m in messages -%}{%- if m.role == 'assistant' -%}"
    "{{- '<|im_start|>assistant\\n' + empty + m.content.lstrip('\\n') + '<|im_end|>\\n' -}}"
    "{%- else -%}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' -}}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' + empty -}}{%- endif -%}"
)
ZEPHYR = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\\n' + m['content'] + eos_token + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)


class Vocabulary(NamedTuple):
    """A tokenizer and the words by which files name its control tokens.

    Attributes:
        ends: the tokens that end an answer, as generation_config.json lists them.
    """

    make: Callable[["Vocabulary"], Tokenizer]
    bos: str | None
    ends: tuple[str, ...]
    control: tuple[str, ...]
    marks: tuple[str, ...] = ()


def trl_template(name: str) -> str:
    """A chat template as TRL carries it."""
    found = importlib.util.find_spec("trl")
    assert found is not None
    assert found.submodule_search_locations
    return (Path(found.submodule_search_locations[0]) / "chat_templates" / f"{name}.jinja").read_text()


def byte_level(vocabulary: Vocabulary) -> Tokenizer:
    """As Qwen, SmolLM and Llama 3 have it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        WORDS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    )
    return _with_controls(tokenizer, vocabulary)


def byte_fallback(vocabulary: Vocabulary) -> Tokenizer:
    """As Gemma has it: a space is U+2581, and what is unknown is bytes such as <0xF0>."""
    tokenizer = Tokenizer(_sentencepiece_model())
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    return _with_controls(tokenizer, vocabulary)


def byte_fallback_after_a_space(vocabulary: Vocabulary) -> Tokenizer:
    """As Llama 2 and Mistral have it: every text begins with a space."""
    tokenizer = Tokenizer(_sentencepiece_model())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return _with_controls(tokenizer, vocabulary)


def _sentencepiece_model() -> models.BPE:
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    trained.train_from_iterator(WORDS, trainers.BpeTrainer(vocab_size=80, show_progress=False))
    learnt = msgspec.json.decode(trained.to_str())["model"]
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *sorted(learnt["vocab"], key=learnt["vocab"].get)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    merges = [tuple(merge) for merge in learnt["merges"]]
    return models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)


def _with_controls(tokenizer: Tokenizer, vocabulary: Vocabulary) -> Tokenizer:
    control = [vocabulary.bos, *vocabulary.ends, *vocabulary.control]
    tokenizer.add_special_tokens([AddedToken(each, special=True, normalized=False) for each in control if each])
    tokenizer.add_tokens([AddedToken(each, special=False, normalized=False) for each in vocabulary.marks])
    return tokenizer


CHATML = Vocabulary(byte_level, None, ("<|im_end|>", "<|endoftext|>"), ("<|im_start|>",))
THINKING = CHATML._replace(marks=("<think>", "</think>"))
LLAMA3 = Vocabulary(
    byte_level, "<|begin_of_text|>", ("<|eot_id|>", "<|end_of_text|>"), ("<|start_header_id|>", "<|end_header_id|>")
)
GEMMA = Vocabulary(byte_fallback, "<bos>", ("<eos>", "<end_of_turn>"), ("<start_of_turn>",))
LLAMA2 = Vocabulary(byte_fallback_after_a_space, "<s>", ("</s>",), ())


class Kind(NamedTuple):
    """A model as people pick it.

    Attributes:
        reference: the template that transformers is given where its own would put thoughts before some answers alone.
    """

    architecture: str
    vocabulary: Vocabulary
    template: str
    config: dict[str, Any]
    reference: str | None = None


SHARED = {"tie_word_embeddings": True}
WINDOWS = {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}
KINDS = {
    "llama 3.2": Kind("llama", LLAMA3, trl_template("llama3_2"), SHARED),
    "qwen 2.5": Kind("qwen2", CHATML, trl_template("qwen2_5"), SHARED),
    "qwen 3": Kind("qwen3", THINKING, trl_template("qwen3"), {**SHARED, "head_dim": 8}, trl_template("qwen3_training")),
    "qwen 3 instruct": Kind("qwen3", THINKING, trl_template("qwen3_instruct_2507"), {**SHARED, "head_dim": 8}),
    "smollm 3": Kind("smollm3", THINKING, SMOLLM3, {**SHARED, "no_rope_layers": [1, 0]}),
    "gemma 3": Kind(
        "gemma3_text", GEMMA, trl_template("gemma3"), {"head_dim": 8, "query_pre_attn_scalar": 8, **WINDOWS}
    ),
    "mistral": Kind("mistral", LLAMA2, ZEPHYR, {"sliding_window": 8}),
}


def write_tokenizer(directory: Path, kind: Kind) -> "PreTrainedTokenizerFast":
    """Write a tokenizer, its template and the list of tokens that end an answer; as transformers has it."""
    from transformers import PreTrainedTokenizerFast

    vocabulary = kind.vocabulary
    tokenizer = vocabulary.make(vocabulary)
    loaded = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, bos_token=vocabulary.bos, eos_token=vocabulary.ends[0], chat_template=kind.template
    )
    loaded.save_pretrained(directory)
    ends = [tokenizer.token_to_id(end) for end in vocabulary.ends]
    (directory / "generation_config.json").write_bytes(msgspec.json.encode({"eos_token_id": ends}))
    return loaded


def write_model(directory: Path, kind: Kind) -> None:
    """Write a whole Hugging Face directory."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from pipeline.models.base_models import quiet_transformers

    quiet_transformers()
    torch.manual_seed(0)
    tokenizer = write_tokenizer(directory, kind)
    config = AutoConfig.for_model(
        kind.architecture,
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        initializer_range=0.4,  # or no answer could stand out
        **kind.config,
    )
    made = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    made.save_pretrained(directory)
    write_tokenizer(directory, kind)  # again: its list of ends takes the place of transformers'
