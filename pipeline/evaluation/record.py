"""What an evaluation found: 11_evaluation.json. It holds numbers and no word of a chat, so that it can be shown."""

import msgspec

VERSION = 1


class Measured(msgspec.Struct, frozen=True):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def is_below(self, other: "Measured") -> bool:
        """Whether it is lower, the intervals apart."""
        return self.high < other.low


class Surprise(msgspec.Struct, frozen=True):
    """Nats per token of true replies, given what came before them; lower is better. None where it was not measured.

    Attributes:
        replies: held-out replies that were scored.
        bare, prompted, examples, tuned: the person's held-out replies under the base model without a system prompt,
            with it, with eight examples of the person's before it, and under the tuned model.
        learnt: replies that the tuned model was trained on, under it.
        others_base, others_tuned: what the other people of these chats replied, under the prompted base and tuned.
        gain: by how much each reply surprises the tuned model less than the prompted base model.
        prefers: by how much more the others' replies surprise the tuned model than the person's do, beyond what they do
            to the base model.
    """

    replies: int
    bare: Measured | None = None
    prompted: Measured | None = None
    examples: Measured | None = None
    tuned: Measured | None = None
    learnt: Measured | None = None
    others_base: Measured | None = None
    others_tuned: Measured | None = None
    gain: Measured | None = None
    prefers: Measured | None = None


class Feature(msgspec.Struct, frozen=True):
    """How often replies have a feature of style, from 0 to 1. `what` reads on from "in 7 % of your replies you"."""

    what: str
    person: float
    model: float
    base: float | None = None


class Measure(msgspec.Struct, frozen=True):
    """One of the measures that likeness is made of: of other people, of the person's other half, and of the model.

    Attributes:
        weight: how much it counts, by how well it tells the first two apart; 0 for not at all.
    """

    name: str
    others: Measured
    own: Measured
    model: Measured
    weight: float


class Likeness(msgspec.Struct, frozen=True):
    """0: as unlike as the other people of these chats; 100: as like as the person's own other half.

    Attributes:
        answers: of the tuned model, that were compared.
        score: None where it cannot be told; `why_not` says why.
        base, examples: of the base model's answers with the system prompt, and with eight examples before it.
        others, own: what the same measure says of the other people and of the person's own other half.
    """

    answers: int
    score: Measured | None = None
    base: Measured | None = None
    examples: Measured | None = None
    others: Measured | None = None
    own: Measured | None = None
    why_not: str | None = None
    measures: list[Measure] = []
    features: list[Feature] = []


class Sense(msgspec.Struct, frozen=True):
    """Whether answers have to do with what was said.

    Attributes:
        contexts: in which the true reply was ranked among ten others of the person's; `picks` is the share of them
            that it beat (0.5: by chance), `first` how often it beat all; `base_picks` the same of the base model.
        answers: of the tuned model; `faults` counts them by what is wrong, `faulty` those with anything wrong.
    """

    answers: int
    faulty: int
    faults: dict[str, int]
    contexts: int = 0
    picks: Measured | None = None
    base_picks: Measured | None = None
    first: int = 0


class Secret(msgspec.Struct, frozen=True):
    """Something in the training file that a model had better not know.

    Attributes:
        line: of 05_train.jsonl, the first that holds it; 0 for a planted one.
        rank, base_rank: of the true one among `among` of its shape by likelihood, 1 being the likeliest; None where
            the backend gives no likelihoods, and before the training where it is unlikely after it.
        drawn: it came out in an answer to a leading question.
    """

    kind: str
    line: int
    mentions: int
    among: int
    rank: int | None
    base_rank: int | None
    drawn: bool
    planted: bool = False

    @property
    def leaks(self) -> bool:
        """Whether it can be had of the model: it comes out, or it is the likeliest and was far from it before."""
        return self.drawn or (self.rank == 1 and self._was_unlikely)

    @property
    def is_half_known(self) -> bool:
        """Whether it is among the likeliest twentieth, where it was not before the training."""
        is_likely = self.rank is not None and self.rank <= self.among // 20
        return is_likely and self._was_unlikely and not self.leaks

    @property
    def _was_unlikely(self) -> bool:
        return self.base_rank is None or self.base_rank > self.among // 20


class Leaks(msgspec.Struct, frozen=True):
    """What of the training file comes out.

    Attributes:
        copied: answers with eight or more words in a row of the training file that their context does not hold.
        known: how many different ones were in answers by kind, such as phones, and were not in their context; of
            these, `trained` stand in the training file.
    """

    answers: int
    copied: int
    known: dict[str, int]
    trained: dict[str, int]
    secrets: list[Secret]

    @property
    def is_leak(self) -> bool:
        """Whether anything came out."""
        return bool(self.copied or sum(self.trained.values()) or any(secret.leaks for secret in self.secrets))


class Evaluation(msgspec.Struct, frozen=True):
    """The whole.

    Attributes:
        who: whom the model is to sound like; "you" for the archive's owner.
        verdict: in words, the first sentence first.
        advice: what would help most, from the numbers.
        left_out: what was not measured, each with its reason.
    """

    version: int
    model: str
    base_model: str
    who: str
    trained_replies: int
    epochs: int | None
    verdict: list[str]
    advice: list[str]
    left_out: list[str]
    surprise: Surprise | None
    likeness: Likeness | None
    sense: Sense | None
    leaks: Leaks | None

    def lines(self) -> list[str]:
        """All that is to be said, a line each: the verdict, what would help, what was not measured."""
        return [
            *self.verdict,
            *(f"What would help: {each}" for each in self.advice),
            *(f"Left out: {each}" for each in self.left_out),
        ]
