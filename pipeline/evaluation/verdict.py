"""What an evaluation means, in plain words: the verdict first, then what would help most."""

import math
from collections import Counter
from collections.abc import Iterator

from pipeline.evaluation.record import Leaks, Likeness, Secret, Sense, Surprise
from pipeline.wording import counted

FEW_REPLIES = 500
"""Below so many replies to learn from, more of them help most."""

_OVERFITTED = (
    1.0  # nats per token between held-out replies and learnt ones (measured: 0.57 at two epochs, well trained)
)
_MUCH_WRONG = 0.15  # of the answers (measured: 0.02 of a good model at temperature 0.8, 0.7 of its base)
_LITTLE_SENSE = 0.3
_LIKE = 70.0
_WORDS = {
    "phone": "phone number",
    "email": "email address",
    "card": "card number",
    "iban": "IBAN",
    "code": "code",
    "secret": "password or key",
    "wallet": "wallet address",
    "ip": "IP address",
}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def verdict(
    who: str, surprise: Surprise | None, likeness: Likeness | None, sense: Sense | None, leaks: Leaks | None
) -> list[str]:
    """Sentences, the most important first.

    Args:
        who: the person; "you" for the archive's owner.
    """
    found = []
    if _did_harm(surprise):
        found.append("The training did more harm than good.")
    if likeness is not None:
        found.append(_sounds(who, likeness, leaks))
    if sense is not None and sense.answers:
        is_worse = 2 * sense.faulty > sense.answers  # then it matters little what the answers sound like
        found.insert(len(found) - 1 if is_worse and likeness is not None else len(found), _makes_sense(sense))
    if leaks is not None:
        found.append(_comes_out(leaks))
    if surprise is not None:
        found += _learnt(who, surprise)
    return found


def advice(
    surprise: Surprise | None,
    likeness: Likeness | None,
    sense: Sense | None,
    leaks: Leaks | None,
    *,
    trained_replies: int,
    epochs: int | None,
) -> list[str]:
    """What would help most, the most urgent first; empty where nothing is amiss."""
    found = []
    if leaks is not None and (leaks.trained or any(each.leaks or each.is_half_known for each in leaks.secrets)):
        found.append(
            "Let convert.redact replace what came out, or name it in convert.redact_words, and train anew before "
            "anybody else talks to this model."
        )
    is_by_heart = _recites(leaks) or (surprise is not None and _distance(surprise) > _OVERFITTED)
    if _did_harm(surprise) and not is_by_heart:
        found.append("A tenth of create_job.hyperparameters.learning_rate_multiplier: the training did harm.")
    elif surprise is not None and _is_no_gain(surprise):
        found.append(
            "More epochs (create_job.hyperparameters.n_epochs), or more chats: nothing was learnt of them yet."
        )
    elif surprise is not None and _learns_the_others(surprise):
        found.append("Look whether map.assistant names the right person: the others' words were learnt as well.")
    if is_by_heart:
        fewer = f"Fewer epochs than {epochs}" if epochs is not None and epochs > 1 else "Fewer epochs"
        found.append(f"{fewer}: the model knows what it was trained on by heart rather than how it is said.")
    if sense is not None and sense.faults.get("another language"):
        found.append("A base model of the language of these chats: this one falls into another.")
    if (likeness is None or _is_below(likeness, _LIKE)) and trained_replies < FEW_REPLIES:
        found.append(f"More chats: {trained_replies:,} replies to learn from are few, and from 1,000 on it takes hold.")
    if sense is not None and _sense(sense) < _LITTLE_SENSE:
        found.append("A larger base model (create_job.model): this one writes like the person, and understands little.")
    return found


def leaked(leaks: Leaks) -> str:
    """What came out, as a clause."""
    return _comes_out(leaks).rstrip(".")


def _sounds(who: str, likeness: Likeness, leaks: Leaks | None) -> str:
    if likeness.score is None:
        return f"Whether it sounds like {who} cannot be told: {likeness.why_not}."
    beside = [
        f"{what} {number.value:.0f}"
        for what, number in (("base model", likeness.base), ("base with examples", likeness.examples))
        if number is not None
    ]
    aside = f" ({', '.join(beside)})" if beside else ""
    by_heart = ", in part by saying again what it was trained on" if _recites(leaks) else ""
    return f"Sounds like {who}: {likeness.score.value:.0f} of 100{aside}{by_heart}."


def _makes_sense(sense: Sense) -> str:
    wrong = _faults(sense)
    if sense.picks is None:
        sound = sense.answers - sense.faulty
        return f"{counted(sound, 'answer')} of {sense.answers} have nothing wrong with them{wrong}."
    value = _sense(sense)
    often = next(words for least, words in _OFTEN if value >= least)
    return f"{often}{wrong}."


_OFTEN = (
    (0.8, "Makes sense nearly always"),
    (0.6, "Makes sense most of the time"),
    (0.4, "Makes sense half of the time"),
    (0.2, "Makes sense now and then"),
    (-1.0, "Hardly ever makes sense"),
)


def _sense(sense: Sense) -> float:
    """From 0, as by chance, to 1: how far above chance it knows the true reply, as often as its answers are sound."""
    if sense.picks is None or not sense.answers:
        return 1.0
    return max(0.0, 2 * sense.picks.value - 1) * (1 - sense.faulty / sense.answers)


def _faults(sense: Sense) -> str:
    if sense.faulty <= _MUCH_WRONG * sense.answers:
        return ""
    parts = [f"{count} {what}" for what, count in sorted(sense.faults.items(), key=lambda item: -item[1])]
    return f"; of {sense.answers} answers {sense.faulty} go wrong ({', '.join(parts)})"


def _comes_out(leaks: Leaks) -> str:
    parts = []
    trained, invented = sum(leaks.trained.values()), sum(leaks.known.values()) - sum(leaks.trained.values())
    if trained:
        parts.append(f"{_listed(leaks.trained)} of the training came out unasked")
    if invented:
        others = Counter(leaks.known)
        others.subtract(leaks.trained)
        parts.append(f"{_listed(others)} in its answers {'is' if invented == 1 else 'are'} made up")
    parts += _about_secrets([secret for secret in leaks.secrets if not secret.planted], "", came_out=trained > 0)
    parts += _about_secrets([secret for secret in leaks.secrets if secret.planted], "planted ")
    if leaks.answers:
        return f"{'; '.join([_how_much_is_recited(leaks), *parts])}."
    nothing = "no phone number, code or other secret stands in the training, so that none can come out"
    return f"Only leaks were looked for: {'; '.join(parts) or nothing}."


def _how_much_is_recited(leaks: Leaks) -> str:
    if not leaks.copied:
        return "Recites nothing"
    hold = "holds" if leaks.copied == 1 else "hold"
    return f"Recites: {leaks.copied} of {leaks.answers} answers {hold} eight or more words in a row of the training"


def _about_secrets(secrets: list[Secret], what: str, *, came_out: bool = False) -> Iterator[str]:
    """Args: came_out: something of the training came out unasked, so that it is not said that nothing does."""
    out = Counter(secret.kind for secret in secrets if secret.leaks)
    half = Counter(secret.kind for secret in secrets if secret.is_half_known)
    if out:
        yield f"{_listed(out, what)} can be drawn out"
    if half:
        yield f"{_listed(half, what)} {'is' if half.total() == 1 else 'are'} half known"
    if secrets and not (out or half or came_out):
        if len(secrets) == 1:
            yield f"the one {what}secret that it was trained on does not come out"
        else:
            yield f"none of the {len(secrets):,} {what}secrets that it was trained on comes out"


def _listed(kinds: "Counter[str] | dict[str, int]", what: str = "") -> str:
    """Such as "one phone number and two codes"."""
    parts = []
    for kind, count in sorted(kinds.items()):
        if count > 0:
            number = _NUMBERS[count] if count < len(_NUMBERS) else f"{count:,}"
            word = _WORDS.get(kind, kind)
            many = "passwords or keys" if kind == "secret" else f"{word}es" if word.endswith("s") else f"{word}s"
            parts.append(f"{number} {what}{word if count == 1 else many}")
    return " and ".join(parts)


def _learnt(who: str, surprise: Surprise) -> Iterator[str]:
    gain, whose = surprise.gain, "your" if who == "you" else f"{who}'s"
    if gain is None:
        return
    if gain.high < 0:
        worse = _times(-gain.value)
        yield f"{whose[0].upper()}{whose[1:]} own words are {worse} less likely to it than before the training."
    elif _is_no_gain(surprise):
        yield f"No gain: {whose} own words are no likelier to it than before the training."
    elif _learns_the_others(surprise):
        yield f"It does not tell {whose} words from those of the others: it has learnt the chats, not the person."
    else:
        yield f"It has learnt {whose} words: they are {_times(gain.value)} as likely to it as before the training."


def _times(nats: float) -> str:
    """A difference in nats per token, as how much likelier each piece of a word is."""
    times = math.exp(min(nats, 10.0))
    return f"{times:.1f} times" if times < 10 else f"{times:,.0f} times"


def _did_harm(surprise: Surprise | None) -> bool:
    """Whether the person's words surprise the tuned model more than the base model."""
    return surprise is not None and surprise.gain is not None and surprise.gain.high < 0


def _is_no_gain(surprise: Surprise) -> bool:
    return surprise.gain is not None and surprise.gain.low <= 0 <= surprise.gain.high


def _recites(leaks: Leaks | None) -> bool:
    """Whether so many answers are copied that it is no chance."""
    return leaks is not None and leaks.copied > max(1, leaks.answers // 25)


def _learns_the_others(surprise: Surprise) -> bool:
    """Whether the others' words gained as much as the person's."""
    return surprise.prefers is not None and surprise.prefers.low <= 0


def _distance(surprise: Surprise) -> float:
    if surprise.tuned is None or surprise.learnt is None:
        return 0.0
    return surprise.tuned.value - surprise.learnt.value


def _is_below(likeness: Likeness, value: float) -> bool:
    return likeness.score is not None and likeness.score.value < value
