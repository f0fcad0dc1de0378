"""Means with bootstrap intervals (Efron 1979, percentile method); seeded, so that the same numbers give the same."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.record import Measured

RESAMPLES = 1000
_SEED = 20_26
Floats = npt.NDArray[np.float64]


def mean(values: Sequence[float]) -> Measured | None:
    """The mean of some values; None of none."""
    return ratio(values, [1.0] * len(values))


def ratio(sums: Sequence[float], counts: Sequence[float]) -> Measured | None:
    """Sum over sum, such as nats per token of replies of many lengths; replies are drawn, not tokens. None of none."""
    if not sums or not sum(counts):
        return None
    above, below = np.asarray(sums, float), np.asarray(counts, float)
    drawn = np.random.default_rng(_SEED).integers(0, len(above), (RESAMPLES, len(above)))
    ratios = above[drawn].sum(axis=1) / np.maximum(below[drawn].sum(axis=1), 1e-9)
    return between(float(above.sum() / below.sum()), ratios)


def difference(
    one: Sequence[float], other: Sequence[float], ones: Sequence[float], others: Sequence[float]
) -> Measured:
    """sum(one) / sum(ones) - sum(other) / sum(others), of two groups that are drawn apart from one another."""
    random = np.random.default_rng(_SEED)
    parts = []
    for sums, counts in ((one, ones), (other, others)):
        above, below = np.asarray(sums, float), np.asarray(counts, float)
        drawn = random.integers(0, len(above), (RESAMPLES, len(above)))
        parts.append(above[drawn].sum(axis=1) / np.maximum(below[drawn].sum(axis=1), 1e-9))
    value = sum(one) / sum(ones) - sum(other) / sum(others)
    return between(float(value), parts[0] - parts[1])


def between(value: float, drawn: Floats) -> Measured:
    """A value with the middle 95 % of what was drawn."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Measured(round(value, 4), round(float(low), 4), round(float(high), 4))
