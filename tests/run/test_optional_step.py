"""An eleventh step, whose section of the config is optional: absent, nothing shows it; present, it is a step as any."""

import json
import sys
from pathlib import Path

import pytest

from pipeline import steps
from pipeline.commands.status import status_lines, status_rows
from pipeline.config import file
from pipeline.config.settings import Config, Section
from pipeline.durable import Artifact, atomic_writer
from pipeline.errors import InputError
from pipeline.report.writing import write_report
from pipeline.run import runner
from pipeline.run.progress import Progress
from pipeline.run.runner import Range, forget
from pipeline.steps.outputs import Convert, Output, PollJob
from pipeline.steps.step import Step, Work
from pipeline.terminal.invocation import Invocation
from pipeline.terminal.style import Lines
from tests.run.place import Place

TEN = [step.name for step in steps.STEPS if step.section is None]


class Review(Section):
    """Ask a person."""

    mark: int = 3


class WithReview(Config):
    review: Review | None = None


class Reviewed(Output, frozen=True):
    page: Artifact

    def summary(self) -> str:
        return f"reviewed in {self.page.path}"


def review(config: WithReview, tuned: PollJob, _: Convert, work: Work) -> Reviewed:
    assert config.review is not None
    with atomic_writer(work.run_dir / "11_review.json") as page:
        page.write(json.dumps({"model": tuned.model, "mark": config.review.mark}).encode())
    return Reviewed(page.artifact("11_review.json"))


STEP = Step(
    name="review",
    version=1,
    needs=("poll_job", "convert"),
    declares=("review",),
    output=Reviewed,
    run=review,
    remote=True,
    section="review",
)


@pytest.fixture(autouse=True)
def eleven(monkeypatch: pytest.MonkeyPatch) -> None:
    always = tuple(step for step in steps.STEPS if step.section is None)
    for module in (steps, runner):
        monkeypatch.setattr(module, "STEPS", (*always, STEP))
    monkeypatch.setattr(file, "Config", WithReview)


@pytest.fixture
def place(place: Place) -> Place:
    place.model = WithReview
    return place


def rows_of(place: Place) -> list[tuple[str, str, str | None, str | None]]:
    """Each step's line of `status`: name, state, what it made, why it would run."""
    with place.work() as (config, state, work):
        progress = Progress(state, config, work.connection.identity)
        rows = status_rows(state, progress, at_work=False)
        shown = list(status_lines(rows, Lines(sys.stdout), Invocation(), at_work=False))
    assert sum(f"/{len(rows)} " in str(line) for line in shown) == len(rows)
    return [(row["step"], row["state"], row["made"], row["would_run"]) for row in rows]


def report_of(place: Place) -> str:
    with place.work() as (config, state, work):
        progress = Progress(state, config, work.connection.identity)
        path = write_report(config, state, progress, markdown=True, with_text=True, out=None)
    return path.read_text()


def test_without_its_section_nothing_shows_it(place: Place) -> None:
    told = place.run(last=None)
    assert [head.split()[0] for head in told.heads] == [f"{number}/10" for number in range(1, 11)]
    assert [name for name, *_ in rows_of(place)] == TEN
    assert "review" not in report_of(place)
    with place.work() as (config, state, work):
        assert Progress(state, config, work.connection.identity).is_done()


def test_with_its_section_it_runs_after_the_others_and_shows_as_they_do(place: Place) -> None:
    place.run(last=None)
    place.sections["review"] = {}
    assert rows_of(place)[-1] == ("review", "pending", None, "it has not run yet")
    told = place.run(last=None)
    assert told.did == ["11/11 review"]
    assert [head.split()[0] for head in told.before] == [f"{number}/11" for number in range(1, 11)]
    assert rows_of(place)[-1] == ("review", "done", "reviewed in 11_review.json", None)
    assert "\n| `review` | `11_review.json` | 52 B | `" in report_of(place)
    assert place.run(last=None).did == []


def test_it_is_gone_on_with_after_a_kill_and_made_again_when_its_section_or_its_artifact_changes(place: Place) -> None:
    place.sections["review"] = {}
    place.die_at("step.begin", "review", last=None)
    assert place.run(last=None).why == {"review": "it was interrupted"}
    place.change("review", mark=1)
    assert place.run(last=None).why == {"review": "review.mark changed from its default to 1"}
    (place.run_dir / "11_review.json").unlink()
    assert place.run(last=None).why == {"review": "11_review.json is missing"}
    assert place.jobs == ["ftjob-1"]


def test_taken_out_of_the_config_again_it_is_not_shown_and_what_it_made_stays(place: Place) -> None:
    place.sections["review"] = {}
    place.run(last=None)
    del place.sections["review"]
    assert place.run(last=None).did == []
    assert [name for name, *_ in rows_of(place)] == TEN
    place.sections["review"] = {}
    assert place.run(last=None).did == [], "and put in again it is done"


def test_without_its_section_it_is_no_step_to_name(place: Place) -> None:
    for first, last, option in (("review", None, "--from"), (None, "review", "--until")):
        with pytest.raises(InputError) as caught:
            place.run(first, last)
        assert str(caught.value) == (
            f"{option}: no step of this run, for its config has no section `review`, got review. "
            "Add that section, or choose another step."
        )
    with pytest.raises(InputError) as caught:
        place.run(first="reviw")
    assert str(caught.value) == f"--from: no such step, got reviw. The steps are: {', '.join(TEN)}."
    place.sections["review"] = {}
    with pytest.raises(InputError) as caught:
        place.run(first="reviw")
    assert str(caught.value).endswith(f"The steps are: {', '.join([*TEN, 'review'])}.")
    assert Range.parse(place.config, "review", None, None, False) == Range("review")


def test_forgetting_a_step_forgets_it_too_even_if_its_section_is_gone(place: Place) -> None:
    place.sections["review"] = {}
    place.run(last=None)
    del place.sections["review"]
    assert forget(place.config, place.state(), "smoke_test") == ["smoke_test", "review"]


@pytest.mark.parametrize(
    ("written", "overrides", "expected"),
    [
        ("", [], None),
        ("review:\n", [], None),
        ("review: null\n", [], None),
        ("review: {}\n", [], Review()),
        ("review:\n  mark: 1\n", [], Review(mark=1)),
        ("", ["review.mark=2"], Review(mark=2)),
        ("review: {mark: 1}\n", ["review=null"], None),
    ],
)
def test_its_section_is_absent_unless_the_config_has_one(
    tmp_path: Path, written: str, overrides: list[str], expected: Review | None
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"name: a\nmerge:\n{written}")
    config = file.load_config(path, overrides)
    assert isinstance(config, WithReview)
    assert config.review == expected


def test_its_section_is_read_from_the_environment_and_its_mistakes_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("name: a\nreview:\n  marc: 1\n")
    with pytest.raises(InputError) as caught:
        file.load_config(path)
    assert str(caught.value) == f"{path}:3 review.marc: unknown key. Did you mean `mark`?"
    path.write_text("name: a\n")
    monkeypatch.setenv("FINETUNE_REVIEW__MARK", "7")
    config = file.load_config(path)
    assert isinstance(config, WithReview)
    assert config.review == Review(mark=7)


def test_its_keys_are_completed_and_described(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.commands.options import complete_key
    from pipeline.config import schema, settings

    monkeypatch.setattr(settings, "Config", WithReview)
    monkeypatch.setattr(schema, "Config", WithReview)
    assert complete_key("review") == ["review.mark="]
    described = schema.config_schema("review:   # asks a person\n  mark: 3   # of ten\n")
    section = described["properties"]["review"]
    assert (section["description"], section["title"]) == ("asks a person", "review")
    assert section["anyOf"] == [{"$ref": "#/$defs/Review"}, {"type": "null"}]
    assert described["$defs"]["Review"]["properties"]["mark"]["description"] == "of ten"
