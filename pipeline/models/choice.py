"""Which of the picks suits a machine and somebody's chats best, and what each would take there."""

from collections.abc import Iterable

import msgspec

from pipeline.models import hub_cache
from pipeline.models.machine import Machine
from pipeline.models.needs import memory_to_chat, memory_to_train, seconds_to_train
from pipeline.models.picks import Pick, picks

PATIENCE_S = 2 * 3600.0
"""A training that takes longer is not proposed."""

_FREE, _ALL = 0.9, 0.8
"""The share of free memory that a training may be proposed to take, and of all memory."""


class Task(msgspec.Struct, frozen=True):
    """What is to be trained.

    Attributes:
        tokens: of all epochs.
        at_once: tokens that go through the model at once, at most.
        language: the one that most is written in (ISO 639-1); None where that is not known.
    """

    tokens: int
    at_once: int
    language: str | None = None


USUAL = Task(tokens=212_000, at_once=2048)
"""Of 1,482 replies in two epochs, as measured on one person's chats, which fill what the trainer takes at once."""


class Offer(msgspec.Struct, frozen=True):
    """A pick on this machine.

    Attributes:
        is_here: nothing needs to be downloaded.
        train, chat: bytes of memory.
        seconds: of training, on a machine that does nothing else; None where that could not be measured.
        fits: whether the memory that is free is enough; None where nobody knows.
        could_fit: whether it would be, were other programs closed.
        is_best: this one suits best.
    """

    pick: Pick
    is_here: bool
    train: int
    chat: int
    seconds: float | None
    fits: bool | None
    could_fit: bool
    is_best: bool = False


def offers(machine: Machine, task: Task) -> list[Offer]:
    """All picks, one of them marked as the best."""
    found = [_offer(pick, machine, task) for pick in picks()]
    best = _best(found, task.language)
    return [msgspec.structs.replace(offer, is_best=offer is best) for offer in found]


def why_best(offer: Offer, task: Task, name: str) -> str:
    """Why it is, in words. `name` is the language's."""
    spoken = offer.pick.speaks(task.language) if task.language else True
    if spoken is False:
        return f"none that speaks {name} and needs no permission fits its memory and trains in two hours; the smallest"
    if task.language and not offer.fits and offer.could_fit and offer.seconds is not None:
        return f"{'speaks' if spoken else 'can write'} {name}, and fits its memory once other programs are closed"
    if not offer.fits or offer.seconds is None or offer.seconds > PATIENCE_S:
        return "the smallest of those that need no permission"
    speak = f"{'speak' if spoken else 'can write'} {name}, " if task.language else ""
    return f"makes the most sense of those that {speak}fit the free memory, train in two hours and need no permission"


def _offer(pick: Pick, machine: Machine, task: Task) -> Offer:
    dtype = machine.measured.dtype if machine.measured else "float32"
    train = memory_to_train(pick.shape, dtype, task.at_once, machine.measured.device if machine.measured else "cpu")
    return Offer(
        pick,
        is_here=not pick.download_gb or hub_cache.pinned(pick.name) is not None,
        train=train,
        chat=memory_to_chat(pick.shape, dtype, task.at_once),
        seconds=seconds_to_train(pick.shape, machine, task.tokens),
        fits=None if machine.free is None else train <= _FREE * machine.free,
        could_fit=machine.memory is not None and train <= _ALL * machine.memory,
    )


def _best(found: Iterable[Offer], language: str | None) -> Offer:
    """The one that makes the most sense of those that speak the language and can be trained here, then the quickest."""
    free = [offer for offer in found if not offer.pick.gated]
    quick = [offer for offer in free if offer.seconds is not None and offer.seconds <= PATIENCE_S]
    able = [offer for offer in quick if offer.fits]
    # Memory comes back when programs are closed; a language never does.
    for choice in (able, [offer for offer in quick if offer.could_fit and language is not None]):
        for knows in (True, None):
            speaking = [offer for offer in choice if language is None or offer.pick.speaks(language) is knows]
            if speaking:
                return min(speaking, key=lambda offer: (-offer.pick.sense, offer.seconds))
    return min(free, key=lambda offer: offer.pick.parameters)
