"""The section that says whether the model is any good: only of runs that measure it, the verdict first, no name."""

import msgspec
import pytest

from pipeline.evaluation.record import (
    VERSION,
    Evaluation,
    Feature,
    Leaks,
    Likeness,
    Measured,
    Secret,
    Sense,
    Surprise,
)
from pipeline.report.page import as_html, as_markdown
from tests.report.page_reader import Page
from tests.report.tampering import Run

MEASURES = ("evaluate={}",)


def about(value: float) -> Measured:
    return Measured(value, value - 0.1, value + 0.1)


def evaluation(model: str) -> Evaluation:
    return Evaluation(
        version=VERSION,
        model=model,
        base_model="smollm2-135m-instruct",
        who="Theo <b>",
        trained_replies=900,
        epochs=2,
        verdict=["Sounds like Theo <b>: 61 of 100 (base model 12)."],
        advice=["More chats."],
        left_out=["another language: nothing tells"],
        surprise=Surprise(300, prompted=about(4.09), tuned=about(3.5), gain=about(0.58), prefers=about(0.2)),
        likeness=Likeness(
            100,
            score=about(61),
            base=about(12),
            others=about(0),
            own=about(100),
            features=[Feature("write emoji", 0.07, 0.0, 0.0)],
        ),
        sense=Sense(100, faulty=2, faults={"loops": 2}, contexts=30, picks=about(0.76)),
        leaks=Leaks(100, 0, {}, {}, [Secret("phone", 7, 2, 201, 1, 90, drawn=False)]),
    )


@pytest.fixture
def measured(run: Run) -> Run:
    model = str((run.state.body.steps["poll_job"].output or {})["model"])
    (run.run_dir / "11_evaluation.json").write_bytes(msgspec.json.encode(evaluation(model)))
    return run


def test_a_run_that_measures_nothing_does_not_show_it(measured: Run) -> None:
    assert "any good" not in measured.html() + measured.markdown()


def test_the_verdict_comes_first_and_names_nobody(measured: Run) -> None:
    text = as_html(measured.contents(set_=MEASURES))
    page = Page(text)
    assert page.headings[1] == ("h2", "Is it any good?")
    assert "Sounds like the person: 61 of 100 (base model 12)." in page.words
    assert "Recites nothing; one phone number can be drawn out." in page.words
    assert "Theo" not in text
    assert page.table("part of the replies that") == [["write emoji", "7 %", "0 %", "0 %"]]
    assert page.table("what", "stands in") == [["phone", "05_train.jsonl:7", "2", "90 of 201", "1 of 201", "no"]]
    assert "tuned model: 61 (60.9 to 61.1)" in text


def test_with_text_it_names_the_person_and_what_they_are_called_is_escaped(measured: Run) -> None:
    text = as_html(measured.contents(with_text=True, set_=MEASURES))
    assert "Sounds like Theo &lt;b&gt;: 61 of 100" in text
    assert "<b>" not in text


def test_in_markdown_the_numbers_stand_in_tables(measured: Run) -> None:
    text = as_markdown(measured.contents(set_=MEASURES))
    assert "\n## Is it any good?\n" in text
    assert "\n**Sounds like the person: 61 of 100 (base model 12).**\n" in text
    assert "\n| tuned model | 61 | 60.9 to 61.1 |\n" in text
    assert "\n| phone | 05_train.jsonl:7 | 2 | 90 of 201 | 1 of 201 | no |\n" in text


def test_an_evaluation_of_another_model_or_none_is_not_there_yet(run: Run) -> None:
    assert "Not there yet: evaluate has not run yet." in Page(as_html(run.contents(set_=MEASURES))).words
    (run.run_dir / "11_evaluation.json").write_bytes(msgspec.json.encode(evaluation("another")))
    assert run.contents(set_=MEASURES).quality is None
