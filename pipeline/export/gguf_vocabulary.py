"""A tokenizer.json as GGUF writes vocabularies: tokens, their kinds, merges or scores, and llama.cpp's pre-tokenizer.

llama.cpp has the splitting of text in its own code, by name (llama-vocab.cpp); an unknown one cannot be written.
"""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from gguf import GGUFWriter, TokenType

from pipeline.durable import read_file
from pipeline.errors import InputError
from pipeline.models.hub_cache import title

_QWEN = (
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
)
_PRE_TOKENIZERS = {
    "bytes": "gpt-2",
    "digits bytes": "smollm",
    f"split:{_QWEN}": "qwen2",
    f"split:{_QWEN.replace('p{N}|', 'p{N}{1,3}|', 1)}": "llama-bpe",
    "split:[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|"
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}|"
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+": "tekken",
}


class Ends(NamedTuple):
    """Token ids: what begins every text (None: nothing does), what ends a turn, what to pad with."""

    bos: int | None
    begins: bool
    end: int
    padding: int


def add_vocabulary(writer: GGUFWriter, directory: Path, size: int, ends: Ends) -> None:
    """Write the vocabulary of a model's directory, filled up to the `size` that the model has.

    Raises:
        InputError: llama.cpp has no such tokenizer.
    """
    told: dict[str, Any] = msgspec.json.decode(read_file(directory / "tokenizer.json"))
    model = told["model"]
    if model.get("type", "BPE") != "BPE":
        raise _unknown(directory, f"a vocabulary of the kind {model.get('type')}")
    tokens = {number: token for token, number in model["vocab"].items()}
    kinds = dict.fromkeys(tokens, TokenType.NORMAL)
    if model.get("byte_fallback"):
        for number, token in tokens.items():
            if len(token) == 6 and token.startswith("<0x"):
                kinds[number] = TokenType.BYTE
    for added in told.get("added_tokens", []):
        tokens[added["id"]] = added["content"]
        kinds[added["id"]] = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    unknown = next((number for number, token in tokens.items() if token == model.get("unk_token")), None)
    if unknown is not None and model.get("byte_fallback"):
        kinds[unknown] = TokenType.UNKNOWN
    merges = [each if isinstance(each, str) else " ".join(each) for each in model["merges"]]
    if model.get("byte_fallback"):
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_scores(_scores(tokens, model["merges"], size))
        writer.add_add_space_prefix('"prepend' in msgspec.json.encode(told).decode().lower())
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_pre_tokenizer(directory, told.get("pre_tokenizer") or {}))
        writer.add_token_merges(merges)
    writer.add_token_list([tokens.get(number, f"[PAD{number}]") for number in range(size)])
    writer.add_token_types([kinds.get(number, TokenType.UNUSED) for number in range(size)])
    if ends.bos is not None:
        writer.add_bos_token_id(ends.bos)
    if unknown is not None:
        writer.add_unk_token_id(unknown)
    writer.add_eos_token_id(ends.end)
    writer.add_eot_token_id(ends.end)
    writer.add_pad_token_id(ends.padding)
    writer.add_add_bos_token(ends.begins)
    writer.add_add_eos_token(False)


def _scores(tokens: dict[int, str], merges: list[Any], size: int) -> list[float]:
    """What is merged first has the highest score; llama.cpp has no merges for such vocabularies."""
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        ranks.setdefault("".join(merge.split(" ", 1) if isinstance(merge, str) else merge), rank)
    return [-float(ranks[token]) if (token := tokens.get(number, "")) in ranks else -1e6 for number in range(size)]


def _pre_tokenizer(directory: Path, told: dict[str, Any]) -> str:
    steps = told["pretokenizers"] if told.get("type") == "Sequence" else [told]
    said = []
    for step in steps:
        kind = step.get("type")
        if kind == "Split":
            said.append(f"split:{step['pattern'].get('Regex')}")
        elif kind == "Digits" and step.get("individual_digits"):
            said.append("digits")
        elif kind == "ByteLevel" and step.get("use_regex", True):
            said.append("bytes")
        elif kind != "ByteLevel":
            raise _unknown(directory, f"a pre-tokenizer of the kind {kind}")
    found = _PRE_TOKENIZERS.get(" ".join(said))
    if found is None:
        raise _unknown(directory, " ".join(said)[:120])
    return found


def _unknown(directory: Path, what: str) -> InputError:
    return InputError(
        f"base model {title(directory)}",
        "its tokenizer splits text in a way that llama.cpp has no name for",
        got=what,
        fix="Export with `--to merged`.",
    )
