"""What the process that asks the Hugging Face Hub says to the one that started it: a JSON object a line, on stdout."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from pipeline.errors import FinetuneError, InputError, StateDamaged, TryLater

Kind = Literal["input", "later", "disk"]


class Progress(msgspec.Struct, tag="progress"):
    """Bytes that are here, of all that are needed."""

    done: int
    total: int


class Note(msgspec.Struct, tag="note"):
    """Something worth a line."""

    text: str


class Fetched(msgspec.Struct, tag="fetched", frozen=True):
    """A model is whole in the cache; or, where it was only looked for, could be.

    Attributes:
        sha: the commit.
        size: of all files, in bytes.
        missing: bytes that are not here, or were not before.
    """

    sha: str
    size: int
    missing: int


class Refused(msgspec.Struct, tag="refused"):
    """Why not, in the parts of an error."""

    kind: Kind
    where: str
    what: str
    fix: str
    got: str | None = None

    @classmethod
    def of(cls, error: FinetuneError) -> "Refused":
        """As a message."""
        kinds: Iterator[Kind] = (kind for kind, each in _KINDS.items() if isinstance(error, each))
        return cls(next(kinds, "input"), error.where, error.what, error.fix, error.got)

    def error(self) -> FinetuneError:
        """As it was raised."""
        return _KINDS[self.kind](self.where, self.what, fix=self.fix, got=self.got)


_KINDS: dict[Kind, type[FinetuneError]] = {"input": InputError, "later": TryLater, "disk": StateDamaged}
Message = Progress | Note | Fetched | Refused
