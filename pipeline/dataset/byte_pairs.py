"""The default base model's tokenizer in tiktoken, which counts it three times as fast and off the interpreter's lock.

Both apply byte-pair merges, `tokenizers` by the rank of the merge and tiktoken by the rank of the token that it makes.
They do the same if every token is made by its merges alone (encoding its own text gives it back) and later tokens by
later merges: then the pieces of a token never lie side by side without a merge, and the order of merges is the same.
`twin` checks that for the tokenizer at hand, and splits text into words as its pre-tokenizer does.
"""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tokenizers import Tokenizer
from tokenizers.models import BPE

if TYPE_CHECKING:
    import tiktoken

SEPARATOR = "\ue000\ue001\ue002"

# Single digits, then GPT-2's pattern on what lies between them: white space before a digit is at its text's end.
_DIGITS_THEN_BYTES = [
    {"type": "Digits", "individual_digits": True},
    {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
]
_PATTERN = r"\p{N}|'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+"
_OTHERWISE = (
    "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"
)  # fmt: skip
_UNSURE = "\U00010000-\U0001efff\U00020000-\U0010ffff"
"""Letters of rare scripts, about which versions of Unicode disagree; emoji are not among them."""


class Twin:
    """A tokenizer's counterpart in tiktoken.

    Attributes:
        unsure: finds the characters for which it is not known to be equal.
    """

    def __init__(self, encoding: "tiktoken.Encoding", unsure: re.Pattern[str]) -> None:
        self._encoding = encoding
        self._separator = encoding.encode(SEPARATOR, allowed_special="all")[0]
        self.unsure = unsure

    def count(self, texts: list[str]) -> list[int]:
        """Tokens of each text; no text may hold SEPARATOR, or what `unsure` finds."""
        ids = self._encoding.encode(SEPARATOR.join(texts), allowed_special={SEPARATOR}, disallowed_special=())
        counts, begin = [], 0
        for _ in texts[1:]:
            end = ids.index(self._separator, begin)
            counts.append(end - begin)
            begin = end + 1
        counts.append(len(ids) - begin)
        return counts


def twin(tokenizer: Tokenizer) -> Twin | None:
    """The same tokenizer in tiktoken; None where it is not known to be the same."""
    import tiktoken

    described = json.loads(tokenizer.to_str())
    model = described["model"]
    pre = described["pre_tokenizer"] or {}
    if pre.get("pretokenizers") != _DIGITS_THEN_BYTES or described["normalizer"] is not None:
        return None
    if not isinstance(tokenizer.model, BPE) or any(model.get(name) for name in _OTHERWISE):
        return None
    added = {token["content"] for token in described["added_tokens"]}
    vocabulary: dict[str, int] = {token: number for token, number in model["vocab"].items() if token not in added}
    if not _merges_in_order(vocabulary, [pair[0] + pair[1] for pair in model["merges"]], tokenizer.model):
        return None
    byte_of = _bytes_of_letters()
    ranks = {bytes(byte_of[letter] for letter in token): number for token, number in vocabulary.items()}
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    beyond = max(vocabulary.values()) + len(added) + 1
    ranks.update({bytes([byte]): beyond + byte for byte in missing})  # tiktoken wants all; `unsure` keeps them out
    # A byte above ASCII that is missing begins characters of the unsure planes, or none at all.
    if any(0x80 <= byte < 0xF1 and byte not in (0xC0, 0xC1) for byte in missing):
        return None
    controls = "".join(re.escape(chr(byte)) for byte in missing if byte < 0x80)
    encoding = tiktoken.Encoding(
        "twin", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={SEPARATOR: beyond + 256}
    )
    return Twin(encoding, re.compile(f"[{controls}{_UNSURE}]"))


def _merges_in_order(vocabulary: Mapping[str, int], made: list[str], model: BPE) -> bool:
    if len(set(made)) != len(made) or {token for token in vocabulary if len(token) > 1} != set(made):
        return False
    numbers = [vocabulary[token] for token in made]
    return numbers == sorted(numbers) and all(len(model.tokenize(token)) == 1 for token in vocabulary)


def _bytes_of_letters() -> dict[str, int]:
    """Which byte each letter of a byte-level vocabulary stands for (openai/gpt-2, bytes_to_unicode)."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + n): byte for n, byte in enumerate(hidden)}
