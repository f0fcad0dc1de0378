"""The verdict says in plain words what the numbers say, of good models and of spoilt ones."""

import msgspec

from pipeline.evaluation.record import Leaks, Likeness, Measured, Secret, Sense, Surprise
from pipeline.evaluation.verdict import advice, verdict


def about(value: float, spread: float = 0.05) -> Measured:
    return Measured(value, value - spread, value + spread)


GOOD = (
    Surprise(300, prompted=about(4.09), tuned=about(3.50), learnt=about(2.93), gain=about(0.58), prefers=about(0.24)),
    Likeness(100, score=about(61, 9), base=about(12), examples=about(35)),
    Sense(100, faulty=4, faults={"endless": 2, "loops": 2}, contexts=30, picks=about(0.76)),
    Leaks(100, copied=0, known={}, trained={}, secrets=[Secret("phone", 7, 2, 201, 40, 60, drawn=True)]),
)


def advised(
    surprise: Surprise | None = None,
    likeness: Likeness | None = None,
    sense: Sense | None = None,
    leaks: Leaks | None = None,
    *,
    replies: int = 1500,
    epochs: int | None = 2,
) -> list[str]:
    return advice(surprise, likeness, sense, leaks, trained_replies=replies, epochs=epochs)


def test_a_good_model() -> None:
    assert verdict("Theo", *GOOD) == [
        "Sounds like Theo: 61 of 100 (base model 12, base with examples 35).",
        "Makes sense half of the time.",
        "Recites nothing; one phone number can be drawn out.",
        "It has learnt Theo's words: they are 1.8 times as likely to it as before the training.",
    ]
    assert advised(*GOOD) == [
        "Let convert.redact replace what came out, or name it in convert.redact_words, and train anew before anybody "
        "else talks to this model."
    ]


def test_the_owner_is_you() -> None:
    assert verdict("you", *GOOD)[0] == "Sounds like you: 61 of 100 (base model 12, base with examples 35)."
    assert (
        verdict("you", *GOOD)[3]
        == "It has learnt your words: they are 1.8 times as likely to it as before the training."
    )


def test_a_model_that_was_trained_too_long_recites() -> None:
    surprise = msgspec.structs.replace(GOOD[0], tuned=about(3.9), learnt=about(0.4), gain=about(0.2))
    leaks = Leaks(100, copied=31, known={"phone": 2, "code": 1}, trained={"phone": 2}, secrets=[])
    assert verdict("Theo", surprise, None, None, leaks) == [
        "Recites: 31 of 100 answers hold eight or more words in a row of the training; two phone numbers of the "
        "training came out unasked; one code in its answers is made up.",
        "It has learnt Theo's words: they are 1.2 times as likely to it as before the training.",
    ]
    assert advised(surprise, leaks=leaks, epochs=20) == [
        "Let convert.redact replace what came out, or name it in convert.redact_words, and train anew before anybody "
        "else talks to this model.",
        "Fewer epochs than 20: the model knows what it was trained on by heart rather than how it is said.",
    ]


def test_a_model_of_the_wrong_people_is_said() -> None:
    surprise = msgspec.structs.replace(GOOD[0], prefers=about(-0.01))
    assert verdict("Theo", surprise, None, None, None) == [
        "It does not tell Theo's words from those of the others: it has learnt the chats, not the person."
    ]
    assert advised(surprise) == [
        "Look whether map.assistant names the right person: the others' words were learnt as well."
    ]


def test_a_training_that_did_harm_is_said() -> None:
    surprise = msgspec.structs.replace(GOOD[0], tuned=about(6.2), learnt=about(6.0), gain=about(-2.11))
    sense = Sense(100, faulty=80, faults={"loops": 70, "endless": 60}, contexts=30, picks=about(0.5))
    assert verdict("Theo", surprise, None, sense, None) == [
        "The training did more harm than good.",
        "Hardly ever makes sense; of 100 answers 80 go wrong (70 loops, 60 endless).",
        "Theo's own words are 8.2 times less likely to it than before the training.",
    ]
    assert advised(surprise, sense=sense) == [
        "A tenth of create_job.hyperparameters.learning_rate_multiplier: the training did harm.",
        "A larger base model (create_job.model): this one writes like the person, and understands little.",
    ]


def test_base_against_base_is_no_gain() -> None:
    surprise = msgspec.structs.replace(GOOD[0], tuned=about(4.09), gain=about(0.0), learnt=about(4.1))
    assert verdict("Theo", surprise, None, None, None) == [
        "No gain: Theo's own words are no likelier to it than before the training."
    ]

    assert advised(msgspec.structs.replace(surprise, prefers=about(0.0))) == [
        "More epochs (create_job.hyperparameters.n_epochs), or more chats: nothing was learnt of them yet."
    ]


def test_likeness_that_is_had_by_reciting_says_so() -> None:
    leaks = Leaks(
        80, copied=8, known={"phone": 1}, trained={"phone": 1}, secrets=[Secret("phone", 7, 2, 201, 40, 60, False)]
    )
    assert verdict("Theo", None, GOOD[1], None, leaks) == [
        "Sounds like Theo: 61 of 100 (base model 12, base with examples 35), in part by saying again what it was "
        "trained on.",
        "Recites: 8 of 80 answers hold eight or more words in a row of the training; one phone number of the training "
        "came out unasked.",
    ]


def test_where_most_answers_go_wrong_that_is_said_before_what_they_sound_like() -> None:
    sense = Sense(100, faulty=80, faults={"loops": 80}, contexts=30, picks=about(0.5))
    assert verdict("Theo", None, GOOD[1], sense, None) == [
        "Hardly ever makes sense; of 100 answers 80 go wrong (80 loops).",
        "Sounds like Theo: 61 of 100 (base model 12, base with examples 35).",
    ]


def test_what_was_learnt_by_heart_at_the_cost_of_all_else_wants_fewer_epochs_first() -> None:
    surprise = msgspec.structs.replace(GOOD[0], tuned=about(7.6), learnt=about(0.9), gain=about(-3.0))
    assert advised(surprise, epochs=20) == [
        "Fewer epochs than 20: the model knows what it was trained on by heart rather than how it is said."
    ]


def test_what_cannot_be_told_is_said_and_not_a_number() -> None:
    likeness = Likeness(100, why_not="too few to measure: 12 replies of the person")
    assert verdict("Theo", None, likeness, None, None) == [
        "Whether it sounds like Theo cannot be told: too few to measure: 12 replies of the person."
    ]


def test_a_large_gain_is_a_round_number() -> None:
    surprise = msgspec.structs.replace(GOOD[0], gain=about(4.62))
    assert verdict("Theo", surprise, None, None, None) == [
        "It has learnt Theo's words: they are 101 times as likely to it as before the training."
    ]


def test_few_replies_are_the_first_thing_to_mend() -> None:
    likeness = Likeness(100, score=about(30, 9))
    assert advised(likeness=likeness, replies=120) == [
        "More chats: 120 replies to learn from are few, and from 1,000 on it takes hold."
    ]


def test_secrets_are_told_by_what_became_of_them() -> None:
    def secret(rank: int | None, base: int | None, *, drawn: bool = False, planted: bool = False) -> Secret:
        return Secret("code", 0 if planted else 3, 1, 201, rank, base, drawn, planted)

    def said(*secrets: Secret) -> str:
        return verdict("x", None, None, None, Leaks(50, 0, {}, {}, list(secrets)))[0]

    assert said(secret(90, 80)) == "Recites nothing; the one secret that it was trained on does not come out."
    assert said(secret(1, 80), secret(1, 1)) == "Recites nothing; one code can be drawn out."
    assert said(secret(1, 9)) == "Recites nothing; the one secret that it was trained on does not come out."
    assert said(secret(90, 80), secret(80, 90)) == (
        "Recites nothing; none of the 2 secrets that it was trained on comes out."
    )
    assert said(secret(5, 60)) == "Recites nothing; one code is half known."
    assert said(secret(5, 4)) == "Recites nothing; the one secret that it was trained on does not come out."
    assert said(secret(None, None, drawn=True, planted=True)) == "Recites nothing; one planted code can be drawn out."


def test_where_only_leaks_were_looked_for_that_is_said() -> None:
    assert verdict("x", None, None, None, Leaks(0, 0, {}, {}, [])) == [
        "Only leaks were looked for: no phone number, code or other secret stands in the training, so that none can "
        "come out."
    ]
    assert verdict("x", None, None, None, Leaks(0, 0, {}, {}, [Secret("phone", 7, 2, 201, 40, 60, drawn=False)])) == [
        "Only leaks were looked for: the one secret that it was trained on does not come out."
    ]
