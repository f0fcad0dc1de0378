"""state.json: never half written, never mistaken for a fresh start."""

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.durable import describe_artifact, write_atomically
from pipeline.errors import InputError, Locked, StateDamaged
from pipeline.state.file import Attempt, State, StepRecord, locked
from pipeline.state.repair import repair

REPAIR = "Run `finetune repair CONFIG` to go back to the last good state."


def record(run_dir: Path, *names: str) -> StepRecord:
    return StepRecord(
        status="done",
        fingerprint="f",
        version=1,
        declared={"merge.delimiter": "é\n"},
        needs={},
        started_at="2026-11-22T00:00:00Z",
        artifacts=[describe_artifact(run_dir, name) for name in names],
    )


def saved(run_dir: Path) -> State:
    state = State.load(run_dir)
    state.body.steps["merge"] = record(run_dir)
    state.body.remote["op"] = Attempt(step="upload", account="host", tries=1)
    state.save()
    return state


def damage(run_dir: Path) -> str:
    with pytest.raises(StateDamaged) as caught:
        State.load(run_dir)
    return str(caught.value)


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    state = saved(tmp_path)
    assert State.load(tmp_path).body == state.body
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600


def test_every_save_counts_and_keeps_the_one_before(tmp_path: Path) -> None:
    state = saved(tmp_path)
    lineage = state.body.lineage
    state.save()
    assert (State.load(tmp_path).body.serial, State.load(tmp_path).body.lineage) == (2, lineage)
    assert json.loads((tmp_path / "state.json.prev").read_bytes())["body"]["serial"] == 1


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty, so nothing is known of what was done"),
        (b"\0" * 100, "is damaged, so nothing is known of what was done"),
        (b'{"format":', "is damaged, so nothing is known of what was done"),
        (b"[]", "is damaged, so nothing is known of what was done"),
    ],
)
def test_an_unreadable_state_is_damage_not_a_fresh_start(tmp_path: Path, content: bytes, what: str) -> None:
    saved(tmp_path)
    (tmp_path / "state.json").write_bytes(content)
    assert damage(tmp_path) == f"{tmp_path}/state.json: {what}. {REPAIR}"


def test_no_cut_and_no_changed_byte_goes_unnoticed(tmp_path: Path) -> None:
    state = saved(tmp_path)
    raw = (tmp_path / "state.json").read_bytes()
    cuts = [raw[:at] for at in range(len(raw.rstrip()))]
    bits = [1 << bit for bit in range(8)]
    changes = [raw[:at] + bytes([byte ^ bit]) + raw[at + 1 :] for at, byte in enumerate(raw) for bit in bits]
    zeros = [raw[:at] + b"\0" + raw[at + 1 :] for at in range(len(raw))]
    assert len(cuts) + len(changes) + len(zeros) > 6000
    passed = []
    for harmed in (*cuts, *changes, *zeros):
        (tmp_path / "state.json").write_bytes(harmed)
        try:
            passed.append((harmed, State.load(tmp_path).body))
        except StateDamaged:
            continue
    assert not {harmed for harmed, _ in passed} & set(cuts)
    # A change in white space or in who wrote it may pass; one in the body may not.
    assert all(body == state.body for _, body in passed)


def test_a_state_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    raw = (
        (tmp_path / "state.json")
        .read_text()
        .replace('"version": 1,\n "written_by": "', '"version": 9,\n "written_by": "9')
    )
    (tmp_path / "state.json").write_text(raw)
    assert damage(tmp_path) == (
        f"{tmp_path}/state.json: written by finetune 90.1.0 in format 9; this one reads up to 1. Upgrade finetune."
    )


def test_a_missing_state_beside_artifacts_is_damage(tmp_path: Path) -> None:
    write_atomically(tmp_path / "02_sessions.jsonl", b"")
    assert damage(tmp_path) == (
        f"{tmp_path}/state.json: missing, though there are 02_sessions.jsonl. "
        "Run `finetune repair CONFIG` to rebuild it, or remove the run directory to start over."
    )


def test_repair_goes_back_to_the_generation_before_and_keeps_the_damage(tmp_path: Path) -> None:
    state = saved(tmp_path)
    state.save()
    (tmp_path / "state.json").write_bytes(b"torn")
    assert repair(tmp_path) == [
        "state.json is damaged, so nothing is known of what was done. It is kept as state.json.damaged.",
        "state.json.prev is good: serial 1, 1 step recorded.",
        "merge: done",
        "state.json is written anew. Files and jobs on the backend are found by the next run.",
    ]
    assert State.load(tmp_path).body.steps == state.body.steps
    assert (tmp_path / "state.json.damaged").read_bytes() == b"torn"


def test_repair_leaves_an_intact_state_alone(tmp_path: Path) -> None:
    saved(tmp_path)
    raw = (tmp_path / "state.json").read_bytes()
    assert repair(tmp_path) == ["state.json is intact; nothing to repair."]
    assert (tmp_path / "state.json").read_bytes() == raw


def test_an_artifact_is_hashed_again_only_when_it_was_touched(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    state, made = State(tmp_path, State.load(tmp_path).body), record(tmp_path, "a")
    assert state.intact(made) is None
    assert state.refreshed
    stat = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert state.intact(made) is None, "same size, time and inode: not read again"
    os.utime(path)
    assert state.intact(made) == "a is not what was written"
    path.unlink()
    assert state.intact(made) == "a is missing"


HOLD = """
import subprocess, sys
from pathlib import Path
from pipeline.state.file import locked
with locked(Path(sys.argv[1])):
    child = ["sh", "-c", "echo started; exec cat"]
    subprocess.Popen(child, stdin=0, close_fds=False, stdout=subprocess.PIPE).stdout.readline()
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_locked_out_until_the_first_dies(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Locked) as caught, locked(tmp_path):
            pass
        assert str(caught.value) == (
            f"{tmp_path}: another run is at work here: process {holder.pid} on {os.uname().nodename}. "
            "Wait for it or stop it, then try again."
        )
        holder.kill()
        holder.wait()
        # A program that it started lives on, and has inherited nothing.
        with locked(tmp_path):
            pass
    with locked(tmp_path):
        assert (tmp_path / "state.lock").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_that_cannot_lock_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def cannot(_fd: int, _how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", cannot)
    with pytest.raises(InputError) as caught, locked(tmp_path):
        pass
    assert str(caught.value) == (
        f"{tmp_path}: this file system cannot lock ({os.strerror(number)}), and two runs at once would pay twice. "
        "Work on a local disk."
    )


def test_a_linked_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/state.lock").symlink_to(tmp_path / "other")
    with pytest.raises(InputError) as caught, locked(tmp_path / "run"):
        pass
    reason = os.strerror(errno.ELOOP)
    assert str(caught.value) == (
        f"{tmp_path}/run/state.lock: cannot be opened ({reason}). It must be a file of yours; remove it."
    )


def test_the_lock_survives_another_close_of_its_file(tmp_path: Path) -> None:
    with locked(tmp_path):
        (tmp_path / "state.lock").read_bytes()  # a POSIX lock would be gone now
        with (tmp_path / "state.lock").open("rb") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_linked_run_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(InputError) as caught, locked(tmp_path / "link"):
        pass
    assert str(caught.value) == f"{tmp_path}/link: not a directory of yours. Choose another `name`, or remove it."


def test_a_pipe_or_a_folder_in_the_states_place_is_damage_and_nothing_hangs(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    os.mkfifo(path)
    refused = f"{path}: is not a file. Remove it, then run `finetune repair CONFIG`."
    assert damage(tmp_path) == refused
    path.unlink()
    path.mkdir()
    assert damage(tmp_path) == refused
