"""What is wrong with answers as such: loops, empty and endless ones, and words that are not the person's to say."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from pipeline.evaluation.intervals import mean
from pipeline.evaluation.record import Measured, Sense
from pipeline.models.messages import ChatMessage

ASSISTANT = re.compile(
    r"(?i)\b(?:as an? (?:ai\b|ai language model|language model|chat ?bot|virtual assistant|digital assistant)"
    r"|i(?:'|’)?m (?:just |only )?an? (?:ai\b|language model|chat ?bot|assistant)"
    r"|i am (?:just |only )?an? (?:ai\b|language model|chat ?bot|assistant)"
    r"|(?:how|what) (?:can|may) i (?:help|assist|do for) you"
    r"|(?:i'?m|i am) (?:here|happy|glad) to (?:help|assist)"
    r"|feel free to (?:ask|reach out|contact)"
    r"|(?:i'?m|i am) sorry,? (?:but )?i (?:can'?t|cannot|am not able|am unable|don'?t have)"
    r"|let me know if (?:you have any|there(?:'s| is) anything else)"
    r"|is there anything else i can)"
)
"""What models say that were made to help (measured: SmolLM2's own refusals and offers)."""

COPIED = 8
"""So many words in a row are taken for recited; fewer are said by chance (measured: no person's reply had them)."""

_LOOPED = 3  # times in a row
_LONGEST_LOOP = 12  # words
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_OTHERS = 10
FAULTS = ("empty", "endless", "loops", "speaks as the other person", "talks like an assistant", "another language")


class Answer(msgspec.Struct, frozen=True):
    """What the tuned model said to a held-out context."""

    context: tuple[ChatMessage, ...]
    text: str
    ended: bool


Language = Callable[[str], str | None]
"""Names the language of a text, such as "de"; None where it is too short to tell."""


def is_loop(text: str) -> bool:
    """Whether some words come three times in a row, or a letter forty times."""
    words = text.lower().split()
    for length in range(1, min(_LONGEST_LOOP, len(words) // _LOOPED) + 1):
        needed = length * (_LOOPED if length > 2 else 2 * _LOOPED)  # "no no no" is no loop
        same = 0
        for at in range(length, len(words)):
            same = same + 1 if words[at] == words[at - length] else 0
            if same + length >= needed:
                return True
    return re.search(r"(\S)\1{39}", text) is not None


def faults_of(answer: Answer, names: Collection[str], *, own_phrases: bool = False) -> list[str]:
    """What is wrong with an answer, of FAULTS.

    Args:
        names: of the other people.
        own_phrases: the person talks like an assistant, too: then it is no fault.
    """
    text = answer.text.strip()
    found = []
    if not text:
        return ["empty"]
    if not answer.ended:
        found.append("endless")
    if is_loop(text):
        found.append("loops")
    if any(text.startswith(f"{name}:") or f"\n{name}:" in text for name in names):
        found.append("speaks as the other person")
    if not own_phrases and ASSISTANT.search(text):
        found.append("talks like an assistant")
    return found


def sense_of(
    answers: Sequence[Answer],
    names: Collection[str],
    replies: Sequence[str],
    picks: Mapping[str, Sequence[Sequence[float]]],
    language: Language | None,
) -> Sense:
    """Count what is wrong with answers, and how often the true reply is the likeliest.

    Args:
        replies: of the person, to know what is theirs.
        picks: of "tuned" and "base", for each context the nats per token of the true reply and then of the others.
        language: None where nothing here can tell one.
    """
    own_phrases = any(map(ASSISTANT.search, replies))
    theirs = _languages(replies, language)
    counts: Counter[str] = Counter()
    faulty = 0
    for answer in answers:
        found = faults_of(answer, names, own_phrases=own_phrases)
        spoken = None if language is None or not theirs else language(answer.text)
        if spoken is not None and spoken not in theirs:
            found.append("another language")
        counts.update(found)
        faulty += bool(found)
    tuned = picks.get("tuned", ())
    return Sense(
        answers=len(answers),
        faulty=faulty,
        faults={name: counts[name] for name in FAULTS if counts[name]},
        contexts=len(tuned),
        picks=_beaten(tuned),
        base_picks=_beaten(picks.get("base", ())),
        first=sum(all(other > odds[0] for other in odds[1:]) for odds in tuned),
    )


def _beaten(ranked: Sequence[Sequence[float]]) -> Measured | None:
    """The share of the other replies that the true one beats, on average."""
    return mean([sum(other > odds[0] for other in odds[1:]) / len(odds[1:]) for odds in ranked])


def _languages(replies: Sequence[str], language: Language | None) -> set[str]:
    """Those of at least a twentieth of the replies of which it can be told."""
    if language is None:
        return set()
    spoken = Counter(filter(None, map(language, replies)))
    return {name for name, count in spoken.items() if count * 20 >= spoken.total()}


def others_for(true: str, replies: Sequence[str], begin: int) -> list[str]:
    """Ten other replies, of about the same length as the true one: a likelihood would tell lengths apart.

    Args:
        begin: varies the choice from one context to the next.
    """
    different = sorted({reply for reply in replies if reply != true}, key=lambda reply: (len(reply), reply))
    if len(different) <= _OTHERS:
        return different
    place = min(range(len(different)), key=lambda at: abs(len(different[at]) - len(true)))
    low = max(0, min(place - 2 * _OTHERS, len(different) - 4 * _OTHERS))
    near = different[low : low + 4 * _OTHERS]
    return [near[(begin * 7 + at * len(near) // _OTHERS) % len(near)] for at in range(_OTHERS)]


class Recited:
    """Finds words of the training file in answers."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._rows: set[tuple[str, ...]] = set()
        for text in texts:
            self._rows.update(_rows_of(text))

    def is_in(self, answer: str, context: Sequence[ChatMessage]) -> bool:
        """Whether eight words of it or more stand so in the training file, and not in its own context."""
        own = {row for message in context for row in _rows_of(message.content)}
        return any(row in self._rows and row not in own for row in _rows_of(answer))


def _rows_of(text: str) -> list[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return [tuple(words[at : at + COPIED]) for at in range(len(words) - COPIED + 1)]
