"""How much answers sound like somebody, calibrated on their chats: 0 as the other people in them do, 100 as they do.

Three measures together, for each alone is fooled: characters cannot tell some people apart, and a judge is content with
typical phrases over and over. Each is scaled between what it says of the other people and what it says of the person's
own other half, and counts by how well it tells these two apart (calibrated authorship: arXiv 2604.26460; measures of
style: 2509.14543, 2509.24930).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.intervals import Floats, between
from pipeline.evaluation.record import Feature, Likeness, Measure, Measured
from pipeline.evaluation.style import FEATURES, rates
from pipeline.wording import counted

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

FEWEST = 30
"""Replies of the person, of the others and of the model, below which nothing is said."""

_MOST = 3000  # replies of each side
_CUT = 300  # characters: what has no end must not count for more than what has
_GRAMS, _JUDGED = 1 << 13, 1 << 16  # places that n-grams are hashed to
_RESAMPLES = 120
_DRAWN = (1500, 6000)  # characters that are compared at a time
_APART = 1.0  # standard deviations between person and others, below which a measure does not count
_HEAVIEST = 5.0
_SEED = 17
_NAMES = ("three letters in a row", "habits of writing", "a judge of authorship")


class Groups(NamedTuple):
    """Replies to compare.

    Attributes:
        known: the person's, those that were trained on.
        held_out: the person's, those that were not.
        others: what the other people of these chats wrote.
        tuned, base, examples: answers of the models to held-out contexts; empty where there are none.
    """

    known: Sequence[str]
    held_out: Sequence[str]
    others: Sequence[str]
    tuned: Sequence[str]
    base: Sequence[str] = ()
    examples: Sequence[str] = ()


def likeness(groups: Groups) -> Likeness:
    """Measure how like the person the tuned model's answers are, and the base model's beside them."""
    features = _features(groups)
    own = [*groups.known, *groups.held_out]
    few = [
        counted(len(texts), f"reply {whose}", f"replies {whose}")
        for texts, needed, whose in (
            (own, 2 * FEWEST, "of the person"),
            (groups.others, 2 * FEWEST, "of other people"),
            (groups.tuned, FEWEST, "of the model"),
        )
        if len(texts) < needed
    ]
    if few:
        why_not = f"too few to measure: {', '.join(few)}"
        return Likeness(len(groups.tuned), why_not=why_not, features=features)
    return _scored(groups, features)


def _scored(groups: Groups, features: list[Feature]) -> Likeness:
    random = np.random.default_rng(_SEED)
    known, other_half = _halves(groups.known, groups.held_out, random)
    others = _some(groups.others, random)
    ruler = _Ruler(known, others[::2])
    sets: dict[str, Sequence[str]] = {
        "others": others[1::2],
        "own": other_half,
        "tuned": groups.tuned,
        "base": groups.base,
        "examples": groups.examples,
    }
    sets = {name: _cut(texts) for name, texts in sets.items() if len(texts) >= FEWEST // 2}
    characters = min(sum(map(len, texts)) for texts in sets.values())
    characters = int(np.clip(characters, *_DRAWN))
    replies = min(len(texts) for texts in sets.values())
    drawn = {name: ruler.drawn(texts, characters, replies, random) for name, texts in sets.items()}
    weights = _weights(drawn["others"], drawn["own"])
    measures = [
        Measure(
            name,
            others=_interval(drawn["others"][:, n]),
            own=_interval(drawn["own"][:, n]),
            model=_interval(drawn["tuned"][:, n]),
            weight=round(float(weights[n]), 2),
        )
        for n, name in enumerate(_NAMES)
    ]
    scores = {name: _score(values, drawn["others"], drawn["own"], weights) for name, values in drawn.items()}
    found = {name: _bounded(_interval(values)) for name, values in scores.items()}
    why_not = None
    if not weights.any() or np.quantile(scores["others"], 0.975) >= np.quantile(scores["own"], 0.025):
        why_not = "by these measures the other people of these chats write as the person does"
    return Likeness(
        answers=len(groups.tuned),
        score=None if why_not else found["tuned"],
        base=None if why_not else found.get("base"),
        examples=None if why_not else found.get("examples"),
        others=found["others"],
        own=found["own"],
        why_not=why_not,
        measures=measures,
        features=features,
    )


class _Ruler:
    """Measures texts against what is known of the person: lower is more alike."""

    def __init__(self, known: Sequence[str], others: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer  # type: ignore[import-untyped]

        def hashing(low: int, high: int, places: int, norm: str | None) -> HashingVectorizer:
            return HashingVectorizer(
                analyzer="char", ngram_range=(low, high), n_features=places, alternate_sign=False, norm=norm
            )

        self._grams, self._seen = hashing(3, 3, _GRAMS, None), hashing(1, 4, _JUDGED, "l2")
        known = _cut(known)
        self._of_known = _distribution(self._grams.transform(known))
        self._habits = rates(known).mean(axis=0)
        self._judge = _judge(self._seen.transform([*known, *_cut(others)]), len(known), len(others))

    def drawn(
        self, texts: Sequence[str], characters: int, replies: int, random: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """Draw from the texts again and again, as much of each group as of any: short samples look more unlike.

        Returns a row a draw and a column a measure.
        """
        grams, habits = self._grams.transform(texts), rates(texts)
        odds = 1.0 - self._judge.predict_proba(self._seen.transform(texts))[:, 1]
        lengths = np.array([len(text) for text in texts])
        rows = []
        for _ in range(_RESAMPLES):
            order = random.integers(0, len(texts), 4 * len(texts) + characters)
            enough = int(np.searchsorted(np.cumsum(lengths[order]), characters)) + 1
            chosen = random.integers(0, len(texts), replies)
            rows.append(
                (
                    _divergence(_distribution(grams[order[:enough]]), self._of_known),
                    float(np.abs(habits[chosen].mean(axis=0) - self._habits).mean()),
                    float(odds[chosen].mean()),
                )
            )
        return np.array(rows)


def _judge(seen: Any, own: int, others: int) -> "LogisticRegression":
    from sklearn.linear_model import LogisticRegression

    judge = LogisticRegression(C=10.0, class_weight="balanced", solver="liblinear", dual=True, random_state=0)
    judge.fit(seen, [1] * own + [0] * others)
    return judge


def _distribution(counts: Any) -> Floats:
    """Of a sparse matrix with a row a text: how often each n-gram comes, as parts of 1."""
    summed: Floats = np.asarray(counts.sum(axis=0), np.float64).ravel()
    return np.asarray(summed / max(float(summed.sum()), 1.0), np.float64)


def _divergence(one: Floats, other: Floats) -> float:
    """Jensen-Shannon distance, the root of the divergence to base 2: 0 for the same, 1 for nothing in common."""
    middle = (one + other) / 2
    total = 0.0
    for part in (one, other):
        there = part > 0
        total += float((part[there] * np.log2(part[there] / middle[there])).sum()) / 2
    return float(np.sqrt(max(total, 0.0)))


def _weights(others: Floats, own: Floats) -> Floats:
    """Of each measure: how many standard deviations the others lie above the person; 0 where that is too few."""
    spread = np.sqrt((others.var(axis=0) + own.var(axis=0)) / 2) + 1e-9
    apart = (others.mean(axis=0) - own.mean(axis=0)) / spread
    return np.where(apart < _APART, 0.0, np.minimum(apart, _HEAVIEST))


def _score(values: Floats, others: Floats, own: Floats, weights: Floats) -> Floats:
    """0 where the others are, 100 where the person is; what is far off counts against the rest, up to a limit."""
    if not weights.any():
        return np.zeros(len(values))
    used = weights > 0
    floor, ceiling = others.mean(axis=0)[used], own.mean(axis=0)[used]
    parts = np.clip((floor - values[:, used]) / (floor - ceiling), -1.0, 1.25)
    return np.asarray(100 * (parts * weights[used]).sum(axis=1) / weights[used].sum(), float)


def _interval(values: Floats) -> Measured:
    return between(float(np.median(values)), values)


def _bounded(found: Measured) -> Measured:
    low, value, high = (float(np.clip(round(each, 1), 0, 100)) for each in (found.low, found.value, found.high))
    return Measured(value, low, high)


def _halves(
    known: Sequence[str], held_out: Sequence[str], random: np.random.Generator
) -> tuple[Sequence[str], Sequence[str]]:
    """The person against the person: what is held out, and a quarter of the rest, are the other half."""
    shuffled = _some(known, random)
    quarter = max(len(shuffled) // 4, 2 * FEWEST - len(held_out), 0)
    return shuffled[quarter:], [*held_out, *shuffled[:quarter]]


def _some(texts: Sequence[str], random: np.random.Generator) -> list[str]:
    return [texts[at] for at in random.permutation(len(texts))[:_MOST]]


def _cut(texts: Sequence[str]) -> list[str]:
    return [text.strip()[:_CUT] for text in texts]


def _features(groups: Groups) -> list[Feature]:
    """What the person does and how often, and the model, the widest apart first."""
    own = [*groups.known, *groups.held_out]
    if not own or not groups.tuned:
        return []
    person, model = rates(own).mean(axis=0), rates(groups.tuned).mean(axis=0)
    base: Mapping[int, float] = dict(enumerate(rates(groups.base).mean(axis=0))) if groups.base else {}
    found = [
        Feature(
            what,
            person=round(float(person[n]), 4),
            model=round(float(model[n]), 4),
            base=None if not base else round(float(base[n]), 4),
        )
        for n, what in enumerate(FEATURES)
    ]
    return sorted(found, key=lambda feature: -abs(feature.person - feature.model))
