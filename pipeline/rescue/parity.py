"""How near a successor's answers come to the old model's, on the same prompts: counted, and the worst first."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pipeline.rescue.ledger import Answered, Ledger

NEAR = 0.8
"""Similarity (0 to 1, difflib's ratio over words) from which two answers count as near."""

_MOST_WORDS = 400  # that are compared of an answer; the comparison takes quadratic time
_REFUSAL = re.compile(
    r"(?i)^\W*(?:(?:i['’]?m (?:really |very )?|i am )?sorry,? (?:but |i (?:can|am (?:not able|unable)|won))|"
    r"i (?:can(?:no|['’])t|am (?:not able|unable)|won['’]t)|i['’]m (?:not able|unable)|as an ai\b|"
    r"unfortunately,? i (?:can(?:no|['’])t|am))"
)
"""Of English alone; other languages have their own words."""


class Pair(msgspec.Struct, frozen=True):
    """One prompt with both answers.

    Attributes:
        source, line: where the prompt is from: valid, train, stored or yours.
        prompt: the last message, as text.
        alike: 0 to 1, of the likest of the old model's answers to the successor's.
        own_alike: the same of the old model's greedy answer and its own other ones; None where it was asked only once.
        wrong: what the successor does otherwise in form: no JSON where there was some, a refusal, no words.
    """

    source: str
    line: int
    prompt: str
    old: str
    new: str
    alike: float
    own_alike: float | None
    wrong: list[str]


class Side(msgspec.Struct, frozen=True):
    """What one model's answers are like, all together; words are the median of an answer."""

    words: float
    json: int
    refusals: int
    empty: int


class Habit(msgspec.Struct, frozen=True):
    """A habit of writing: in which part of their answers each has it, 0 to 1."""

    what: str
    old: float
    new: float


class Parity(msgspec.Struct, frozen=True):
    """The comparison.

    Attributes:
        compared: prompts that both answered greedily; `held_out` of them were in no training file.
        unanswered: prompts of the old model's answers that the successor has none to.
        exact, near: how many answers are the same but for blanks and case, and how many are alike by NEAR or more.
        own_near: the same of the old model and itself asked again, which no successor need exceed; of `own_compared`.
        pairs: the worst first.
    """

    model: str
    successor: str
    compared: int
    held_out: int
    unanswered: int
    exact: int
    near: int
    own_compared: int
    own_near: int
    alike: float
    alike_held_out: float | None
    old: Side
    new: Side
    habits: list[Habit]
    pairs: list[Pair]


def parity(model: str, successor: str, old: Ledger, new: Ledger) -> Parity:
    """Compare what two ledgers hold."""
    found = _greedy(new)
    samples = {each.prompt.id: each.texts() for each in old.answers.values() if each.kind != "greedy"}
    pairs, unanswered = [], 0
    for prompt_id, answered in _greedy(old).items():
        if prompt_id in found:
            pairs.append(_pair(answered, found[prompt_id], samples.get(prompt_id, [])))
        else:
            unanswered += 1
    pairs.sort(key=lambda pair: (-len(pair.wrong), pair.alike, pair.source != "valid"))
    held_out = [pair for pair in pairs if pair.source == "valid"]
    again = [pair.own_alike for pair in pairs if pair.own_alike is not None]
    return Parity(
        model,
        successor,
        compared=len(pairs),
        held_out=len(held_out),
        unanswered=unanswered,
        exact=sum(plain(pair.old) == plain(pair.new) for pair in pairs),
        near=sum(pair.alike >= NEAR for pair in pairs),
        own_compared=len(again),
        own_near=sum(each >= NEAR for each in again),
        alike=_mean([pair.alike for pair in pairs]),
        alike_held_out=_mean([pair.alike for pair in held_out]) if held_out else None,
        old=_side([pair.old for pair in pairs]),
        new=_side([pair.new for pair in pairs]),
        habits=_habits(pairs),
        pairs=pairs,
    )


def plain(text: str) -> str:
    """What has to be the same in answers that count as exact."""
    return " ".join(text.split()).casefold()


def alike(one: str, other: str) -> float:
    """0 to 1: how much of the words two answers have in common, in their order."""
    if plain(one) == plain(other):
        return 1.0
    first, second = (plain(text).split()[:_MOST_WORDS] for text in (one, other))
    return round(difflib.SequenceMatcher(a=first, b=second, autojunk=False).ratio(), 4)


def is_json(text: str) -> bool:
    """Whether an answer is an object or a list of JSON, in a fence or not."""
    bare = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        return isinstance(msgspec.json.decode(bare), dict | list)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False


def is_refusal(text: str) -> bool:
    """Whether it begins as a refusal in English does."""
    return _REFUSAL.match(text) is not None


def _greedy(ledger: Ledger) -> Mapping[str, Answered]:
    return {each.prompt.id: each for each in ledger.answers.values() if each.kind == "greedy" and each.texts()}


def _pair(old: Answered, new: Answered, samples: Sequence[str]) -> Pair:
    said, now = old.texts()[0], new.texts()[0]
    own = [alike(said, each) for each in samples]
    return Pair(
        old.prompt.source,
        old.prompt.line,
        _text_of(old.prompt.messages[-1]),
        said,
        now,
        alike=max(alike(each, now) for each in (said, *samples)),
        own_alike=sum(own) / len(own) if own else None,
        wrong=_wrong(said, now),
    )


def _wrong(old: str, new: str) -> list[str]:
    found = []
    if is_json(old) and not is_json(new):
        found.append("no JSON any more")
    if is_refusal(new) and not is_refusal(old):
        found.append("refuses")
    if is_refusal(old) and not is_refusal(new):
        found.append("no longer refuses")
    if old.strip() and not new.strip():
        found.append("says nothing")
    return found


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text") or f"[{part.get('type')}]") for part in content if isinstance(part, dict))
    return str(content or "")


def _side(texts: Sequence[str]) -> Side:
    lengths = sorted(len(text.split()) for text in texts)
    middle = len(lengths) // 2
    median = (
        0.0 if not lengths else lengths[middle] if len(lengths) % 2 else (lengths[middle - 1] + lengths[middle]) / 2
    )
    return Side(
        words=float(median),
        json=sum(map(is_json, texts)),
        refusals=sum(map(is_refusal, texts)),
        empty=sum(not text.strip() for text in texts),
    )


def _habits(pairs: Sequence[Pair]) -> list[Habit]:
    """The habits of writing in which the two differ most."""
    from pipeline.evaluation.style import FEATURES, rates

    if not pairs:
        return []
    old, new = (rates(texts).mean(axis=0) for texts in ([pair.old for pair in pairs], [pair.new for pair in pairs]))
    found = [Habit(what, round(float(old[n]), 3), round(float(new[n]), 3)) for n, what in enumerate(FEATURES)]
    return sorted(found, key=lambda habit: -abs(habit.old - habit.new))[:5]


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0
