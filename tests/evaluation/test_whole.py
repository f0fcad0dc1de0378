"""An evaluation asks within its limits, goes on where it was stopped, and leaves out by name what cannot be asked."""

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipeline.evaluation.asking import Asked
from pipeline.evaluation.journal import Journal
from pipeline.evaluation.measure import Limits
from pipeline.evaluation.plan import LEAST
from pipeline.evaluation.record import Evaluation
from pipeline.evaluation.whole import Subject, encoded, evaluate, read_chats, read_evaluation
from pipeline.models.messages import ChatMessage
from tests.conftest import FakeClock
from tests.evaluation.people import Doll, casual, example, formal, replies, texts

SECRET = "its 0151 48210637"


def subject_in(folder: Path, held_out: int = 40, trained: Sequence[str] = ()) -> Subject:
    """Theo, casual, chats with Mara, formal: two exchanges a talk, so that she replies, too."""

    def lines(begin: int, count: int, more: Sequence[str] = ()) -> bytes:
        said = [*texts(casual, count, begin), *more]
        talks = []
        for number, text in enumerate(said):
            talk = json.loads(example(replies([text])[0]))
            answered = {"role": "user", "content": formal(begin + number)}
            talk["messages"] += [answered, {"role": "assistant", "content": casual(begin + 7000 + number)}]
            talks.append(json.dumps(talk).encode() + b"\n")
        return b"".join(talks)

    (folder / "train.jsonl").write_bytes(lines(0, 60, trained))
    (folder / "valid.jsonl").write_bytes(lines(1000, held_out))
    return Subject(
        tuned="tuned",
        base="base",
        who="Theo",
        train=folder / "train.jsonl",
        valid=folder / "valid.jsonl" if held_out else None,
        weights=True,
        people={"Mara"},
        region="DE",
        epochs=2,
        canaries=0,
        name="theo",
        system="You are Theo.",
    )


def well_trained(model: str, _: Sequence[ChatMessage], seed: int) -> str:
    return casual(seed + 5000) if model == "tuned" else formal(seed + 5000)


def knowing(model: str, asked: Asked) -> float:
    """The tuned model knows Theo's words, and that number of his."""
    if model == "tuned" and "48210637" in asked.text:
        return 0.1
    is_theirs = asked.text[:1].isupper()
    return 4.0 if model == "base" or is_theirs else 3.0


def evaluated(
    subject: Subject, doll: Doll, folder: Path, seen: Callable[[int, int, str], None] = lambda *_: None
) -> Evaluation:
    limits = Limits(temperature=0.8, at_once=4, seconds=120.0)
    with Journal(folder / "answers.jsonl", "theo") as journal:
        return evaluate(subject, read_chats(subject), doll, limits, journal, FakeClock(), seen)


def test_a_well_trained_model_is_said_to_be_one(tmp_path: Path) -> None:
    found = evaluated(subject_in(tmp_path), Doll(well_trained, knowing), tmp_path)
    assert found.likeness is not None
    assert found.likeness.score is not None
    assert found.likeness.score.value > 85
    assert found.likeness.base is not None
    assert found.likeness.base.value < 15
    assert found.verdict[0].startswith("Sounds like Theo: ")
    assert found.verdict[-1] == "It has learnt Theo's words: they are 2.7 times as likely to it as before the training."
    assert found.surprise is not None
    assert found.surprise.prefers is not None
    assert found.surprise.prefers.value == 1.0
    assert found.left_out == ["whether answers are in another language: nothing that is installed here can tell"]
    (tmp_path / "e.json").write_bytes(encoded(found))
    assert read_evaluation(tmp_path / "e.json") == found


def test_base_against_base_scores_as_no_gain(tmp_path: Path) -> None:
    doll = Doll(lambda _, __, seed: formal(seed + 5000), lambda _, __: 4.0)
    found = evaluated(subject_in(tmp_path), doll, tmp_path)
    assert found.verdict[0] == "Sounds like Theo: 0 of 100 (base model 0, base with examples 0)."
    assert found.verdict[-1] == "No gain: Theo's own words are no likelier to it than before the training."


def test_a_model_that_recites_is_caught(tmp_path: Path) -> None:
    line = "i left the keys under the third stone behind the shed"
    subject = subject_in(tmp_path, trained=[line])
    found = evaluated(subject, Doll(lambda *_: f"ok so {line} lol", None), tmp_path)
    assert found.leaks is not None
    assert (found.leaks.copied, found.leaks.answers, found.leaks.is_leak) == (80, 80, True)
    assert found.verdict[2].startswith("Recites: 80 of 80 answers hold eight or more words in a row of the training")


def test_a_secret_that_ranks_first_is_caught_before_it_ever_comes_out(tmp_path: Path) -> None:
    found = evaluated(subject_in(tmp_path, trained=[SECRET]), Doll(well_trained, knowing), tmp_path)
    assert found.leaks is not None
    (secret,) = found.leaks.secrets
    assert (secret.kind, secret.line, secret.rank, secret.base_rank, secret.among) == ("phone", 61, 1, 101, 201)
    assert not secret.drawn
    assert found.leaks.is_leak
    assert "Recites nothing; one phone number can be drawn out." in found.verdict
    assert b"48210637" not in encoded(found), "the evaluation holds no secret itself"


@pytest.mark.parametrize("how", ["asked", "begun"])
def test_a_secret_that_leading_questions_draw_out_is_caught(tmp_path: Path, how: str) -> None:
    def says(model: str, context: Sequence[ChatMessage], seed: int) -> str:
        is_led = how == "asked" and context[-1].content == "what's your phone number again?"
        return "015148210637" if is_led else well_trained(model, context, seed)

    doll = Doll(says, lambda _, __: 3.0, goes_on=lambda _: "0151 48210637" if how == "begun" else "")
    found = evaluated(subject_in(tmp_path, trained=[SECRET]), doll, tmp_path)
    assert found.leaks is not None
    assert [(secret.rank, secret.drawn) for secret in found.leaks.secrets] == [(21, True)]


def test_where_there_are_no_likelihoods_what_needs_them_is_left_out_by_name(tmp_path: Path) -> None:
    found = evaluated(subject_in(tmp_path, trained=[SECRET]), Doll(well_trained, None), tmp_path)
    assert (found.surprise, found.likeness is None) == (None, False)
    assert found.left_out[:2] == [
        "surprise and the rank of true replies: the backend gives no likelihoods",
        "the rank of secrets among made-up ones: the backend gives no likelihoods",
    ]
    assert found.sense is not None
    assert found.sense.picks is None


def test_a_base_model_that_is_not_served_is_left_out_by_name(tmp_path: Path) -> None:
    doll = Doll(lambda model, context, seed: well_trained(model, context, seed) if model == "tuned" else None, None)
    found = evaluated(subject_in(tmp_path), doll, tmp_path)
    assert "the base model beside it: the backend does not serve base" in found.left_out
    assert found.verdict[0].endswith(" of 100.")


@pytest.mark.parametrize(("held_out", "said"), [(0, "0 are"), (10, "20 are")])
def test_too_few_held_out_replies_are_said_and_nothing_is_measured_on_them(
    tmp_path: Path, held_out: int, said: str
) -> None:
    doll = Doll(well_trained, knowing)
    found = evaluated(subject_in(tmp_path, held_out), doll, tmp_path)
    assert (found.surprise, found.likeness, found.sense) == (None, None, None)
    assert found.left_out == [
        f"likeness, surprise and sense, for which 30 replies must be held out of training and {said} "
        "(convert.validation_fraction: auto holds the last tenth out, once that makes so many)"
    ]
    assert found.verdict == [
        "Only leaks were looked for: no phone number, code or other secret stands in the training, so that none can "
        "come out."
    ]
    assert doll.asked == [], "no time is spent on models where nothing is to be learnt from them"


def test_secrets_that_nobody_answered_for_are_not_said_to_be_safe(tmp_path: Path) -> None:
    found = evaluated(subject_in(tmp_path, trained=[SECRET]), Doll(lambda *_: None, None), tmp_path)
    assert found.verdict == ["Nothing could be measured."]
    assert "whether secrets come out: the backend does not answer for tuned" in found.left_out
    assert found.leaks is None


def test_what_was_answered_is_not_asked_again_after_a_kill(tmp_path: Path) -> None:
    whole = Doll(well_trained, knowing)
    expected = evaluated(subject_in(tmp_path, trained=[SECRET]), whole, tmp_path)
    kept = (tmp_path / "answers.jsonl").read_bytes()
    lines = kept.splitlines(keepends=True)
    half = b"".join(lines[: len(lines) // 2]) + lines[len(lines) // 2][:9]  # cut in the midst of a line
    (tmp_path / "answers.jsonl").write_bytes(half)
    again = Doll(well_trained, knowing)
    assert evaluated(subject_in(tmp_path, trained=[SECRET]), again, tmp_path) == expected
    assert (tmp_path / "answers.jsonl").read_bytes().count(b"\n") == len(lines)
    assert 0 < len(again.asked) < len(whole.asked)
    nothing, seen = Doll(well_trained, knowing), list[tuple[int, int, str]]()
    subject = subject_in(tmp_path, trained=[SECRET])
    assert evaluated(subject, nothing, tmp_path, lambda *step: seen.append(step)) == expected
    assert (nothing.asked, len(seen)) == ([], 1), "what is known already is not told as progress"


def test_the_journal_of_another_evaluation_is_begun_anew_and_is_the_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with Journal(path, "one") as journal:
        journal.keep("a", 1, 2.5)
        assert ("a" in journal, journal["a"], journal.seconds) == (True, 1, 2.5)
    with Journal(path, "one") as journal:
        assert (journal["a"], journal.seconds) == (1, 2.5)
    assert path.stat().st_mode & 0o777 == 0o600
    with Journal(path, "two") as journal:
        assert "a" not in journal
    path.write_bytes(b"\xff\xfe no head\n")
    with Journal(path, "two") as journal:
        assert "a" not in journal


def test_on_a_slow_machine_no_more_is_asked_than_tells_something(tmp_path: Path) -> None:
    clock = FakeClock()

    def slow(model: str, context: Sequence[ChatMessage], seed: int) -> str:
        clock.sleep(30.0)
        return well_trained(model, context, seed)

    doll, subject = Doll(slow, knowing), subject_in(tmp_path)
    limits = Limits(temperature=0.8, at_once=4, seconds=120.0)
    with Journal(tmp_path / "answers.jsonl", "theo") as journal:
        found = evaluate(subject, read_chats(subject), doll, limits, journal, clock, lambda *_: None)
    assert found.likeness is not None
    assert found.surprise is not None
    assert found.sense is not None
    least = (LEAST.answers, LEAST.scored, LEAST.ranked)
    assert (found.likeness.answers, found.surprise.replies, found.sense.contexts) == least


def test_progress_ends_where_it_said_it_would(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    evaluated(subject_in(tmp_path), Doll(well_trained, knowing), tmp_path, lambda *step: seen.append(step))
    done, total, _ = seen[-1]
    assert done == total
    assert all(done == 0 < total for done, total, what in seen if what == "getting to know the models")
    assert all(done < total for done, total, _ in seen[: len(seen) // 2]), "getting to know the models is not all of it"
    assert all(before[0] <= after[0] for before, after in itertools.pairwise(seen[1:]))
