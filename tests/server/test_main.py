"""A server's life and death: lock, address, signals, and the parent that holds its stdin."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import InputError, Locked
from pipeline.server.main import run, serving
from pipeline.server.settings import ServerSettings
from pipeline.server.storage.database import StoreLock
from tests.conftest import FakeClock
from tests.server.harness import ServerProcess, finish, is_alive, messages, saw, start_job, until


def _settings(tmp_path: Path, **changes: object) -> ServerSettings:
    given: dict[str, object] = {"data_dir": tmp_path / "store", "key": "sk-short", "trainer": "scripted", **changes}
    return ServerSettings(**given)  # type: ignore[arg-type]  # the names are the fields


def test_sigterm_puts_the_job_back_and_exits_with_0(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(steps=4, hang_at_step=3)
    job = start_job(server.client)
    until(saw(server.client, job.id, "Step 2/4"), "the second step")
    worker = until(lambda: server.worker_pid(job.id), "the worker")

    assert server.terminate() == 0

    assert not is_alive(worker)
    assert server.process.stderr is not None
    assert server.process.stderr.read() == ""
    again = start_server(steps=4)
    assert finish(again.client, job.id).status == "succeeded"
    told = [m for m in messages(again.client, job.id) if "goes on" in m]
    assert told == [
        "The server is stopping; training goes on from its last checkpoint when it starts again",
        "Training goes on after step 2/4",
    ]


def test_a_dead_parent_takes_server_and_worker_with_it(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(steps=4, hang_at_step=3)
    job = start_job(server.client)
    until(saw(server.client, job.id, "Step 2/4"), "the second step")
    worker = until(lambda: server.worker_pid(job.id), "the worker")

    assert server.process.stdin is not None
    server.process.stdin.close()

    assert server.process.wait(10) == 1
    until(lambda: not is_alive(worker), "the worker to be gone")


def test_a_second_server_on_a_store_gives_up_after_ten_seconds(tmp_path: Path, clock: FakeClock) -> None:
    lock = StoreLock.acquire(tmp_path)

    with pytest.raises(Locked) as refused:
        StoreLock.acquire(tmp_path, clock=clock.monotonic, sleep=clock.sleep)

    assert str(refused.value) == (
        f"{tmp_path}: another server holds this data directory. Stop it, or give this one its own --data-dir."
    )
    assert sum(clock.waits) == pytest.approx(10, abs=0.1)
    lock.release()
    StoreLock.acquire(tmp_path, clock=clock.monotonic, sleep=clock.sleep).release()
    assert (tmp_path / "server.lock").exists()


def test_a_predecessor_that_is_still_dying_is_waited_for(tmp_path: Path) -> None:
    lock = StoreLock.acquire(tmp_path)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            lock.release()

    StoreLock.acquire(tmp_path, sleep=sleep).release()

    assert len(waits) == 3


def test_serving_holds_the_store(tmp_path: Path, clock: FakeClock) -> None:
    with serving(_settings(tmp_path)), pytest.raises(Locked):
        StoreLock.acquire(tmp_path / "store", clock=clock.monotonic, sleep=clock.sleep)

    StoreLock.acquire(tmp_path / "store", clock=clock.monotonic, sleep=clock.sleep).release()


def test_others_are_served_only_behind_a_long_key(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(InputError) as refused:
            run(_settings(tmp_path, host=host))
        assert str(refused.value) == (
            "server key: an address that others can reach needs a key of at least 16 characters, "
            f"got 8 characters for {host}. Set FINETUNE_SERVER_KEY to a long random one, or serve on 127.0.0.1."
        )
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_short_key_is_enough_on_this_machine(tmp_path: Path, host: str) -> None:
    with serving(_settings(tmp_path, host=host)) as server:
        assert server.base_url.endswith("/v1")


def test_no_key_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^server key: expected a key, which every client must send\. Set "):
        run(_settings(tmp_path, key=""))


def test_a_taken_port_is_an_error_that_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError) as refused:
            run(_settings(tmp_path, port=port))

    assert str(refused.value) == (
        f"127.0.0.1:{port}: the server cannot listen there (Address already in use). Choose a free port; 0 takes any."
    )


def test_everything_in_the_store_is_private(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(steps=2)
    finish(server.client, start_job(server.client).id)
    server.terminate()  # a finished job's checkpoints are swept while it runs
    script = server.data_dir / "script.json"  # written by this test, not by the server

    modes = {path: path.stat().st_mode & 0o777 for path in server.data_dir.rglob("*") if path != script}

    assert {path for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)} == set()
    assert len(modes) > 10
