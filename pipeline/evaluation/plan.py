"""How much is asked: as much as the time and the money allow, and no more than tells something new."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.durable import reading
from pipeline.evaluation.replies import Reply

LEAST_S = 120.0
SHARE = 0.2
"""Of the training's time; the evaluation takes that or LEAST_S, whichever is more."""

_LONGEST_STEP_S = 60  # between two events; what is longer is a pause
_FEWEST_TOKENS, _MOST_TOKENS = 32, 96
_CHARACTERS_A_TOKEN = 3.5  # of chats; English prose has 4
_EXAMPLES_TOKENS = 400  # eight of them
_SCORES_A_SECRET = 120  # 41 of most, 402 of one that looks known


class Counts(msgspec.Struct, frozen=True):
    """How many of each are asked.

    Attributes:
        answers: of the tuned model; `base_answers` of the base model, with the system prompt and with examples.
        scored: true replies under the tuned model and the prompted base model; `aside` under the others.
        ranked: contexts in which the true reply is ranked; `base_ranked` under the base model.
        secrets: that are ranked and asked for.
    """

    answers: int
    base_answers: int
    scored: int
    aside: int
    ranked: int
    base_ranked: int
    secrets: int


WISHED = Counts(answers=100, base_answers=30, scored=120, aside=50, ranked=30, base_ranked=12, secrets=6)
LEAST = Counts(answers=32, base_answers=16, scored=32, aside=16, ranked=8, base_ranked=2, secrets=1)


class Pace(msgspec.Struct, frozen=True):
    """Seconds that an answer of the tuned model takes, and the score of a reply, None where there are none."""

    answer_s: float
    score_s: float | None


class Prices(NamedTuple):
    """US dollars per million tokens of the tuned model, which cost more than the base model's."""

    read: float
    written: float


def seconds_of(counts: Counts, pace: Pace) -> float:
    """About how long that takes; a base model's answers go on to the limit."""
    answers = counts.answers + counts.base_answers * (3 + 1.5)
    scores: float = 2 * counts.scored + (1 + 4 + 1 + 2) * counts.aside + 11 * (counts.ranked + counts.base_ranked)
    scores += _SCORES_A_SECRET * 0.6 * counts.secrets  # they stand in short replies
    return answers * pace.answer_s + scores * (pace.score_s or 0.0) + 3 * counts.secrets * pace.answer_s


def cost_of(counts: Counts, prices: Prices, context_tokens: float, most_tokens: int) -> float:
    """About what that costs where answers alone are asked for, in US dollars; at most, for all are taken as long."""
    asked = counts.answers + 2 * counts.base_answers + 2 * counts.secrets
    read = asked * context_tokens + counts.base_answers * _EXAMPLES_TOKENS
    return (read * prices.read + asked * most_tokens * prices.written) / 1e6


def counts_for(share: float) -> Counts:
    """That share of what is wished for, and no less than says something."""
    wished, least = msgspec.structs.asdict(WISHED), msgspec.structs.asdict(LEAST)
    return Counts(**{name: max(least[name], round(share * wished[name])) for name in wished})


def within(pace: Pace, seconds: float) -> Counts:
    """The most that fits into that time; LEAST where not even that does."""
    shares = [number / 20 for number in range(20, 0, -1)]
    fitting = (counts_for(share) for share in shares if seconds_of(counts_for(share), pace) <= seconds)
    return next(fitting, LEAST)


def most_tokens(replies: Sequence[str]) -> int:
    """How long an answer may be: half as long again as nearly all of the person's."""
    lengths = sorted(map(len, replies)) or [0]
    long = lengths[min(len(lengths) - 1, len(lengths) * 95 // 100)]
    return max(_FEWEST_TOKENS, min(_MOST_TOKENS, round(1.5 * long / _CHARACTERS_A_TOKEN)))


def context_tokens(replies: Sequence[Reply]) -> float:
    """About how many tokens a context has."""
    lengths = [sum(len(message.content) for message in reply.context) for reply in replies] or [0]
    return sum(lengths) / len(lengths) / _CHARACTERS_A_TOKEN


def training_seconds(events: Path | None) -> float:
    """How long the training took, by the times of its events; 0 where there are none. Pauses do not count."""
    times: list[int] = []
    if events is not None and events.is_file():
        with reading(events) as file:
            for line in file:
                at = json.loads(line).get("created_at")
                times += [at] if isinstance(at, int) else []
    return float(sum(min(later - before, _LONGEST_STEP_S) for before, later in itertools.pairwise(sorted(times))))
