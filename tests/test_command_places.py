"""The command where the disk or another run is in the way: one message, the right exit code, nothing lost."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import Finished, Workshop
from tests.test_command import NAMES

AGAIN = "then run again.\n"
IN_THE_WAY = f"cannot be used (Not a directory). Move the file that stands in the place of a directory away, {AGAIN}"
# Root may write anywhere: give up the capabilities that say so (prctl(2), PR_CAPBSET_DROP).
HUMBLE = """
import ctypes, os, sys
if os.geteuid() == 0:
    for capability in (1, 2):
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
NO_SPACE = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
os.execv(sys.argv[1], sys.argv[1:])
"""
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")


@pytest.fixture(scope="module")
def done_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a run has finished."""
    folder = tmp_path_factory.mktemp("done")
    assert Workshop(folder).run().code == 0
    return folder


@pytest.fixture
def done(done_once: Path, tmp_path: Path) -> Workshop:
    shutil.copytree(done_once, tmp_path, dirs_exist_ok=True)
    return Workshop(tmp_path)


def under(shop: Workshop, launcher: str, *arguments: str) -> Finished:
    command = [sys.executable, "-c", launcher, sys.executable, "-m", "pipeline", *arguments]
    ended = subprocess.run(
        command, cwd=shop.folder, env=shop.env, capture_output=True, text=True, timeout=120, check=False
    )
    return Finished(ended.returncode, ended.stdout, ended.stderr)


@pytest.mark.parametrize(
    ("place", "code", "error"),
    [
        (
            "03_merged.jsonl",
            5,
            f"runs/ci/03_merged.jsonl: cannot be used (Is a directory). Move that directory away, {AGAIN}",
        ),
        (
            "state.lock",
            2,
            "runs/ci/state.lock: cannot be opened (Is a directory). It must be a file of yours; remove it.\n",
        ),
        (
            "state.json",
            5,
            "runs/ci/state.json: is not a file. Remove it, then run `python -m pipeline repair run.yaml`.\n",
        ),
    ],
)
def test_a_directory_in_the_place_of_a_file(done: Workshop, place: str, code: int, error: str) -> None:
    path, aside = done.run_dir / place, done.folder / "aside"
    path.rename(aside)
    path.mkdir()
    refused = done.run()
    assert (refused.code, refused.err) == (code, f"error: {error}")
    path.rmdir()
    aside.rename(path)
    assert done.run().code == 0, "nothing is lost"


def test_a_file_in_the_place_of_a_directory(done: Workshop) -> None:
    server, aside = done.run_dir / "server", done.folder / "aside"
    server.rename(aside)
    server.touch()
    refused = done.run()
    assert (refused.code, refused.err) == (5, f"error: runs/ci/server: {IN_THE_WAY}")
    server.unlink()
    aside.rename(server)
    models = server / "models"
    models.rename(aside)
    models.touch()
    refused = done.finetune("chat", "run.yaml", "--message", "hi")
    assert (refused.code, refused.err) == (
        5,
        f"error: embedded server: did not start. runs/ci/server/models: {IN_THE_WAY}",
    )
    shutil.rmtree(done.folder / "runs")
    (done.folder / "runs").mkdir()
    done.run_dir.touch()
    refused = done.run()
    assert (refused.code, refused.err) == (5, f"error: runs/ci: {IN_THE_WAY}")
    shutil.rmtree(done.folder / "runs")
    (done.folder / "runs").touch()
    for arguments in (["run", "run.yaml"], ["forget", "run.yaml", "load"]):
        refused = done.finetune(*arguments)
        assert (refused.code, refused.err) == (5, f"error: runs: {IN_THE_WAY}")


@linux_only
def test_what_is_done_is_seen_on_a_disk_that_takes_nothing(done: Workshop) -> None:
    (done.run_dir / "run.log").unlink()
    for path in [done.run_dir, *done.run_dir.rglob("*")]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    (done.run_dir / "server").chmod(0o500)
    shown = under(done, HUMBLE, "status", "run.yaml", "--json")
    assert (shown.code, shown.err) == (0, "")
    assert {json.loads(line)["would_run"] for line in shown.out.splitlines()} == {None}
    # A run directory of ours is made writable again; so the disk itself has to be the one that refuses.
    full = under(done, NO_SPACE, "run", "run.yaml")
    assert (full.code, full.skipped) == (0, NAMES)
    assert full.err == "runs/ci/run.log: cannot be written (File too large). The run goes on without it.\n"
    assert under(done, NO_SPACE, "status", "run.yaml").code == 0
    assert done.run().skipped == NAMES


def test_a_disk_without_space_stops_work_with_one_message(done: Workshop) -> None:
    full = under(done, NO_SPACE, "run", "run.yaml", "--from", "merge")
    assert full.code == 5
    assert re.sub(r"file-\w+|ftjob-\w+", "ID", full.err) == (
        "runs/ci/run.log: cannot be written (File too large). The run goes on without it.\n"
        "error: runs/ci/state.json: cannot be written (File too large); on the backend there are ID, ID. "
        "Free some space or mend the disk, then run again: what is on the backend is found again.\n"
    )
    assert done.run("--from", "merge").code == 0


def test_a_server_without_space_says_why_it_did_not_start(done: Workshop) -> None:
    full = under(done, NO_SPACE, "chat", "run.yaml", "--message", "hi")
    assert full.code == 5
    assert full.err == (
        "error: embedded server: did not start. runs/ci/server/store.db: the server's disk failed (Input/output error)."
        " Mend the disk and start again: nothing that was accepted is lost.\n"
    )


def test_what_others_could_read_is_made_private_again(done: Workshop) -> None:
    for path in done.run_dir.iterdir():
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert done.run().code == 0
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in done.run_dir.iterdir()}
    assert modes == {path.name: 0o700 if path.is_dir() else 0o600 for path in done.run_dir.iterdir()}


def test_a_run_goes_on_when_nobody_can_be_told(done: Workshop) -> None:
    (done.run_dir / "run.log").unlink()
    (done.run_dir / "run.log").mkdir()
    script = 'exec "$0" -m pipeline run run.yaml --from merge --json >/dev/full'
    ended = subprocess.run(
        ["sh", "-c", script, sys.executable], cwd=done.folder, env=done.env, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0
    assert ended.stderr == (
        "runs/ci/run.log: cannot be written (Is a directory). The run goes on without it.\n"
        "standard output: cannot be written (No space left on device). The run goes on; run.log tells of it.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("inspect", "run.yaml", "--dropped", "foo", "--set", "convert.preset=texting"), 2),
        (("senders", "run.yaml", "--set", "download.source=nothing.db"), 2),
        (("chat", "run.yaml", "--set", "name=other"), 2),
        (("chat", "run.yaml", "--message", "Hello"), 0),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_question_is_no_part_of_the_story_that_the_log_tells(
    done: Workshop, arguments: tuple[str, ...], code: int
) -> None:
    asked = done.finetune(*arguments)
    assert asked.code == code, asked
    assert not [log for log in done.folder.rglob("run.log") if " error: " in log.read_text()]


def test_the_errors_of_run_and_cancel_are_in_the_log(done: Workshop) -> None:
    for arguments in (["run", "run.yaml", "--set", "map.assistant=Snail"], ["cancel", "run.yaml"]):
        refused = done.finetune(*arguments)
        said = (done.run_dir / "run.log").read_text().splitlines()[-1].partition(" ")[2]
        assert (refused.code, refused.err) == (2, f"{said}\n")


def test_status_tells_that_a_run_is_going_on(done: Workshop) -> None:
    script = done.script(steps=6, hang_at_step=2)
    with done.start("run", "run.yaml", script, "--from", "create_job") as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "step 1/6" in line:
                break
        shown = done.finetune("status", "run.yaml", script)
        rows = [json.loads(line) for line in done.finetune("status", "run.yaml", script, "--json").out.splitlines()]
        running.send_signal(signal.SIGKILL)
    assert shown.out.splitlines()[0] == (
        f"ci with the embedded server, in runs/ci/, running now (process {running.pid} on {os.uname().nodename})"
    )
    assert (rows[8]["step"], rows[8]["state"], rows[8]["would_run"]) == ("poll_job", "running", None)
    assert re.fullmatch(r"step 1/6  loss \d\.\d{3}  \d+\.\d s", rows[8]["said"]["text"]), rows[8]["said"]
    said = rf"      \d\d:\d\d  {re.escape(rows[8]['said']['text'])}"
    assert re.fullmatch(said, shown.out.splitlines()[10]), shown.out
    assert [row["said"] for row in rows if row["step"] != "poll_job"] == [None] * 9
    shown = done.finetune("status", "run.yaml", script)
    assert shown.out.splitlines()[0] == "ci with the embedded server, in runs/ci/"
    assert " 9/10 poll_job   interrupted  " in shown.out
    assert re.fullmatch(said, shown.out.splitlines()[10]), shown.out
