"""How well the model of each epoch foretells what was held out, as the backend measured it."""

import math
from typing import TYPE_CHECKING

import msgspec

from pipeline.backends.listing import NoList, rows

if TYPE_CHECKING:
    import openai

# OpenAI API reference, checkpoints, metrics: the loss on the whole validation file, or on a part of it.
_LOSSES = ("full_valid_loss", "valid_loss")


class Epoch(msgspec.Struct, frozen=True):
    """A checkpoint that can be talked to, and its loss on the validation file in nats per token."""

    model: str
    step: int
    loss: float


def measured_epochs(client: "openai.OpenAI", job_id: str) -> list[Epoch]:
    """The checkpoints of a job that the backend keeps, the earliest first.

    There are none if it keeps no list, or if one of them lacks a loss or a name: then they cannot be compared.

    Raises:
        Transient, EndlessList: what came is no list.
    """
    try:
        found = list(rows(lambda: client.fine_tuning.jobs.checkpoints.list(job_id)))
    except NoList:
        return []
    for name in _LOSSES:
        epochs = [_epoch(row, name) for row in found]
        known = [epoch for epoch in epochs if epoch is not None]
        if len(known) == len(epochs):
            return sorted(known, key=lambda epoch: epoch.step)
    return []


def _epoch(row: object, name: str) -> Epoch | None:
    model, step = getattr(row, "fine_tuned_model_checkpoint", None), getattr(row, "step_number", None)
    loss = getattr(getattr(row, "metrics", None), name, None)
    if not (isinstance(model, str) and model and type(step) is int and isinstance(loss, int | float)):
        return None
    return Epoch(model, step, float(loss)) if math.isfinite(loss) else None
