"""What a tokenizer does with a text that it was not made for."""

import contextlib
from collections.abc import Iterator

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
