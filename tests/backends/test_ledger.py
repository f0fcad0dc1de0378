"""One file, one job, whatever becomes of the answers. POSTs are counted on the wire, through the real SDK."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.backends.client import Connection
from pipeline.backends.ledger import Ledger
from pipeline.config.settings import Backend, CreateJob
from pipeline.errors import BackendFailed, DecisionNeeded, FinetuneError, InputError, TryLater
from pipeline.process.signals import Signals
from pipeline.run.runner import resolve
from pipeline.state.file import State
from tests.conftest import FakeClock
from tests.fault_server import Fault, FaultServer, fault_server

JOB = CreateJob(model="gpt-4.1-nano", suffix="tortoise", seed=1)
SHA = "ab" * 32
UNKNOWN = [
    Fault("job.create", "reset"),
    Fault("job.create", "reset", commits=True),
    Fault("job.create", "cut", commits=True),
    Fault("job.create", "garbage", commits=True),
    Fault("job.create", "no_id", commits=True),
    Fault("job.create", 500),
    Fault("job.create", 500, commits=True),
    Fault("job.create", 408, commits=True),
    Fault("job.create", 409, commits=True),
]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    (tmp_path / "train.jsonl").write_bytes(b'{"messages": []}\n')
    return tmp_path


class Run:
    """One process: what it knows comes from the state on disk."""

    def __init__(
        self,
        run_dir: Path,
        server: FaultServer,
        clock: FakeClock,
        kind: str = "compatible",
        settle_s: float | None = None,
    ) -> None:
        backend = Backend.model_validate({"kind": kind, "base_url": server.base_url, "settle_s": settle_s})
        self.run_dir = run_dir
        self.notes: list[str] = []
        self.connection = Connection(backend, run_dir, clock)
        self.state = State.load(run_dir)
        self.ledger = Ledger(self.state, self.connection, clock, Signals(), self.notes.append)

    def upload(self) -> str:
        return self.ledger.upload(self.run_dir / "train.jsonl", SHA, timeout_s=5)

    def create_job(self, made_of: str = "fingerprint", generation: int = 0) -> str:
        return self.ledger.create_job(JOB, "file-1", None, made_of, generation)[0]


@pytest.fixture
def run(run_dir: Path, server: FaultServer, clock: FakeClock) -> Iterator[Run]:
    run = Run(run_dir, server, clock)
    yield run
    run.connection.close()


def test_a_job_is_created_with_one_post_and_recorded(run: Run, server: FaultServer) -> None:
    assert run.create_job() == "ftjob-1"
    assert server.posts == ["job.create"]
    (attempt,) = State.load(run.run_dir).body.remote.values()
    assert (attempt.step, attempt.remote_id, attempt.how, attempt.tries) == ("create_job", "ftjob-1", "created", 1)


@pytest.mark.parametrize("fault", UNKNOWN, ids=lambda fault: f"{fault.kind}{'-committed' if fault.commits else ''}")
def test_an_unknown_outcome_never_makes_a_second_job(run: Run, server: FaultServer, fault: Fault) -> None:
    server.faults.append(fault)
    assert run.create_job() == "ftjob-1"
    assert len(server.jobs) == 1
    assert len(server.posts) == (1 if fault.commits else 2)


def test_after_an_unknown_outcome_the_server_is_given_two_minutes_to_show_it(
    run: Run, server: FaultServer, clock: FakeClock
) -> None:
    server.faults.append(Fault("job.create", "reset"))
    run.create_job()
    assert sum(clock.waits) == pytest.approx(120)
    assert len(clock.waits) == 6


def test_how_long_a_server_is_given_is_config(run_dir: Path, server: FaultServer, clock: FakeClock) -> None:
    run = Run(run_dir, server, clock, settle_s=600)
    server.faults.append(Fault("job.create", "reset"))
    run.create_job()
    assert sum(clock.waits) == pytest.approx(600)
    assert len(clock.waits) == 6
    run.connection.close()


def test_a_process_that_died_after_its_post_adopts_the_job(
    run: Run, server: FaultServer, run_dir: Path, clock: FakeClock
) -> None:
    run.create_job()
    (attempt,) = run.state.body.remote.values()
    attempt.remote_id = attempt.how = None  # as the state was when the request left
    run.state.save()
    again = Run(run_dir, server, clock)
    assert again.create_job() == "ftjob-1"
    assert server.posts == ["job.create"]
    again.connection.close()


def test_with_the_state_lost_the_job_and_the_file_are_found_again(
    run: Run, server: FaultServer, run_dir: Path, clock: FakeClock
) -> None:
    assert (run.upload(), run.create_job()) == ("file-1", "ftjob-1")
    (run_dir / "state.json").unlink()
    (run_dir / "state.json.prev").unlink()
    again = Run(run_dir, server, clock)
    assert (again.upload(), again.create_job()) == ("file-1", "ftjob-1")
    assert server.posts == ["file.create", "job.create"]
    again.connection.close()


def test_the_same_content_is_uploaded_once_under_a_name_that_tells_nothing(run: Run, server: FaultServer) -> None:
    assert run.upload() == run.upload() == "file-1"
    assert [file["filename"] for file in server.files] == ["finetune-abababababababab.jsonl"]


def test_a_file_that_the_server_could_not_use_is_not_taken_again(run: Run, server: FaultServer) -> None:
    run.upload()
    server.files[0]["status"] = "error"
    assert run.upload() == "file-2"


def test_another_identity_is_another_job(run: Run, server: FaultServer) -> None:
    assert run.create_job("fingerprint:0") == "ftjob-1"
    assert run.create_job("fingerprint:1") == "ftjob-2"


def test_a_server_that_ignores_the_filter_is_not_believed(run: Run, server: FaultServer) -> None:
    server.filters = False
    server.commit_job({"model": "m", "training_file": "file-1", "metadata": {"finetune_op": "another"}})
    assert run.create_job() == "ftjob-2"
    assert run.create_job() == "ftjob-2"


def test_of_several_matches_the_oldest_is_adopted(run: Run, server: FaultServer) -> None:
    run.create_job()
    twin = dict(server.jobs[0], id="ftjob-0", created_at=-1)
    server.jobs.append(twin)
    (attempt,) = run.state.body.remote.values()
    attempt.remote_id = None
    assert run.create_job() == "ftjob-0"


def test_without_metadata_a_job_is_known_by_its_file_and_suffix(
    run_dir: Path, server: FaultServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEBIUS_API_KEY", "key")
    server.keeps_metadata = False
    run = Run(run_dir, server, clock, kind="nebius")
    server.commit_job({"model": "m", "training_file": "file-1", "suffix": "tortoise"})
    server.faults.append(Fault("job.create", "reset", commits=True))
    assert run.create_job() == "ftjob-2"
    assert server.posts == ["job.create"]
    assert server.jobs[1]["user_provided_suffix"].startswith("tortoise-")
    run.connection.close()


def test_a_server_without_a_list_ends_in_a_decision_never_in_a_second_post(run: Run, server: FaultServer) -> None:
    server.faults += [
        Fault("job.list", 501),
        Fault("job.create", "reset", commits=True),
        *[Fault("job.list", 501)] * 20,
    ]
    with pytest.raises(DecisionNeeded) as caught:
        run.create_job()
    assert str(caught.value) == (
        "create_job: a request sent at 2026-11-22T00:00:00Z was never answered, and the server at base_url keeps no "
        "list to look it up in. Look in its dashboard, then run `finetune resolve CONFIG create_job --adopt ID`, or "
        "`--none` if nothing is there."
    )
    assert server.posts == ["job.create"]
    resolve(run.state, "create_job", "ftjob-1")
    server.faults.append(Fault("job.list", 501))
    assert run.create_job() == "ftjob-1"
    assert server.posts == ["job.create"]


SWITCH = "To train on this machine instead: --set backend.kind=embedded --set create_job.model=smollm2-135m-instruct"


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (
            401,
            {"message": "Incorrect API key provided.", "code": "invalid_api_key"},
            InputError,
            "create_job: the server at base_url refuses the key (Incorrect API key provided). "
            "Set OPENAI_API_KEY to a valid key.",
        ),
        (
            403,
            {"message": "Your organization is not allowed to create fine-tuning jobs."},
            InputError,
            "create_job: the server at base_url does not let this organisation fine-tune "
            f"(Your organization is not allowed to create fine-tuning jobs). {SWITCH}",
        ),
        (
            404,
            {"message": "The model `gpt-4.1-nano` does not exist", "code": "model_not_found"},
            InputError,
            "create_job: the server at base_url has no such model (The model `gpt-4.1-nano` does not exist). "
            "Change create_job.model.",
        ),
        (
            429,
            {"message": "You exceeded your current quota", "code": "insufficient_quota"},
            TryLater,
            "create_job: the server at base_url says: too many requests or no credit left "
            "(You exceeded your current quota). Run again later.",
        ),
    ],
)
def test_a_refusal_says_what_it_means_and_is_posted_once(
    run: Run, server: FaultServer, status: int, body: dict[str, str], error: type[FinetuneError], message: str
) -> None:
    server.faults.append(Fault("job.create", status, body=dict(body)))
    with pytest.raises(error) as caught:
        run.create_job()
    assert str(caught.value) == message
    assert server.posts == ["job.create"]
    (attempt,) = State.load(run.run_dir).body.remote.values()
    assert attempt.tries == 0, "a definite no leaves nothing undecided"


def test_an_unreachable_host_is_try_later(run_dir: Path, clock: FakeClock) -> None:
    with fault_server() as gone:
        pass
    run = Run(run_dir, gone, clock)
    with pytest.raises(TryLater) as caught:
        run.create_job()
    assert str(caught.value) == (
        f"create_job: the server at base_url cannot be reached at {gone.base_url} ([Errno 111] Connection refused). "
        "Check backend.base_url and the network, then run again."
    )


def twin(server: FaultServer, status: str = "queued", **changed: object) -> str:
    """A second job of the same operation, as a late commit of a lost request makes it."""
    job = dict(server.jobs[0], id=f"ftjob-twin{len(server.jobs)}", created_at=99, status=status, **changed)
    server.jobs.append(job)
    return str(job["id"])


def sweep(run: Run, config: CreateJob = JOB) -> None:
    run.ledger.sweep_job(config, "file-1", "fingerprint:0", "ftjob-1")


def test_a_twin_that_has_not_started_is_cancelled_and_said(run: Run, server: FaultServer) -> None:
    run.create_job()
    late = twin(server)
    sweep(run)
    assert [job["status"] for job in server.jobs] == ["queued", "cancelled"]
    assert run.notes == [f"{late} is the same job made twice by a lost answer; cancelled before it started"]


def test_a_twin_that_runs_is_reported_once_and_left_alone(run: Run, server: FaultServer) -> None:
    run.create_job()
    late = twin(server, status="running")
    sweep(run)
    sweep(run)
    assert server.jobs[1]["status"] == "running"
    assert run.notes == [f"WARNING: {late} is the same job made twice by a lost answer, and it is running"]


def test_twins_are_only_reported_if_the_config_says_so(run: Run, server: FaultServer) -> None:
    run.create_job()
    twin(server)
    sweep(run, JOB.model_copy(update={"twins": "report"}))
    assert server.jobs[1]["status"] == "queued"
    assert len(run.notes) == 1


def test_another_run_directorys_job_is_adopted_loudly_and_never_cancelled(
    run: Run, server: FaultServer, tmp_path_factory: pytest.TempPathFactory, clock: FakeClock
) -> None:
    run.create_job()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    other = Run(elsewhere, server, clock)
    assert other.create_job() == "ftjob-1"
    assert other.notes == [
        "ftjob-1 is there already, made by another run directory for the same data and config; "
        "it is used instead of making another"
    ]
    twin(server)
    sweep(other)
    assert server.jobs[1]["status"] == "queued"
    other.connection.close()


def test_surplus_copies_of_the_chats_are_deleted(run: Run, server: FaultServer) -> None:
    server.faults += [Fault("file.create", "reset", commits=True), Fault("file.list", 500)]
    server.faults.append(Fault("file.create", 500))
    assert run.upload() == "file-1"
    server.commit_file("finetune-abababababababab.jsonl", 17)
    (attempt,) = run.state.body.remote.values()
    attempt.tries = 2  # as after a second request
    assert run.upload() == "file-1"
    assert [file["id"] for file in server.files] == ["file-1"]


def test_a_key_of_another_account_buys_nothing(run: Run, server: FaultServer, run_dir: Path, clock: FakeClock) -> None:
    run.create_job()
    server.jobs.clear()  # what another account sees
    other = Run(run_dir, server, clock)
    with pytest.raises(InputError) as caught:
        other.create_job("another fingerprint")
    assert str(caught.value) == (
        "create_job: this key does not see ftjob-1, which an earlier run made: another project or organisation? "
        "Use the earlier key, or begin anew with this one under another name: --set name=…."
    )
    again = Run(run_dir, server, clock)
    with pytest.raises(InputError):
        again.create_job("another fingerprint")
    again.connection.close()
    assert server.posts == ["job.create"]
    other.connection.close()


def test_after_a_lost_state_a_job_bought_later_on_purpose_is_found(
    run: Run, server: FaultServer, run_dir: Path, clock: FakeClock
) -> None:
    run.create_job()
    assert run.create_job(generation=1) == "ftjob-2"
    again = Run(run_dir, server, clock)
    again.state.body.rebuilt = True
    again.state.body.remote.clear()
    assert again.create_job() == "ftjob-2"
    (attempt,) = again.state.body.remote.values()
    assert attempt.generation == 1
    again.connection.close()


def test_jobs_that_may_be_ours_but_carry_no_mark_are_a_decision(run: Run, server: FaultServer) -> None:
    server.keeps_metadata = False
    server.faults.append(Fault("job.create", "reset", commits=True))
    server.keeps_suffix = False
    with pytest.raises(DecisionNeeded) as caught:
        run.create_job()
    assert str(caught.value) == (
        "create_job: a request sent at 2026-11-22T00:00:00Z was never answered, and the server at base_url does not "
        "tell whether ftjob-1 came of it. Look in its dashboard, then run `finetune resolve CONFIG create_job --adopt "
        "ID`, or `--none` if nothing is there."
    )
    assert server.posts == ["job.create"]


def test_a_deleted_file_is_sent_again_when_it_is_needed_again(run: Run, server: FaultServer) -> None:
    assert run.upload() == "file-1"
    run.ledger.delete_file("file-1")
    assert server.files == []
    run.ledger.delete_file("file-1")
    assert run.upload() != ""
    assert server.posts == ["file.create", "file.create"]


def test_a_twin_that_could_not_be_cancelled_is_tried_again(run: Run, server: FaultServer) -> None:
    run.create_job()
    twin(server)
    server.faults.append(Fault("job.cancel", 400, body={"message": "not now"}))
    with pytest.raises(BackendFailed):
        sweep(run)
    sweep(run)
    assert server.jobs[1]["status"] == "cancelled"


def test_a_request_that_a_proxy_repeats_leaves_one_copy_of_the_chats(run: Run, server: FaultServer) -> None:
    server.faults.append(Fault("file.create", "duplicate"))
    file_id = run.upload()
    assert [file["id"] for file in server.files] == [file_id]


def test_a_server_that_only_errs_is_asked_three_times_not_for_ever(run: Run, server: FaultServer) -> None:
    server.faults.append(Fault("job.create", 500, times=99))
    with pytest.raises(TryLater) as caught:
        run.create_job()
    assert str(caught.value) == (
        "create_job: the server at base_url answered 3 requests with errors, the last one: the server answered 500. "
        "Run again later: what came of them is looked up first."
    )
    assert server.posts == ["job.create"] * 3


def test_a_job_is_cancelled_as_the_user_asks_for_it(run: Run, server: FaultServer) -> None:
    job_id = run.create_job()
    assert run.ledger.cancel_job(job_id).status == "cancelled"
    with pytest.raises(BackendFailed) as caught:
        run.ledger.cancel_job(job_id)
    assert str(caught.value) == (
        "cancel: the server at base_url answered 400 (Job has already completed: ftjob-1). "
        "Change what it names, then run again."
    )


def test_a_job_that_is_not_wanted_any_more_is_cancelled_and_written_down(run: Run, server: FaultServer) -> None:
    assert run.ledger.give_up_job(run.create_job())
    assert server.jobs[0]["status"] == "cancelled"
    (attempt,) = State.load(run.run_dir).body.remote.values()
    assert attempt.ended


@pytest.mark.parametrize("fault", [None, Fault("job.cancel", 400)], ids=["before the look", "just after it"])
def test_a_job_that_came_to_its_end_by_itself_is_not_given_up(
    run: Run, server: FaultServer, fault: Fault | None
) -> None:
    job_id = run.create_job()
    server.course = ("succeeded",) if fault is None else ("running",)
    server.faults += [] if fault is None else [fault]
    assert not run.ledger.give_up_job(job_id)
    (attempt,) = State.load(run.run_dir).body.remote.values()
    assert not attempt.ended


@pytest.mark.parametrize("status", ["error", None])
def test_a_job_that_is_there_is_never_bought_again_whatever_its_status(
    run: Run, server: FaultServer, status: str | None
) -> None:
    run.create_job()
    server.status_by_time = lambda _: status  # type: ignore[assignment, return-value]
    assert run.create_job() == "ftjob-1"
    assert server.posts == ["job.create"]


@pytest.mark.parametrize("behind", [1, 3, 6])
@pytest.mark.parametrize("how", ["the list shows it late", "the request is carried out late"])
def test_what_a_server_shows_late_is_found_and_not_made_again(
    run: Run, server: FaultServer, behind: int, how: str
) -> None:
    server.stale = behind if how.startswith("the list") else 0
    for call in ("file.create", "job.create"):
        late = Fault(call, "reset", commits=True) if server.stale else Fault(call, "late", reads=behind)
        server.faults.append(late)
    assert (run.upload(), run.create_job()) == ("file-1", "ftjob-1")
    assert server.posts == ["file.create", "job.create"]


def test_what_a_server_shows_only_after_its_time_is_made_twice_and_the_twin_is_cancelled(
    run: Run, server: FaultServer
) -> None:
    """No client can know of it sooner; nobody pays for it if it has not started."""
    server.stale = 9
    server.faults.append(Fault("job.create", "reset", commits=True))
    assert run.create_job() == "ftjob-2"
    for _ in range(3):  # as every poll does
        run.ledger.sweep_job(JOB, "file-1", "fingerprint:0", "ftjob-2")
    assert [job["status"] for job in server.jobs] == ["cancelled", "queued"]
    assert [job["id"] for job in server.billed()] == ["ftjob-2"]


@pytest.mark.parametrize("filters", [True, False])
def test_a_job_and_a_file_behind_others_pages_are_found(run: Run, server: FaultServer, filters: bool) -> None:
    server.page, server.filters = 2, filters
    server.faults += [Fault(call, "reset", commits=True) for call in ("file.create", "job.create")]
    for n in range(5):
        server.commit_file(f"other-{n}.jsonl", n)
    file_id = run.upload()
    job_id = run.create_job()
    for n in range(5):
        server.commit_job({"model": "m", "training_file": "file-1", "metadata": {"finetune_op": f"{n}"}})
    for attempt in run.state.body.remote.values():
        attempt.remote_id = None  # as after a crash before the answer was written
    assert (run.upload(), run.create_job()) == (file_id, job_id)
    assert server.posts == ["file.create", "job.create"]


def test_a_file_that_has_expired_is_sent_again_and_the_job_that_used_it_is_found(run: Run, server: FaultServer) -> None:
    run.upload()
    run.create_job()
    server.files.clear()
    run.state.body.remote.clear()  # the state was lost
    assert (run.upload(), run.create_job()) == ("file-2", "ftjob-1")


def test_whether_a_file_of_ours_is_on_the_backend_is_known_without_asking(run: Run, server: FaultServer) -> None:
    file_id = run.upload()
    asked = sum(server.requests.values())
    assert [run.ledger.has_sent(*ids) for ids in [(file_id,), (None, file_id), (None,), ("file-9",)]] == [
        True, True, False, False
    ]  # fmt: skip
    assert sum(server.requests.values()) == asked
    run.ledger.delete_file(file_id)
    assert not run.ledger.has_sent(file_id)
