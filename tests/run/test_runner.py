"""Walking the steps: what runs, what is skipped, and what the state says when a step fails or is killed."""

import dataclasses
import errno
import os
from collections.abc import Callable

import pytest

from pipeline import steps
from pipeline.config.settings import Config
from pipeline.errors import InputError, RemoteEnded, StateDamaged, TryLater
from pipeline.run.runner import Range, forget, resolve
from pipeline.state.file import State
from pipeline.steps.outputs import Load, Merge
from pipeline.steps.step import Step, Work
from tests.fault_server import Fault
from tests.run.place import Place

LOCAL = ["download", "load", "merge", "map", "convert"]
ALL = [*LOCAL, "upload", "poll_file", "create_job", "poll_job", "smoke_test"]
FAILED = "poll_job: ftjob-1 failed (no reason given). Change what it names, then start another with --new-job (it is a new purchase)."  # fmt: skip  # noqa: E501


@pytest.fixture
def merging(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Config, Load, Work], Merge]], None]:
    """Puts something else in the place of merge."""

    def put(merge: Callable[[Config, Load, Work], Merge]) -> None:
        def changed(step: Step) -> Step:
            return dataclasses.replace(step, run=merge) if step.name == "merge" else step

        monkeypatch.setattr(steps, "STEPS", tuple(map(changed, steps.STEPS)))

    return put


def statuses(state: State) -> dict[str, str]:
    return {name: record.status for name, record in state.body.steps.items()}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("job", None, None, False), f"--from: no such step, got job. The steps are: {', '.join(ALL)}."),
        ((None, "job", None, False), f"--until: no such step, got job. The steps are: {', '.join(ALL)}."),
        ((None, None, "", False), f"--only: no such step, got . The steps are: {', '.join(ALL)}."),
        (("load", None, "load", False), "--only: goes alone. Leave out --from and --until."),
        (("map", "load", None, False), "--until: load comes before map. Swap them."),
        (
            ("poll_job", None, None, True),
            "--new-job: create_job is not among the steps to run (poll_job, smoke_test). "
            "Leave --new-job out, or choose steps with create_job among them.",
        ),
        (
            (None, "load", None, True),
            "--new-job: create_job is not among the steps to run (download, load). "
            "Leave --new-job out, or choose steps with create_job among them.",
        ),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(
    asked: tuple[str | None, str | None, str | None, bool], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        Range.parse(Config(name="x"), *asked)
    assert str(caught.value) == message


def test_only_is_from_and_until_the_same_step() -> None:
    assert Range.parse(Config(name="x"), None, None, "map", False) == Range("map", "map", option="--only")


def test_what_is_done_is_skipped_and_the_rest_runs_in_order(place: Place) -> None:
    told = place.run(last=None)
    assert told.heads == [f"{number}/10 {name}" for number, name in enumerate(ALL, start=1)]
    assert (told.ran, set(told.why.values())) == (ALL[5:], {None})
    assert place.run(last=None).before == told.heads


def test_a_step_that_is_asked_for_runs_and_those_after_it_only_if_it_makes_something_else(place: Place) -> None:
    assert place.run(first="load", last="convert").why == {"load": "asked for"}
    place.change("merge", delimiter=";")
    assert place.run(first="load", last="convert").why == {
        "load": "asked for",
        "merge": 'merge.delimiter changed from its default to ";"',
        "map": "merge made something else",
        "convert": "map made something else",
    }


def test_what_comes_before_the_step_that_is_asked_for_must_be_done(place: Place) -> None:
    (place.run_dir / "03_merged.jsonl").unlink()
    with pytest.raises(InputError) as caught:
        place.run(first="convert")
    assert str(caught.value) == (
        "--from convert: merge comes first and has to run (03_merged.jsonl is missing). "
        "Run `--from merge`, or without --from."
    )


def test_a_missing_key_is_said_before_anything_is_done(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    forget(place.config, place.state(), "download")
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(InputError) as caught:
        place.run()
    assert str(caught.value).startswith("environment OPENAI_API_KEY: not set, and the server at base_url needs a key.")
    assert place.state().body.steps == {}
    place.run(last="convert")
    assert list(place.state().body.steps) == sorted(LOCAL), "what needs no key asks for none"


def test_a_step_that_fails_says_so_in_the_state_and_is_tried_again(place: Place) -> None:
    place.server.faults.append(Fault("file.list", 401, body={"message": "Incorrect API key provided."}))
    with pytest.raises(InputError) as caught:
        place.run()
    record = place.state().body.steps["upload"]
    assert (record.status, record.error, record.attempts) == ("failed", str(caught.value), 1)
    assert place.run().why["upload"] == "it failed"
    record = place.state().body.steps["upload"]
    assert (record.status, record.error, record.attempts) == ("done", None, 2)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_leaves_the_state_as_it_is(
    place: Place, merging: Callable[[Callable[[Config, Load, Work], Merge]], None], number: int
) -> None:
    def refused(config: Config, load: Load, work: Work) -> Merge:
        raise OSError(number, os.strerror(number))

    merging(refused)
    with pytest.raises(StateDamaged) as caught:
        place.run(first="merge")
    assert str(caught.value) == (
        f"merge: the disk refuses ({os.strerror(number)}). Free some space or mend the disk. "
        "Nothing that was done is lost. Go on."
    )
    assert statuses(place.state())["merge"] == "running"
    assert place.why()["merge"] == "it was interrupted"


def test_a_file_in_the_way_is_named_and_leaves_the_state_as_it_is(
    place: Place, merging: Callable[[Callable[[Config, Load, Work], Merge]], None]
) -> None:
    def in_the_way(config: Config, load: Load, work: Work) -> Merge:
        (work.run_dir / "05_train.jsonl" / "x").write_bytes(b"")
        raise AssertionError

    merging(in_the_way)
    with pytest.raises(StateDamaged) as caught:
        place.run(first="merge")
    assert str(caught.value) == (
        f"{place.run_dir}/05_train.jsonl/x: cannot be used (Not a directory). "
        "Move the file that stands in the place of a directory away, then run again."
    )
    assert place.why()["merge"] == "it was interrupted"


@pytest.mark.parametrize(
    ("point", "why"),
    [
        ("step.begin", {"merge": "it was interrupted"}),
        ("step.made", {"merge": "it was interrupted"}),
        ("step.done", {}),
    ],
)
def test_a_process_killed_at_the_boundary_of_a_step_goes_on_there(
    place: Place, point: str, why: dict[str, str]
) -> None:
    place.die_at(point, "merge", first="merge", last="convert")  # type: ignore[arg-type]
    assert place.run(last="convert").why == why
    assert set(statuses(place.state()).values()) == {"done"}


def test_a_step_is_told_whether_it_goes_on_with_the_same(
    place: Place, merging: Callable[[Callable[[Config, Load, Work], Merge]], None]
) -> None:
    seen = []

    def later(config: Config, load: Load, work: Work) -> Merge:
        seen.append(work.goes_on)
        raise TryLater("merge", "not now", fix="Run again.")

    merging(later)
    for first in ("merge", None):
        with pytest.raises(TryLater):
            place.run(first=first)
    place.change("load", kinds=["group"])
    with pytest.raises(TryLater):
        place.run()
    assert seen == [False, True, True], "the same sessions came out of load"


def test_while_a_step_runs_again_what_it_made_before_is_remembered(
    place: Place, merging: Callable[[Callable[[Config, Load, Work], Merge]], None]
) -> None:
    before = place.state().body.steps["merge"]

    def later(config: Config, load: Load, work: Work) -> Merge:
        raise TryLater("merge", "not now", fix="Run again.")

    merging(later)
    for _ in range(2):
        with pytest.raises(TryLater):
            place.run(first="merge")
        assert place.state().body.steps["merge"].last_made == before.last_made


def test_a_job_that_failed_makes_its_step_run_again_and_is_not_found_again(place: Place) -> None:
    place.server.course = ("failed",)
    with pytest.raises(RemoteEnded) as caught:
        place.run(last=None)
    assert str(caught.value) == FAILED
    assert place.why()["create_job"] == "poll_job failed"
    assert [attempt.ended for attempt in place.state().body.remote.values() if attempt.is_job] == [True]


@pytest.mark.parametrize("data", ["the same data", "other data"])
def test_a_file_that_the_backend_cannot_use_is_sent_again(place: Place, data: str) -> None:
    place.run(last="upload")
    place.server.files[0]["status"] = "error"
    with pytest.raises(RemoteEnded):
        place.run()
    if data == "other data":
        place.change("convert", system_prompt="Hi.")
    assert place.run(last="poll_file").why["upload"] == "poll_file failed"
    assert [file["id"] for file in place.server.files] == ["file-1", "file-2"]


def test_waiting_in_vain_makes_nothing_before_it_run_again(place: Place) -> None:
    place.run()
    place.server.faults.append(Fault("job.get", 401, body={"message": "Incorrect API key provided."}))
    with pytest.raises(InputError):
        place.run(last="poll_job")
    assert place.run(last="poll_job").why == {"poll_job": "it failed"}


def test_files_are_removed_when_cleanup_is_switched_on_later(place: Place) -> None:
    place.run(last="poll_job")
    place.change("upload", cleanup=True)
    told = place.run(last="poll_job")
    assert (told.ran, told.notes) == ([], ["file-1 is deleted from the backend, as upload.cleanup says"])
    assert place.server.files == []
    again = place.run(last="poll_job")
    assert (again.ran, again.notes) == ([], [])


def test_a_file_that_was_removed_is_sent_again_only_for_another_job(place: Place) -> None:
    place.change("upload", cleanup=True)
    place.run(last="poll_job")
    assert place.run(last="poll_job").ran == []
    place.change("create_job", seed=8)
    told = place.run(last="poll_job", new_job=True)
    assert told.why["upload"] == "its file was removed from the backend"
    assert len(place.jobs) == 2


def test_artifacts_that_were_touched_are_read_once_and_the_state_remembers_it(place: Place) -> None:
    place.run(last="convert")
    serial = place.state().body.serial
    os.utime(place.run_dir / "02_sessions.jsonl")
    for _ in range(2):
        assert place.run(last="convert").ran == []
    assert place.state().body.serial == serial + 1


def test_forgetting_a_step_forgets_those_after_it(place: Place) -> None:
    assert forget(place.config, place.state(), "merge") == ["merge", "map", "convert"]
    assert forget(place.config, place.state(), "merge") == []
    assert place.run(last="convert").ran == ["merge", "map", "convert"]


def test_forgetting_what_is_no_step_is_refused(place: Place) -> None:
    with pytest.raises(InputError) as caught:
        forget(place.config, place.state(), "job")
    assert str(caught.value) == f"forget: no such step, got job. The steps are: {', '.join(ALL)}."


def test_forgetting_upload_sends_the_file_again_and_forgets_no_job(place: Place) -> None:
    place.run()
    forget(place.config, place.state(), "upload")
    assert [attempt.step for attempt in place.state().body.remote.values()] == ["create_job"]
    place.server.files.clear()  # as when it has expired
    place.run()
    assert place.server.posts == ["file.create", "job.create", "file.create"]


def test_forgetting_create_job_ends_the_jobs_of_our_own_server(place: Place) -> None:
    place.run()
    state = place.state()
    for attempt in state.body.remote.values():
        attempt.account = "embedded:1"
    forget(place.config, state, "create_job")
    assert {attempt.step: attempt.ended for attempt in place.state().body.remote.values()} == {
        "create_job": True,
        "upload": False,
    }


@pytest.mark.parametrize(("adopt", "expected"), [("ftjob-9", ("ftjob-9", "adopted", 1)), (None, (None, None, 0))])
def test_a_request_that_was_never_answered_is_settled_by_hand(
    place: Place, adopt: str | None, expected: tuple[str | None, str | None, int]
) -> None:
    place.die_at("post.intended", "create_job")
    resolve(place.state(), "create_job", adopt)
    (attempt,) = (each for each in place.state().body.remote.values() if each.is_job)
    assert (attempt.remote_id, attempt.how, attempt.tries) == expected


def test_nothing_undecided_is_nothing_to_resolve(place: Place) -> None:
    place.run()
    with pytest.raises(InputError) as caught:
        resolve(place.state(), "create_job", None)
    assert str(caught.value) == (
        "resolve create_job: nothing is undecided there. `finetune status CONFIG` shows each step."
    )
