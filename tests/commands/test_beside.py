"""Commands beside a run at work: they read what is finished, and use the server that the run has."""

import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipeline.backends.lent import FILE, LentServer, lend, take_back
from pipeline.errors import Locked, TryLater
from pipeline.state.file import locked
from pipeline.state.lock import signature
from tests.command import Workshop

BOUND_S = 120


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def at_work(shop: Workshop) -> "Iterator[subprocess.Popen[str]]":
    """A second training that does not end by itself, after one that succeeded."""
    script = shop.script(steps=2, replies={"tuned": "Slow and steady."})
    assert shop.run(script).code == 0
    shop.script(steps=3, hang_at_step=2, replies={"tuned": "Slow and steady."})
    process = shop.start("run", "run.yaml", script, "--from", "create_job")
    assert process.stdout is not None
    for line in process.stdout:
        if "is running" in line:
            break
    yield process
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=BOUND_S)


def test_beside_a_training_one_talks_to_the_model_of_before_inspects_and_cancels(
    shop: Workshop, at_work: "subprocess.Popen[str]"
) -> None:
    script = f"--set=backend.script={shop.folder / 'script.json'}"
    address = shop.run_dir / "server" / FILE
    assert stat.S_IMODE(address.stat().st_mode) == 0o600
    said = shop.finetune("chat", "run.yaml", script, "--message", "Hello")
    assert (said.code, said.out) == (0, "      Tortoise Slow and steady.\n")
    before = r"The training is not done; this is ft:\S+, the model of the one before\.\n"
    assert re.fullmatch(before, said.err)
    shown = shop.finetune("inspect", "run.yaml", script, "--examples", "1")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.endswith(f"\n\nA run is at work here: {holder_of(at_work)}.\n")
    refused = shop.finetune("inspect", "run.yaml", script, "--set", "convert.min_examples=3")
    assert refused.code == 4
    assert refused.err == (
        "error: runs/ci: another run is at work here, and convert has to run first (convert.min_examples changed from "
        f"its default to 3), got {holder_of(at_work)}. Wait for it or stop it, then try again.\n"
    )
    job = shop.state()["steps"]["create_job"]["output"]["job"]
    cancelled = shop.finetune("cancel", "run.yaml", script)
    assert (cancelled.code, cancelled.out) == (0, f"{job} is cancelled.\n")
    _, err = at_work.communicate(timeout=BOUND_S)
    assert at_work.returncode == 6
    assert err == (
        f"error: poll_job: {job} was cancelled (by the user). A job costs nothing here: run again to start another.\n"
    )
    assert not address.exists()
    still = shop.finetune("chat", "run.yaml", script, "--message", "Hello")
    assert (still.code, still.out) == (0, "      Tortoise Slow and steady.\n")
    assert re.fullmatch(before, still.err)


def holder_of(process: "subprocess.Popen[str]") -> str:
    return signature().replace(f"process {signature().split()[1]}", f"process {process.pid}")


def test_while_the_first_training_is_at_work_there_is_nobody_to_talk_to(shop: Workshop) -> None:
    script = shop.script(steps=3, hang_at_step=2)
    with shop.start("run", "run.yaml", script) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "is running" in line:
                break
        said = shop.finetune("chat", "run.yaml", script, "--message", "Hello")
        process.kill()
    assert said.code == 2
    assert said.err == (
        f"error: chat: there is no tuned model yet. A run is at work here: {holder_of(process)}. Wait for it.\n"
    )


def test_the_address_that_a_killed_run_left_is_not_believed(tmp_path: Path) -> None:
    data_dir = tmp_path / "server"
    data_dir.mkdir()
    lend(data_dir, "http://127.0.0.1:1/v1", "key")
    left = msgspec.json.decode((data_dir / FILE).read_bytes())
    (data_dir / FILE).write_bytes(msgspec.json.encode({**left, "signed": "process 1 on elsewhere"}))
    with pytest.raises(Locked) as refused:
        LentServer(data_dir, signature())
    assert str(refused.value) == (
        f"{tmp_path}: another run is at work here, and its server is not up, got {signature()}. "
        "Wait for it or stop it, then try again."
    )


def test_the_address_of_an_earlier_run_is_not_believed_though_its_process_id_came_again(tmp_path: Path) -> None:
    data_dir = tmp_path / "server"
    data_dir.mkdir()
    with locked(tmp_path):
        lend(data_dir, "http://127.0.0.1:1/v1", "key")
    later = (tmp_path / "state.lock").stat().st_mtime_ns + 1
    with locked(tmp_path):
        os.utime(tmp_path / "state.lock", ns=(later, later))  # clocks may be coarse
        with pytest.raises(Locked):
            LentServer(data_dir, signature())


def test_what_a_killed_run_left_is_removed_by_the_next_command_in_its_directory(shop: Workshop) -> None:
    address = shop.run_dir / "server" / FILE
    address.parent.mkdir(parents=True)
    address.write_text("{}")
    assert shop.finetune("cancel", "run.yaml").code == 2
    assert not address.exists()


def test_a_lent_server_ends_with_its_run(tmp_path: Path) -> None:
    data_dir = tmp_path / "server"
    data_dir.mkdir()
    with locked(tmp_path):
        lend(data_dir, "http://127.0.0.1:1/v1", "key")
        server = LentServer(data_dir, signature())
        assert (server.base_url, server.key) == ("http://127.0.0.1:1/v1", "key")
        server.check()
        take_back(data_dir)
    with pytest.raises(TryLater) as gone:
        server.check()
    assert str(gone.value) == (
        "embedded server: the run at work has ended, and its server with it. Run the same command again."
    )
