"""Waiting for the job: patient with servers, honest with the user, and never fooled by a strange answer."""

import base64
import dataclasses
import json
import shutil
import types
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipeline.backends import polling
from pipeline.backends.client import Connection
from pipeline.backends.ledger import Ledger
from pipeline.config.settings import Config
from pipeline.dataset.funnel import Tally, funnel
from pipeline.durable import Artifact
from pipeline.errors import BackendFailed, InputError, RemoteEnded, TryLater
from pipeline.process.signals import Signals
from pipeline.state.file import State
from pipeline.steps import poll_job
from pipeline.steps.outputs import Consumed, Convert, CreateJob, Kept, PollJob
from pipeline.steps.step import Work
from tests.conftest import FakeClock
from tests.fault_server import Fault, FaultServer
from tests.steps.bench import Notes


class Desk:
    """A job on a server, and somebody who waits for it."""

    def __init__(self, run_dir: Path, server: FaultServer, clock: FakeClock) -> None:
        self.config = Config.model_validate(
            {
                "name": "x",
                "backend": {"kind": "compatible", "base_url": server.base_url},
                "create_job": {"model": "m"},
            }
        )
        state, self.display = State.load(run_dir), Notes()
        connection = Connection(self.config.backend, run_dir, clock, say=self.display.note)
        ledger = Ledger(state, connection, clock, Signals(), self.display.note)
        self.work = Work(run_dir, self.display, clock, connection, ledger, go_on="Go on.")
        self.job, _ = ledger.create_job(self.config.create_job, "file-1", None, "f", 0)
        self.connection = connection

        made = funnel(24, {}, _tally(targets=12, context=12), Tally())
        train = Artifact("05_train.jsonl", "", 0)
        self.converted = Convert(train, None, 10, 0, 99, 9, 10, 11, False, {}, made, None, True)
        self.held_out = msgspec.structs.replace(self.converted, valid=Artifact("05_valid.jsonl", "", 0))

    def wait(self) -> PollJob:
        return poll_job.run(self.config, CreateJob(self.job, "f:0", "file-1", None), self.converted, self.work)


def _tally(targets: int, context: int) -> Tally:
    tally = Tally()
    tally.target, tally.context = targets, context
    return tally


@pytest.fixture
def desk(tmp_path: Path, server: FaultServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setattr(polling, "JITTER", 0.0)  # what is said depends on when it is looked
    server.now = lambda: clock.elapsed
    server.status_by_time = lambda _: "succeeded"
    desk = Desk(tmp_path, server, clock)
    yield desk
    desk.connection.close()


def test_a_job_that_is_not_shown_at_once_is_waited_for(desk: Desk, server: FaultServer) -> None:
    server.faults += [Fault("job.get", 404)] * 3
    assert desk.wait().model
    assert desk.display.notes[0] == "ftjob-1 is not to be seen yet; trying again"


def test_a_job_that_stays_unseen_is_an_error(desk: Desk, server: FaultServer) -> None:
    server.jobs.clear()
    with pytest.raises(BackendFailed) as caught:
        desk.wait()
    assert caught.value.exit_code == 6


def test_an_unknown_status_is_said_once_and_waited_for(desk: Desk, server: FaultServer) -> None:
    server.status_by_time = lambda age: "CONTEMPLATING" if age < 60 else "succeeded"
    desk.wait()
    said = [note for note in desk.display.notes if "CONTEMPLATING" in note]
    assert said == ["ftjob-1 is CONTEMPLATING, a status that this version does not know; waiting on"]


def test_two_hours_without_a_sign_of_life_are_said_once(desk: Desk, server: FaultServer) -> None:
    server.status_by_time = lambda age: "running" if age < 5 * 3600 else "succeeded"
    desk.wait()
    said = [note for note in desk.display.notes if "sign of life" in note]
    assert said == [
        "ftjob-1 has been running for 2.0 h without a sign of life. It is waited for; "
        "`finetune cancel CONFIG` in another terminal, after Ctrl-C here, gives it up"
    ]


@pytest.mark.parametrize("kind", ["garbage", "no_id", "cut", "nulls", 500, 429, "reset"])
def test_a_strange_answer_ends_nothing(desk: Desk, server: FaultServer, kind: str | int) -> None:
    server.faults += [Fault("job.get", kind)] * 4
    assert desk.wait().model


def test_events_that_came_before_a_look_failed_are_kept(desk: Desk, server: FaultServer) -> None:
    server.faults.append(Fault("job.list", 500))
    assert desk.wait().events is not None
    assert desk.display.notes.count("Created the job") == 1


def test_who_goes_on_waiting_is_told_again_of_warnings_and_of_the_latest_step_alone(
    desk: Desk, server: FaultServer, clock: FakeClock
) -> None:
    now = int(clock.now().timestamp())
    server.events = [
        _event(now, "Checkpoint created at step 4"),
        _event(now - 1, "Paused"),
        _event(now - 2, "Step 3", "metrics", {"step": 3, "total_steps": 6, "train_loss": 1.5}),
        _event(now - 3, "The learning rate is high", level="warn"),
        _event(now - 4, "Step 2", "metrics", {"step": 2, "total_steps": 6, "train_loss": 1.75}),
    ]
    desk.work = dataclasses.replace(desk.work, goes_on=True)
    assert desk.wait().events is not None
    assert (desk.work.run_dir / "09_events.jsonl").read_bytes().count(b"\n") == 6
    told = ["The learning rate is high", "step 3/6  loss 1.500", "Checkpoint created at step 4"]
    assert [note for note in desk.display.notes if note in told or "Paused" in note or "reated the" in note] == told


def _event(
    at: int, message: str, kind: str = "message", data: dict[str, float] | None = None, level: str = "info"
) -> dict[str, object]:
    event = {"object": "fine_tuning.job.event", "id": f"ftevent-{at}", "created_at": at}
    return {**event, "level": level, "message": message, "type": kind, "data": data}


def test_an_event_without_words_is_passed_over(desk: Desk, server: FaultServer) -> None:
    server.faults.append(Fault("job.events", "nulls"))
    assert desk.wait().model


def test_a_revoked_key_stops_the_waiting_at_once(desk: Desk, server: FaultServer, clock: FakeClock) -> None:
    server.faults.append(Fault("job.get", 401, body={"message": "Incorrect API key provided."}))
    with pytest.raises(InputError):
        desk.wait()
    assert clock.waits == []


def test_a_job_that_the_backend_restarts_under_another_id_is_followed(desk: Desk, server: FaultServer) -> None:
    server.status_by_time = None
    server.course = ("failed",)
    server.jobs[0]["status"] = "failed"
    server.jobs.append(dict(server.jobs[0], id="ftjob-again", status="succeeded", fine_tuned_model="ft:m:again"))
    assert desk.wait().model == "ft:m:again"
    assert "ftjob-1 failed and the backend goes on as ftjob-again" in desk.display.notes


def test_cleanup_deletes_the_file_once_the_job_has_succeeded(desk: Desk, server: FaultServer) -> None:
    server.commit_file("finetune-x.jsonl", 1)
    desk.config = desk.config.model_copy(update={"upload": desk.config.upload.model_copy(update={"cleanup": True})})
    desk.wait()
    assert server.files == []


def test_trouble_beside_the_job_is_said_and_never_taken_for_its_end(desk: Desk, server: FaultServer) -> None:
    server.faults.append(Fault("job.events", 400, body={"message": "no events today"}, times=99))
    server.faults.append(Fault("job.list", 400, body={"message": "no list today"}, times=99))
    assert desk.wait().model
    said = [note for note in desk.display.notes if note.startswith(("events", "twins"))]
    assert said == [
        f"{what}: poll_job: the server at base_url answered 400 (no {why} today). Change what it names, then run again."
        for what, why in (("events", "events"), ("twins", "list"))
    ]


def test_a_succeeded_job_without_its_metrics_has_succeeded(desk: Desk, server: FaultServer) -> None:
    server.faults.append(Fault("file.content", 404, body={"message": "gone"}, times=99))
    assert desk.wait().metrics is None
    gzipped = (("content-encoding", "gzip"),)
    server.faults = [Fault("file.content", "says", raw=b"not gzip", headers=gzipped, times=99)]
    assert desk.wait().metrics is None
    assert desk.display.notes[-1] == (
        "no metrics: poll_job: what the server at base_url answers makes no sense (it is not compressed as it says). "
        "Check backend.base_url, then run again."
    )


@pytest.mark.parametrize(
    ("consumed", "said"),
    [
        ((10, 12, 0, 0), "the trainer took all 10 examples with their 12 targets"),
        (
            (9, 11, 2, 1),
            "WARNING: convert made 10 examples with 12 targets, the trainer took 9 with 11 (2 cut, 1 skipped)",
        ),
    ],
)
def test_what_the_trainer_took_is_compared_with_what_was_made(
    desk: Desk, server: FaultServer, consumed: tuple[int, int, int, int], said: str
) -> None:
    server.consumed = dict(zip(("examples", "targets", "truncated", "skipped"), consumed, strict=True))
    assert desk.wait().consumed == Consumed(*consumed)
    assert desk.display.notes[-1] == said


CSV = b"step,train_loss\n1,2.5\n2,1.5\n"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (CSV, CSV),
        (base64.b64encode(CSV), CSV),
        (base64.encodebytes(CSV * 9), CSV * 9),
        (b"\xef\xbb\xbf" + CSV, CSV),
        (base64.b64encode(b"\xef\xbb\xbf" + CSV), CSV),
        (b'"step","train_loss"\n', b'"step","train_loss"\n'),
        (b"<!doctype html><title>Sign in</title>", None),
        (base64.b64encode(b"%PDF-1.7"), None),
        (b"c3RlcC", None),
        (b"", None),
    ],
)
def test_metrics_are_kept_as_the_table_that_they_are_or_not_at_all(
    desk: Desk, server: FaultServer, sent: bytes, kept: bytes | None
) -> None:
    server.result = sent
    metrics = desk.wait().metrics
    path = desk.work.run_dir / "09_metrics.csv"
    assert (path.read_bytes() if path.exists() else None) == kept
    assert (metrics is None) == (kept is None)
    said = ["no metrics: file-result-ftjob-1 is no table of steps"] if kept is None else []
    assert [note for note in desk.display.notes if "metrics" in note] == said


def test_a_silent_job_is_said_to_be_waited_for_with_the_last_that_it_said(desk: Desk, server: FaultServer) -> None:
    server.status_by_time = lambda seconds: "running" if seconds < 1500 else "succeeded"
    desk.wait()
    silent = [note for note in desk.display.notes if "silent" in note]
    assert len(silent) == 5  # after 1, 2, 4, 8 and 16 minutes
    assert silent[0].startswith("ftjob-1 is still running, and has been silent for 1")
    assert silent[0].endswith("; the last that it said: Created the job")


def test_a_job_that_is_silent_because_our_disk_is_full_is_said_to_be_so(
    desk: Desk, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.status_by_time = lambda seconds: "running" if seconds < 100 else "succeeded"
    monkeypatch.setattr(desk.connection, "profile", dataclasses.replace(desk.connection.profile, free=True))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=0))
    desk.wait()
    at_once, later = (note for note in desk.display.notes if "silent" in note)
    full = f"; the disk that {desk.work.run_dir} is on is full: free some space there, and it goes on"
    assert at_once.endswith(f" s{full}")
    assert later.endswith(f" min{full}")


@pytest.mark.parametrize(
    ("field", "value", "made"),
    [
        ("metadata", "x", "ft:m"),
        ("metadata", ["a"], "ft:m"),
        ("metadata", 5, "ft:m"),
        ("trained_tokens", "many", "ft:m"),
        ("trained_tokens", {}, "ft:m"),
        ("trained_tokens", -1, "ft:m"),
        ("trained_tokens", 10**30, "ft:m"),
        ("result_files", {"a": 1}, "ft:m"),
        ("result_files", "file-r", "ft:m"),
        ("result_files", [5], "ft:m"),
        ("result_files", ["file-\ud800"], "ft:m"),
        ("created_at", "x", "ft:m"),
        ("created_at", 10**18, "ft:m"),
        ("error", [1], "ft:m"),
    ],
)
def test_a_field_that_makes_no_sense_is_said_and_keeps_no_model_from_its_owner(
    desk: Desk, server: FaultServer, field: str, value: object, made: str
) -> None:
    server.jobs[0].update(status="succeeded", fine_tuned_model=made, trained_tokens=10, result_files=[])
    server.jobs[0][field] = value
    assert desk.wait().model == made
    said = [note for note in desk.display.notes if "makes no sense" in note]
    huge = isinstance(value, int) and value >= 2**63  # passed over as it is read, like any number of such a size
    assert said == ([] if huge else [f"a job's {field} makes no sense as the server sends it, and is passed over"])


@pytest.mark.parametrize("name", [{"a": 1}, 7, "ft:\ud800", ""])
def test_a_model_without_a_usable_name_is_waited_for(desk: Desk, server: FaultServer, name: object) -> None:
    server.jobs[0].update(status="succeeded", fine_tuned_model=name, result_files=[])
    server.faults.append(Fault("job.list", 404, times=99))
    desk.config = desk.config.model_copy(
        update={"poll_job": desk.config.poll_job.model_copy(update={"timeout_s": 30.0})}
    )
    with pytest.raises(TryLater) as caught:
        desk.wait()
    assert str(caught.value) == "poll_job: not finished after 30 s. Go on."
    assert "ftjob-1 has succeeded, but its model has no name; trying again" in desk.display.notes


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("boom", "boom"),
        ({"message": "boom"}, "boom"),
        ({"code": "bad_data", "message": "boom"}, "bad_data: boom"),
        ({"code": 5, "message": {"a": 1}}, "no reason given"),
        (["a"], "no reason given"),
        ({"message": "Bearer sk-SECRETKEY123456"}, "Bearer [key]"),
        ({"code": "a\ud800", "message": "b"}, "a\ufffd: b"),
    ],
)
def test_a_failed_job_is_told_with_what_can_be_read_of_its_reason(
    desk: Desk, server: FaultServer, error: object, said: str
) -> None:
    server.jobs[0].update(status="failed", error=error)
    with pytest.raises(RemoteEnded) as caught:
        desk.wait()
    assert str(caught.value) == (
        f"poll_job: ftjob-1 failed ({said}). "
        "Change what it names, then start another with --new-job (it is a new purchase)."
    )


@pytest.mark.parametrize("level", ["info", "warn", None, {}])
@pytest.mark.parametrize("created_at", ["x", None, float("nan"), 10**18, 1.5])
def test_an_event_is_told_whatever_its_other_fields_are(
    desk: Desk, server: FaultServer, level: object, created_at: object
) -> None:
    event = {"id": "e1", "message": "half \ud800, Bearer sk-SECRETKEY123456", "type": "message", "data": None}
    server.events = [{**event, "level": level, "created_at": created_at}]
    assert desk.wait().events is not None
    assert "half \ufffd, Bearer [key]" in desk.display.notes
    assert "SECRET" not in (desk.work.run_dir / "09_events.jsonl").read_text()


def test_steps_without_a_time_are_shown(desk: Desk, server: FaultServer) -> None:
    data = {"step": 1, "train_loss": 1, "trained_tokens": 5, "total_steps": 6, "valid_loss": 10**400}
    row = {"id": "e", "level": "info", "message": "m", "type": "metrics", "created_at": None}
    server.events = [{**row, "id": f"e{n}", "data": {**data, "step": n}} for n in (2, 1)]
    desk.wait()
    assert [note for note in desk.display.notes if note.startswith("step")] == [
        "step 1/6  loss 1.000",
        "step 2/6  loss 1.000",
    ]


def test_events_without_an_end_are_said_once_and_kept(desk: Desk, server: FaultServer) -> None:
    server.status_by_time = lambda age: "running" if age < 60 else "succeeded"
    data = [{"id": "e1", "message": "Here I am", "level": "info", "created_at": 1}]
    page = json.dumps({"object": "list", "data": data, "has_more": True}).encode()
    server.faults.append(Fault("job.events", "says", raw=page, times=99))
    assert desk.wait().events is not None
    assert desk.display.notes.count("Here I am") == 1
    assert [note for note in desk.display.notes if "list" in note] == [
        "events: backend.base_url: its list does not end (every page of it is the same, whatever `after` says). "
        "Whoever runs that server has to mend its paging; until then use another."
    ]


def checkpoint(step: int, **metrics: object) -> dict[str, object]:
    """As the API lists it; newest first is the caller's affair."""
    name = f"ft:m:org::x:ckpt-step-{step}"
    row = {"id": f"ftckpt_{step}", "object": "fine_tuning.job.checkpoint", "created_at": 1, "step_number": step}
    return {**row, "fine_tuned_model_checkpoint": name, "fine_tuning_job_id": "j", "metrics": {"step": step, **metrics}}


@pytest.mark.parametrize(
    ("losses", "step", "said"),
    [
        (
            (1.31, 1.2046, 1.25),
            20,
            "the model after step 20 of 30 is kept: its loss on what was held out, 1.205, is the lowest; "
            "at the end it was 1.250",
        ),
        (
            (1.3, 1.2, 1.1),
            None,
            "the last epoch's model is kept: its loss on what was held out, 1.100, is the lowest",
        ),
        (
            (1.2, 1.2, 1.2),
            10,
            "the model after step 10 of 30 is kept: its loss on what was held out, 1.200, is the lowest; "
            "at the end it was 1.200",
        ),
    ],
    ids=["the second", "the last", "equals"],
)
@pytest.mark.parametrize("name", ["valid_loss", "full_valid_loss"])
def test_the_epoch_that_does_best_on_what_was_held_out_is_the_runs_model(
    desk: Desk, server: FaultServer, losses: tuple[float, ...], step: int | None, said: str, name: str
) -> None:
    # A loss on a part of the file counts where there is none on the whole.
    beside = {"valid_loss": 9.0} if name == "full_valid_loss" else {}
    server.checkpoints = [checkpoint(10 * n, **beside, **{name: loss}) for n, loss in enumerate(losses, 1)][::-1]
    last = desk.wait()
    desk.converted = desk.held_out
    found = desk.wait()
    assert (found.model, last.kept) == (last.model if step is None else f"ft:m:org::x:ckpt-step-{step}", None)
    assert found.summary() == f"{found.model}, {found.trained_tokens:,} tokens trained; {said}"


def test_the_last_epochs_model_is_taken_if_the_config_says_so(desk: Desk, server: FaultServer) -> None:
    server.checkpoints = [checkpoint(20, valid_loss=2.0), checkpoint(10, valid_loss=1.0)]
    desk.converted = desk.held_out
    keep = desk.config.poll_job.model_copy(update={"keep": "last"})
    desk.config = desk.config.model_copy(update={"poll_job": keep})
    found = desk.wait()
    assert ("ckpt" in found.model, found.kept, server.requests["job.checkpoints"]) == (False, None, 0)


@pytest.mark.parametrize(
    "checkpoints",
    [
        [],
        [checkpoint(20, valid_loss=2.0), checkpoint(10)],
        [checkpoint(20, valid_loss=None), checkpoint(10, valid_loss="1.0")],
        [checkpoint(20, valid_loss=2.0), {**checkpoint(10, valid_loss=1.0), "fine_tuned_model_checkpoint": None}],
        [checkpoint(20, valid_loss=2.0), {**checkpoint(10, valid_loss=1.0), "step_number": "10"}],
        [{**checkpoint(20, valid_loss=2.0), "metrics": None}],
    ],
    ids=["none", "one without a loss", "no numbers", "no name", "no step", "no metrics"],
)
def test_the_last_epochs_model_is_taken_where_epochs_cannot_be_compared(
    desk: Desk, server: FaultServer, checkpoints: list[dict[str, object]]
) -> None:
    server.checkpoints = checkpoints
    desk.converted = desk.held_out
    found = desk.wait()
    assert ("ckpt" in found.model, found.kept) == (False, None)
    assert desk.display.notes[-1] == (
        "the last epoch's model is kept: the backend does not say how well each epoch's does on what was held out"
    )


def test_a_backend_that_lists_no_checkpoints_keeps_no_model_from_its_owner(desk: Desk, server: FaultServer) -> None:
    desk.converted = desk.held_out
    server.faults.append(Fault("job.checkpoints", 404, body={"message": "no such thing"}, times=99))
    assert desk.wait().kept is None
    assert desk.display.notes[-1].startswith("the last epoch's model is kept: the backend does not say")
    server.faults = [Fault("job.checkpoints", 400, body={"message": "not today"}, times=99)]
    assert desk.wait().kept is None
    assert desk.display.notes[-1] == (
        "the last epoch's model is kept: poll_job: the server at base_url answered 400 (not today). "
        "Change what it names, then run again."
    )


def test_what_is_kept_survives_the_state() -> None:
    made = PollJob("ft:x:ckpt-step-1", 5, None, None, None, Kept(1, 2, 1.0, 2.0))
    assert msgspec.json.decode(msgspec.json.encode(made), type=PollJob) == made
    assert msgspec.json.decode(b'{"model": "m", "trained_tokens": 5, "metrics": null}', type=PollJob).kept is None
