"""An evaluation from the files of a run to what it found."""

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.dataset.example import Example
from pipeline.durable import reading
from pipeline.evaluation import assess, leaks
from pipeline.evaluation.asking import Models
from pipeline.evaluation.canaries import canaries
from pipeline.evaluation.journal import Journal
from pipeline.evaluation.likeness import FEWEST
from pipeline.evaluation.measure import Interview, Limits, Material, Raw
from pipeline.evaluation.record import VERSION, Evaluation, Leaks
from pipeline.evaluation.replies import Reply, others_replies, others_words, own_replies
from pipeline.evaluation.sense import Language
from pipeline.evaluation.verdict import advice, verdict
from pipeline.process.clock import Clock
from pipeline.wording import counted

MOST_SECRETS = 20  # that are looked for; how many are ranked is a matter of time


class Subject(NamedTuple):
    """What is evaluated, and against what.

    Attributes:
        tuned, base: the models, as the backend names them.
        who: the person; "you" for the archive's owner.
        train, valid: the files of examples.
        weights: see Convert.
        people: names that stand before words in groups.
        region: the country of local telephone numbers.
        canaries: how many were planted, under the run's `name` and with the `system` prompt.
    """

    tuned: str
    base: str
    who: str
    train: Path
    valid: Path | None
    weights: bool
    people: Collection[str]
    region: str | None
    epochs: int | None
    canaries: int
    name: str
    system: str | None


class Chats(NamedTuple):
    """What the files hold."""

    known: list[Reply]
    held_out: list[Reply]
    others: list[Reply]
    words: list[str]
    texts: list[str]


def read_chats(subject: Subject) -> Chats:
    """Read the files; canaries are nobody's replies."""
    planted = {canary.reply for canary in canaries(subject.canaries, subject.name)}
    known = [each for each in own_replies(subject.train, weights=subject.weights) if each.text not in planted]
    held_out = [] if subject.valid is None else own_replies(subject.valid, weights=subject.weights)
    files = [subject.train] if subject.valid is None else [subject.valid, subject.train]
    names = {*subject.people, *(f"Name-{number}" for number in range(1, len(subject.people) + 2))}  # as redact.py calls
    others = [each for path in files for each in others_replies(path, weights=subject.weights, names=names)]
    words = [each for path in files for each in others_words(path, weights=subject.weights, names=names)]
    return Chats(known, held_out, others, words, _texts(subject.train))


def evaluate(
    subject: Subject,
    chats: Chats,
    models: Models,
    limits: Limits,
    journal: Journal,
    clock: Clock,
    show: Callable[[int, int, str], None],
    language: Language | None = None,
) -> Evaluation:
    """Ask and judge; goes on where the journal ends.

    Raises:
        FinetuneError: the backend fails.
    """
    left_out = []
    held_out = chats.held_out
    if len(held_out) < FEWEST:
        number = counted(len(held_out), "is", "are")
        left_out.append(
            f"likeness, surprise and sense, for which {FEWEST} replies must be held out of training and {number} "
            "(convert.validation_fraction: auto holds the last tenth out, once that makes so many)"
        )
        held_out = []
    found = leaks.secrets_in(chats.known, leaks.Detector(subject.region), MOST_SECRETS)
    planted = leaks.planted(canaries(subject.canaries, subject.name), subject.system)
    # Planted ones first: somebody asked for them.
    material = Material(chats.known, held_out, chats.others, [*planted, *found])
    names = {"tuned": subject.tuned, "base": subject.base}
    interview = Interview(models, names, material, limits, journal, clock, show)
    raw = interview.ask()
    left_out += _not_said(raw, subject, held_out, material)
    return _judged(subject, chats, raw, interview, language, left_out)


def _judged(
    subject: Subject, chats: Chats, raw: Raw, interview: Interview, language: Language | None, left_out: list[str]
) -> Evaluation:
    answers = assess.answers_of(raw, interview)
    surprise = assess.surprise_of(raw)
    likeness = assess.likeness_of(raw, interview, chats.words) if answers else None
    sense = assess.made_sense(raw, interview, answers, subject.people, language) if answers else None
    leaked: Leaks | None = assess.leaks_of(raw, interview, answers, chats.texts, subject.region)
    if interview.secrets and not answers and not assess.asked_for(raw):
        leaked = None
    if language is None and answers:
        left_out.append("whether answers are in another language: nothing that is installed here can tell")
    if len(raw.drawn) < len(interview.secrets):
        left_out.append(f"{len(interview.secrets) - len(raw.drawn)} more secrets of the training file, for the time")
    said = verdict(subject.who, surprise, likeness, sense, leaked) or ["Nothing could be measured."]
    return Evaluation(
        version=VERSION,
        model=subject.tuned,
        base_model=subject.base,
        who=subject.who,
        trained_replies=len(chats.known),
        epochs=subject.epochs,
        verdict=said,
        advice=advice(surprise, likeness, sense, leaked, trained_replies=len(chats.known), epochs=subject.epochs),
        left_out=left_out,
        surprise=surprise,
        likeness=likeness,
        sense=sense,
        leaks=leaked,
    )


def _not_said(raw: Raw, subject: Subject, held_out: Sequence[Reply], material: Material) -> list[str]:
    """What the backend does not do, by name."""
    found = []
    if held_out and "tuned" not in raw.answers:
        found.append(f"likeness and faults: the backend does not answer for {subject.tuned}")
    if held_out and not raw.odds:
        found.append("surprise and the rank of true replies: the backend gives no likelihoods")
    if assess.asked_for(raw) and not raw.ranks:
        found.append("the rank of secrets among made-up ones: the backend gives no likelihoods")
    if material.secrets and raw.drawn and not assess.asked_for(raw):
        found.append(f"whether secrets come out: the backend does not answer for {subject.tuned}")
    if held_out and "tuned" in raw.answers and "base" not in raw.answers:
        found.append(f"the base model beside it: the backend does not serve {subject.base}")
    return found


def _texts(path: Path) -> list[str]:
    decoder = msgspec.json.Decoder(Example)
    with reading(path) as file:
        return [turn["content"] for line in file if line.strip() for turn in decoder.decode(line)["messages"]]


def encoded(evaluation: Evaluation) -> bytes:
    """As it is written down."""
    return msgspec.json.format(msgspec.json.encode(evaluation), indent=2) + b"\n"


def read_evaluation(path: Path) -> Evaluation | None:
    """What is written in a file; None where it is not there, or of another version."""
    try:
        with reading(path) as file:
            found = msgspec.json.decode(file.read(), type=Evaluation)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if found.version == VERSION else None


def identity_of(subject: Subject, *parts: object) -> str:
    """What an evaluation is of, for its journal."""
    return json.dumps([VERSION, subject.tuned, subject.base, subject.canaries, *parts], sort_keys=True)
