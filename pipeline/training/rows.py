"""Examples of a batch, one after the other in rows without padding. Imports torch.

A row as long as several examples keeps the cores at large products; padded to the longest of its batch, an example of a
chat is more padding than text.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from pipeline.models.chat_format import IGNORED

ROW_TOKENS = 1024
"""Of several examples in a row; one that is longer has a row of its own. Longer rows are hardly faster (measured)."""


class Row(NamedTuple):
    """Examples in a row: (1, tokens) each; what an example begins with is nobody's target."""

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    labels: torch.Tensor
    lengths: tuple[int, ...]


def rows_of(batch: Mapping[str, torch.Tensor], most: int) -> list[Row]:
    """Rows of at most so many tokens, or one example; the longest examples first, each in the first row with room."""
    lengths = batch["attention_mask"].sum(1).tolist()
    rows: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        room = (row for row in rows if sum(lengths[each] for each in row) + lengths[number] <= most)
        row = next(room, None)
        if row is None:
            rows.append([number])
        else:
            row.append(number)
    return [_row(batch, row, lengths) for row in rows]


def _row(batch: Mapping[str, torch.Tensor], numbers: Sequence[int], lengths: Sequence[int]) -> Row:
    labels = batch["labels"].clone()
    labels[:, 0] = IGNORED
    there = batch["attention_mask"].bool()
    ids, wanted = (
        torch.cat([of[number][there[number]] for number in numbers])[None] for of in (batch["input_ids"], labels)
    )
    positions = torch.cat([torch.arange(lengths[number]) for number in numbers])[None]
    return Row(ids, positions, wanted, tuple(lengths[number] for number in numbers))
