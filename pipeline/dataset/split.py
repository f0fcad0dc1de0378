"""Which examples are held out for validation."""

import hashlib
from collections.abc import Collection


def validation_ids(ids: Collection[str], fraction: float) -> frozenset[str]:
    """Choose round(n * fraction) of n session ids, at least one if there are two and `fraction` is above 0.

    The choice depends on nothing but the ids: those whose SHA-256 is lowest. So it is the same on every run, whatever
    their order, and an archive that grows moves few sessions from one side to the other.
    """
    unique = set(ids)
    count = round(len(unique) * fraction)
    if fraction > 0 and len(unique) >= 2:
        count = max(count, 1)
    ranked = sorted(unique, key=lambda id_: (hashlib.sha256(id_.encode()).digest(), id_))
    return frozenset(ranked[:count])
