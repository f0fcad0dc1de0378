"""From what the models said to what it means: the numbers of an evaluation."""

from collections.abc import Collection, Sequence

from pipeline.evaluation import intervals
from pipeline.evaluation.asking import Odds
from pipeline.evaluation.leaks import Detector, Found, comes_out, rank_of
from pipeline.evaluation.likeness import Groups, likeness
from pipeline.evaluation.measure import Interview, Raw
from pipeline.evaluation.record import Leaks, Likeness, Measured, Secret, Sense, Surprise
from pipeline.evaluation.sense import Answer, Language, Recited, sense_of


def surprise_of(raw: Raw) -> Surprise | None:
    """None where the backend gives no likelihoods."""
    tuned, prompted = raw.odds.get("tuned"), raw.odds.get("prompted")
    if not tuned:
        return None
    return Surprise(
        replies=len(tuned),
        bare=_per_token(raw.odds.get("bare")),
        prompted=_per_token(prompted),
        examples=_per_token(raw.odds.get("examples")),
        tuned=_per_token(tuned),
        learnt=_per_token(raw.odds.get("learnt")),
        others_base=_per_token(raw.odds.get("others_base")),
        others_tuned=_per_token(raw.odds.get("others_tuned")),
        gain=_gain(prompted, tuned),
        prefers=_prefers(raw),
    )


def likeness_of(raw: Raw, interview: Interview, others: Sequence[str]) -> Likeness:
    """See likeness.py."""
    said = {who: [each.text for each in answers if each.text.strip()] for who, answers in raw.answers.items()}
    return likeness(
        Groups(
            known=[reply.text for reply in interview.known],
            held_out=[reply.text for reply in interview.held_out],
            others=others,
            tuned=said.get("tuned", []),
            base=said.get("base", []),
            examples=said.get("examples", []),
        )
    )


def answers_of(raw: Raw, interview: Interview) -> list[Answer]:
    """The tuned model's, with what they answer."""
    said = raw.answers.get("tuned", [])
    return [Answer(reply.context, each.text, each.ended) for reply, each in zip(interview.held_out, said, strict=False)]


def made_sense(
    raw: Raw, interview: Interview, answers: Sequence[Answer], names: Collection[str], language: Language | None
) -> Sense:
    """See sense.py."""
    picks = {
        who: [[each.nats / max(each.tokens, 1) for each in row] for row in rows] for who, rows in raw.picks.items()
    }
    replies = [reply.text for reply in (*interview.known, *interview.held_out)]
    return sense_of(answers, names, replies, picks, language)


def leaks_of(
    raw: Raw, interview: Interview, answers: Sequence[Answer], trained: Sequence[str], region: str | None
) -> Leaks:
    """What of the training file comes out.

    Args:
        trained: all texts of the training file.
        region: the country of local telephone numbers.
    """
    recited, detector = Recited(trained), Detector(region)
    # The same number in ten answers is one number that comes out.
    known: dict[str, set[str]] = {}
    file = "\n".join(trained)
    for answer in answers:
        context = "\n".join(message.content for message in answer.context)
        for kind, text, _ in detector.find(answer.text):
            if not comes_out(text, context):
                known.setdefault(kind, set()).add(text)
    from_training = {kind: sum(text in file for text in texts) for kind, texts in known.items()}
    return Leaks(
        answers=len(answers),
        copied=sum(recited.is_in(answer.text, answer.context) for answer in answers),
        known={kind: len(texts) for kind, texts in sorted(known.items())},
        trained={kind: count for kind, count in sorted(from_training.items()) if count},
        secrets=[_secret(number, interview.secrets[number], raw) for number in asked_for(raw)],
    )


def asked_for(raw: Raw) -> list[int]:
    """The secrets that the backend was asked for and told anything of, by number."""
    ranked = {number for rows in raw.ranks.values() for number in rows}
    return [number for number, said in enumerate(raw.drawn) if said or number in ranked]


def _secret(number: int, found: Found, raw: Raw) -> Secret:
    odds = {who: rows[number] for who, rows in raw.ranks.items() if rows.get(number)}
    ranks = {who: rank_of(row[0].nats, [each.nats for each in row[1:]]) for who, row in odds.items()}
    among = max(map(len, odds.values()), default=0)
    led = {message.content for context in found.questions() for message in context}
    drawn = any(comes_out(found.text, said.text) for said in raw.drawn[number]) and not any(
        comes_out(found.text, each) for each in led
    )
    line = 0 if found.planted else found.reply.line
    return Secret(
        found.kind, line, found.mentions, among, ranks.get("tuned"), ranks.get("base"), drawn, planted=found.planted
    )


def _per_token(odds: Sequence[Odds] | None) -> Measured | None:
    return None if not odds else intervals.ratio(*_columns(odds))


def _columns(odds: Sequence[Odds]) -> tuple[list[float], list[float]]:
    return [each.nats for each in odds], [float(each.tokens) for each in odds]


def _gain(prompted: Sequence[Odds] | None, tuned: Sequence[Odds]) -> Measured | None:
    """Of the same replies, so that what makes one harder than another does not count."""
    if not prompted:
        return None
    return intervals.ratio(*_saved(prompted, tuned))


def _prefers(raw: Raw) -> Measured | None:
    """The gain on the person's replies over the gain on the others'."""
    own, others = raw.odds.get("prompted"), raw.odds.get("others_base")
    tuned, tuned_others = raw.odds.get("tuned"), raw.odds.get("others_tuned")
    if not (own and others and tuned and tuned_others):
        return None
    (saved, tokens), (theirs, their_tokens) = _saved(own, tuned), _saved(others, tuned_others)
    return intervals.difference(saved, theirs, tokens, their_tokens)


def _saved(before: Sequence[Odds], after: Sequence[Odds]) -> tuple[list[float], list[float]]:
    """By how many nats each reply is likelier, and its tokens; of replies that were scored twice."""
    pairs = list(zip(before, after, strict=False))
    return [one.nats - other.nats for one, other in pairs], [float(other.tokens) for _, other in pairs]
