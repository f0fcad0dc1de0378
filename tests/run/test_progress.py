"""What is known of each step: why it would run again, in words, and what it made."""

from collections.abc import Callable

import pytest

from pipeline.errors import InputError
from pipeline.run.progress import Progress
from pipeline.run.runner import forget
from pipeline.state.file import StepRecord
from pipeline.steps import step_named
from pipeline.steps.outputs import Convert, CreateJob, Load, PollJob
from tests.run.place import Place


def altered(place: Place, change: Callable[[StepRecord], None]) -> str | None:
    """Why merge would run with its record changed."""
    state = place.state()
    change(state.body.steps["merge"])
    return Progress(state, place.config, "").why(step_named("merge"))


def change(**values: object) -> Callable[[StepRecord], None]:
    def put(record: StepRecord) -> None:
        for name, value in values.items():
            setattr(record, name, value)

    return put


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, None),
        ({"status": "running"}, "it was interrupted"),
        ({"status": "failed"}, "it failed"),
        ({"stale": "poll_job failed"}, "poll_job failed"),
        ({"version": 1}, "this version of finetune does it differently"),
        ({"declared": {"merge.delimiter": "é"}}, 'merge.delimiter changed from "é" to its default'),
        ({"declared": {"merge.gone": 1}}, "merge.gone changed from 1 to its default"),
        (
            {"declared": {"merge.delimiter": "x" * 100}},
            f'merge.delimiter changed from "{"x" * 56}… to its default',
        ),
        ({"needs": {"load": "0"}}, "load made something else"),
        ({"needs": {}}, "load made something else"),
    ],
)
def test_a_step_runs_again_for_a_reason(place: Place, changed: dict[str, object], why: str | None) -> None:
    assert altered(place, change(**changed)) == why


def test_of_several_reasons_the_first_is_told(place: Place) -> None:
    assert altered(place, change(status="failed", version=0, needs={})) == "it failed"


def test_a_step_that_never_ran_and_those_that_need_it(place: Place) -> None:
    forget(place.config, place.state(), "map")
    why = place.why()
    assert [why[name] for name in ("merge", "map", "convert", "smoke_test")] == [None, *["it has not run yet"] * 3]
    state = place.state()
    del state.body.steps["load"]
    assert Progress(state, place.config, "").why(step_named("merge")) == "a step before it is not done"


def test_an_artifact_that_is_missing_or_changed_is_made_again(place: Place) -> None:
    path = place.run_dir / "03_merged.jsonl"
    whole = path.read_bytes()
    path.unlink()
    assert place.why()["merge"] == "03_merged.jsonl is missing"
    path.write_bytes(whole[:-2] + b" \n")
    assert place.why()["merge"] == "03_merged.jsonl is not what was written"
    path.write_bytes(whole)
    assert place.why()["merge"] is None


def test_what_reads_a_key_only_to_know_how_long_to_wait_does_not_run_again_for_it(place: Place) -> None:
    place.change("download", timeout_s=1.0, attempts=1)
    place.change("upload", timeout_s=1.0)
    assert set(list(place.why().values())[:5]) == {None}


def test_a_remote_step_belongs_to_one_account_and_a_local_one_to_none(place: Place) -> None:
    place.run()
    state = place.state()
    elsewhere = Progress(state, place.config, "elsewhere")
    why = {step.name: elsewhere.why(step) for step in elsewhere.steps}
    here = place.server.base_url.split("/")[2]
    assert why["convert"] is None
    assert why["upload"] == why["create_job"] == f'backend changed from "{here}" to "elsewhere"'
    with pytest.raises(InputError) as caught:
        elsewhere.output_here(CreateJob, "cancel")
    assert str(caught.value) == (
        f"cancel: create_job was done with {here}, and the config now means elsewhere. "
        "Use the config of then, or `finetune run CONFIG` to train with this one."
    )
    assert Progress(state, place.config, here).output_here(CreateJob, "cancel").job == "ftjob-1"


def test_what_a_step_made_is_typed_and_what_is_not_there_is_refused(place: Place) -> None:
    state = place.state()
    progress = Progress(state, place.config, "")
    assert progress.output(Convert).examples == 10
    assert progress.record(PollJob) is None
    with pytest.raises(InputError) as caught:
        progress.output(PollJob)
    assert str(caught.value) == "poll_job: not done yet. Run `finetune run CONFIG` first."
    state.body.steps["load"].output = {"of another": "version"}
    with pytest.raises(InputError) as caught:
        progress.output(Load)
    assert str(caught.value) == (
        "load: recorded by another version of finetune. Run `finetune run CONFIG --from load`."
    )


def test_what_was_made_before_is_still_known_while_a_step_runs_again(place: Place) -> None:
    state = place.state()
    record = state.body.steps["convert"]
    record.earlier, record.status, record.output = record.last_made, "running", None
    progress = Progress(state, place.config, "")
    assert progress.last_output(Convert).examples == 10
    with pytest.raises(InputError):
        progress.output(Convert)


def test_a_run_is_done_once_every_step_is(place: Place) -> None:
    place.run(last="poll_job")
    assert not _is_done(place)
    place.run(last=None)
    assert _is_done(place)


def _is_done(place: Place) -> bool:
    with place.work() as (config, state, work):
        return Progress(state, config, work.connection.identity).is_done()
