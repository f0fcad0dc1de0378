"""`finetune cancel`: which job it ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.backends.client import Connection
from pipeline.backends.ledger import Ledger
from pipeline.commands.cancel import cancel_job
from pipeline.config.settings import Config
from pipeline.errors import InputError
from pipeline.process.signals import Signals
from pipeline.state.file import CREATE_JOB, Attempt, State
from pipeline.steps.step import Work
from pipeline.terminal.display import TextDisplay
from tests.conftest import FakeClock
from tests.fault_server import FaultServer, fault_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    with fault_server() as running:
        yield running


@pytest.fixture
def bench(server: FaultServer, tmp_path: Path, clock: FakeClock) -> Iterator[tuple[Config, State, Work]]:
    config = Config.model_validate({"name": "x", "backend": {"kind": "compatible", "base_url": server.base_url}})
    state, connection, display = (
        State.load(tmp_path),
        Connection(config.backend, tmp_path, clock),
        TextDisplay(None, clock),
    )
    yield (
        config,
        state,
        Work(tmp_path, display, clock, connection, Ledger(state, connection, clock, Signals(), print), ""),
    )
    connection.close()


def test_of_several_jobs_whose_step_was_stopped_the_newest_is_cancelled(
    bench: tuple[Config, State, Work], server: FaultServer
) -> None:
    config, state, work = bench
    account = work.connection.identity
    times = {"b": "2026-11-22T00:00:02Z", "c": "2026-11-22T00:00:03Z", "a": "2026-11-22T00:00:01Z"}
    for job_id, first_at in times.items():  # as the state has them: in no order of time
        server.jobs.append({**server.commit_job({"model": "m", "training_file": "file-1"}), "id": job_id})
        state.body.remote[job_id] = Attempt(step=CREATE_JOB, account=account, remote_id=job_id, first_at=first_at)
    state.body.remote["d"] = Attempt(step=CREATE_JOB, account="another", remote_id="d", first_at="2027-01-01T00:00:00Z")
    ended = Attempt(step=CREATE_JOB, account=account, remote_id="e", first_at="2027-01-01T00:00:00Z", ended=True)
    state.body.remote["e"] = ended
    assert cancel_job(config, state, work) == "c is cancelled."


def test_without_a_job_there_is_nothing_to_cancel(bench: tuple[Config, State, Work]) -> None:
    with pytest.raises(InputError) as caught:
        cancel_job(*bench)
    assert str(caught.value) == "cancel: there is no job yet. `finetune status CONFIG` shows how far the run is."
