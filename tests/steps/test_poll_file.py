"""Step 7: wait for each file, and tell why one is of no use."""

import pytest

from pipeline.errors import BackendFailed, RemoteEnded
from pipeline.steps import poll_file
from pipeline.steps.outputs import PollFile, Upload
from tests.conftest import FakeClock
from tests.fault_server import Fault, FaultServer
from tests.steps.bench import Bench


def waited(bench: Bench, valid: bool = False) -> PollFile:
    return poll_file.run(bench.config(), Upload("file-1", "file-2" if valid else None), bench.work)


@pytest.fixture(autouse=True)
def files(server: FaultServer) -> None:
    server.commit_file("finetune-x.jsonl", 1)
    server.commit_file("finetune-y.jsonl", 1)


def test_files_that_are_processed_are_not_waited_for(bench: Bench, clock: FakeClock) -> None:
    assert waited(bench, valid=True) == PollFile("file-1", "file-2")
    assert clock.waits == []


def test_a_file_is_waited_for_whatever_its_status_is_called(
    bench: Bench, server: FaultServer, clock: FakeClock
) -> None:
    server.files[0]["status"] = "CONTEMPLATING"
    server.faults.append(Fault("file.get", "unknown_status", times=3))

    def pass_time(seconds: float) -> None:
        clock.elapsed += seconds
        if clock.elapsed > 1400:
            server.files[0]["status"] = "processed"

    clock.sleep = pass_time  # type: ignore[method-assign]
    assert waited(bench).train_file == "file-1"
    assert next(note for note in bench.notes if "still" in note).startswith("file-1 is still ")


@pytest.mark.parametrize(("row", "file_id"), [(0, "file-1"), (1, "file-2")])
@pytest.mark.parametrize("status", ["error", "deleted", "cancelled"])
def test_a_file_that_ends_otherwise_carries_the_servers_reason(
    bench: Bench, server: FaultServer, row: int, file_id: str, status: str
) -> None:
    server.files[row] |= {"status": status, "status_details": "Line 3 is not JSON"}
    with pytest.raises(RemoteEnded) as caught:
        waited(bench, valid=True)
    assert str(caught.value) == (
        f"poll_file: {file_id} ended as {status} (Line 3 is not JSON). Change the data, then run again."
    )


def test_a_file_without_a_status_is_looked_at_again(bench: Bench, server: FaultServer) -> None:
    server.faults.append(Fault("file.get", "no_id"))
    assert waited(bench).train_file == "file-1"


def test_a_file_that_is_not_shown_at_once_is_waited_for_and_one_that_never_is_is_an_error(
    bench: Bench, server: FaultServer, clock: FakeClock
) -> None:
    server.faults.append(Fault("file.get", 404, times=3))
    assert waited(bench).train_file == "file-1"
    server.faults.append(Fault("file.get", 404, times=999))
    with pytest.raises(BackendFailed):
        waited(bench)
    assert clock.elapsed > 1000 + bench.connection.profile.settle_s
