"""What a tokenizer raises becomes an error about its model, even where it is no Exception."""

import pytest

from pipeline.errors import InputError
from pipeline.models.encoding import explained


class PanicException(BaseException):
    """As Rust's are called in Python."""


@pytest.mark.parametrize("error", [PanicException("no end"), Exception("no end"), ValueError("no end")])
def test_what_a_tokenizer_raises_is_the_models_fault(error: BaseException) -> None:
    with pytest.raises(InputError) as refused, explained("base model x"):
        raise error
    assert str(refused.value) == (
        "base model x: its tokenizer cannot encode a text (no end). "
        "Mend its tokenizer.json, or choose another base model."
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), MemoryError()])
def test_what_is_not_the_models_fault_passes(error: BaseException) -> None:
    with pytest.raises(type(error)), explained("base model x"):
        raise error
