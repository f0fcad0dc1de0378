"""Texts to token ids, piece by piece, and what a tokenizer does with a text that it was not made for."""

import contextlib
from collections.abc import Iterator, Sequence

from tokenizers import Tokenizer

from pipeline.errors import InputError


@contextlib.contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what the tokenizer of a model raises in the block into an error about the model.

    Args:
        where: names the model.

    Raises:
        InputError: the tokenizer lacks the token for what is unknown, say, or one of its regular expressions does not
            come to an end (onig gives up after ten million steps).
    """
    try:
        yield
    except BaseException as error:
        # What Rust calls a panic is a BaseException: whoever catches Exception only would wait for an answer for ever.
        is_panic = type(error).__name__ == "PanicException"
        if isinstance(error, MemoryError) or not (is_panic or isinstance(error, Exception)):
            raise
        raise InputError(
            where,
            f"its tokenizer cannot encode a text ({str(error)[:200]})",
            fix="Mend its tokenizer.json, or choose another base model.",
        ) from None


_BEFORE = "\n"


class Encoder:
    """Encodes the pieces of a conversation as if they were one text.

    Vocabularies like Llama 2's write a space (U+2581) before a text. Only what begins a text gets one here.

    Args:
        control: encodes control tokens as such.
        plain: takes them for text.

    Attributes:
        marks_begin: whether it is such a vocabulary.
    """

    def __init__(self, control: Tokenizer, plain: Tokenizer) -> None:
        self._control = control
        self._plain = plain
        self._added = frozenset(control.get_added_tokens_decoder())
        before, alone, after = _encode(plain, [_BEFORE, "a", _BEFORE + "a"])
        self.marks_begin = after[: len(before)] == before and after[len(before) :] != alone
        mark = next((token.content for token in control.get_added_tokens_decoder().values() if token.special), "")
        # Of these vocabularies, some write a space after each control token, too.
        self._marks_after_control = _encode(control, [mark + "a"])[0][1:] == alone

    def control(self, text: str, before: int | None) -> list[int]:
        """Token ids of what a template has written; `before` is the token that it stands after."""
        return self._ids(self._control, [text], before)[0]

    def plain(self, texts: Sequence[str], before: int | None) -> list[list[int]]:
        """Token ids of contents, each of which stands after the token `before`."""
        return self._ids(self._plain, texts, before)

    def _ids(self, tokenizer: Tokenizer, texts: Sequence[str], before: int | None) -> list[list[int]]:
        begins = before is None or (before in self._added and self._marks_after_control)
        if begins or not self.marks_begin:
            return _encode(tokenizer, texts)
        skipped = len(_encode(tokenizer, [_BEFORE])[0])
        return [ids[skipped:] for ids in _encode(tokenizer, [_BEFORE + text for text in texts])]


def _encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    # `encode` keeps every other thread waiting, for seconds if need be; the one for batches does not.
    return [each.ids for each in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
