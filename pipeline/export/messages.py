"""What is asked of the process that exports, and what it says: JSON, one object a line."""

from typing import Literal

import msgspec

from pipeline.errors import ExpectationNotMet, FinetuneError, InputError, StateDamaged
from pipeline.models.messages import ChatMessage

Form = Literal["adapter", "merged", "gguf", "ollama"]
Quant = Literal["f32", "f16", "q8_0"]


class Order(msgspec.Struct, frozen=True):
    """An export.

    Attributes:
        base: the base model's directory; `base_name` and `revision` are what others call it.
        adapter: the folder of the tuned model.
        folder: where to write, which exists and is empty.
        name: what the model is called.
        system, temperature: what it is to be talked to with.
        chats: conversations that end with a user's turn, to prove it with.
        tokens: of each answer, at most.
    """

    base: str
    base_name: str
    revision: str | None
    adapter: str
    form: Form
    quant: Quant
    folder: str
    name: str
    system: str | None
    temperature: float
    chats: tuple[tuple[ChatMessage, ...], ...]
    tokens: int = 24


class Note(msgspec.Struct, tag="note"):
    """What is being done."""

    text: str


class Done(msgspec.Struct, tag="done"):
    """It is good; `lines` say how that was found out."""

    lines: tuple[str, ...]


class Refused(msgspec.Struct, tag="refused"):
    """Why not, in the parts of an error."""

    kind: Literal["input", "disk", "proof"]
    where: str
    what: str
    fix: str
    got: str | None = None

    @classmethod
    def of(cls, error: FinetuneError) -> "Refused":
        """As a message."""
        proof, disk = isinstance(error, ExpectationNotMet), isinstance(error, StateDamaged)
        return cls("proof" if proof else "disk" if disk else "input", error.where, error.what, error.fix, error.got)

    def error(self) -> FinetuneError:
        """As it was raised."""
        kinds: dict[str, type[FinetuneError]] = {"input": InputError, "disk": StateDamaged, "proof": ExpectationNotMet}
        return kinds[self.kind](self.where, self.what, fix=self.fix, got=self.got)


Message = Note | Done | Refused
