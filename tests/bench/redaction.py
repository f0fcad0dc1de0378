"""How much of what is to be replaced in texts is found, and how much else: by kind, on tests/dataset/redaction_set.py.

The set is made by rules of our own: it shows what the forms miss, not what people write.
"""

from collections import Counter
from typing import NamedTuple

from pipeline.config.redaction import KINDS, Kind
from pipeline.dataset.redact import Redactor, Rules
from tests.dataset.redaction_set import labelled

GOAL = 0.99


class Score(NamedTuple):
    """What became of the texts of a kind.

    Attributes:
        texts: that hold something of the kind.
        recall: the part of them in which it was replaced, as what it is.
        precision: of what was replaced as this kind in all texts, the part that was in a text of the kind.
    """

    kind: Kind
    texts: int
    precision: float
    recall: float


def scores(number: int, seed: int) -> list[Score]:
    """Replace in `number` texts of each kind, and as many harmless ones for each."""
    there, found, replaced = Counter[str](), Counter[str](), Counter[str]()
    for each in labelled(number, seed):
        redact = Redactor(Rules(KINDS, region=each.region))
        left = redact(each.text) or ""
        for kind, count in redact.counts.items():
            replaced[kind] += count if kind == each.kind else 0
            replaced[f"{kind}, elsewhere"] += count if kind != each.kind else 0
        if each.kind is not None:
            there[each.kind] += 1
            found[each.kind] += redact.counts[each.kind] > 0 and each.secret not in left
    return [
        Score(
            kind,
            there[kind],
            replaced[kind] / max(1, replaced[kind] + replaced[f"{kind}, elsewhere"]),
            found[kind] / there[kind],
        )
        for kind in KINDS
    ]
