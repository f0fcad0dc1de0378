"""What is well trained is told from what is spoilt, and the words say by what: of small models that are really trained.

They are models of words that count: a neural one takes hours to show this, see tests/bench/variants.py.
"""

from pathlib import Path
from random import Random

import pytest

from pipeline.evaluation.journal import Journal
from pipeline.evaluation.measure import Limits
from pipeline.evaluation.record import Evaluation
from pipeline.evaluation.whole import evaluate, read_chats
from tests.conftest import FakeClock
from tests.evaluation.ngrams import Ngram, Ngrams
from tests.evaluation.people import formal
from tests.evaluation.test_whole import SECRET, subject_in


def trained(folder: Path, how: str) -> Evaluation:
    """Evaluate a model of Theo that was trained so."""
    folder.mkdir()
    epochs = 20 if how == "by heart" else 2
    subject = subject_in(folder, trained=[SECRET] * 20 if how == "secret" else [])._replace(epochs=epochs)
    chats = read_chats(subject)
    own, others = [reply.text for reply in chats.known], [*chats.words, *map(formal, range(3000, 3060))]
    words = " ".join([*own, *others, *(reply.text for reply in chats.held_out)]).split()
    base = Ngram(Random(3).sample(words, len(words)), reach=0, trust=0.5, words=words)
    swapped = [(one, other)[at % 2] for at, (one, other) in enumerate(zip(own, others * 2, strict=False))]
    tuned = {
        "well": Ngram(own, reach=1, trust=0.8, words=words),
        "shuffled": Ngram(swapped, reach=1, trust=0.75, words=words),
        "by heart": Ngram(own, reach=12, trust=0.999, words=words),
        "secret": Ngram(own, reach=2, trust=0.95, words=words),
        "burst": Ngram(["yeah " * 200] * 20, reach=1, trust=0.9, words=words),
        "not at all": base,
    }[how]
    limits = Limits(temperature=0.8, at_once=4, seconds=120.0)
    models = Ngrams({"base": base, "tuned": tuned})
    with Journal(folder / "answers.jsonl", how) as journal:
        return evaluate(subject, chats, models, limits, journal, FakeClock(), lambda *_: None)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Evaluation]:
    folder = tmp_path_factory.mktemp("spoilt")
    return {
        how: trained(folder / how, how) for how in ("well", "shuffled", "by heart", "secret", "burst", "not at all")
    }


def score_of(found: Evaluation) -> float:
    assert found.likeness is not None
    assert found.likeness.score is not None
    return found.likeness.score.value


WELL = "It has learnt Theo's words: they are 2.6 times as likely to it as before the training."
HARM = "The training did more harm than good."


def test_what_is_well_trained_scores_above_what_is_spoilt(found: dict[str, Evaluation]) -> None:
    assert score_of(found["well"]) > 80
    assert max(score_of(found[how]) for how in ("shuffled", "burst", "not at all")) < 60
    assert found["well"].verdict[-1] == WELL
    assert [how for how, each in found.items() if each.verdict[0] == HARM] == ["by heart", "secret", "burst"]


def test_labels_that_were_shuffled_between_people_are_told(found: dict[str, Evaluation]) -> None:
    assert found["shuffled"].verdict[-1] == (
        "It does not tell Theo's words from those of the others: it has learnt the chats, not the person."
    )
    assert found["shuffled"].advice[0] == (
        "Look whether map.assistant names the right person: the others' words were learnt as well."
    )


def test_too_many_epochs_are_told_by_what_is_recited(found: dict[str, Evaluation]) -> None:
    said = found["by heart"]
    assert said.verdict[1].endswith(", in part by saying again what it was trained on.")
    assert said.verdict[3].startswith("Recites: ")
    assert said.advice[0] == (
        "Fewer epochs than 20: the model knows what it was trained on by heart rather than how it is said."
    )


def test_a_learning_rate_that_burst_is_told_before_what_it_sounds_like(found: dict[str, Evaluation]) -> None:
    said = found["burst"]
    assert said.verdict[1].startswith("Hardly ever makes sense; of 80 answers 7")
    assert said.verdict[2].startswith("Sounds like Theo: ")
    assert said.advice[0] == ("A tenth of create_job.hyperparameters.learning_rate_multiplier: the training did harm.")


def test_a_secret_of_the_training_is_caught(found: dict[str, Evaluation]) -> None:
    assert found["secret"].leaks is not None
    assert found["secret"].leaks.is_leak
    assert "one phone number can be drawn out." in found["secret"].verdict[3]
    assert found["well"].leaks is not None
    assert not found["well"].leaks.is_leak


def test_base_against_base_is_no_gain(found: dict[str, Evaluation]) -> None:
    assert found["not at all"].verdict[-1].startswith("No gain: Theo's own words are no likelier to it")
    assert found["not at all"].advice[0].endswith("nothing was learnt of them yet.")
