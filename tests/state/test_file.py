"""state.json: never half written, never mistaken for a fresh start."""

import errno
import json
import os
from pathlib import Path
from typing import get_args

import pytest

from pipeline import failpoints
from pipeline.durable import write_atomically
from pipeline.errors import StateDamaged
from pipeline.state.file import State, locked
from tests.state.states import REPAIR, Killed, damage, record, saved


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


def test_a_pipe_or_a_folder_in_the_states_place_is_damage_and_nothing_hangs(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    os.mkfifo(path)
    refused = f"{path}: is not a file. Remove it, then run `finetune repair CONFIG`."
    assert damage(tmp_path) == refused
    path.unlink()
    path.mkdir()
    assert damage(tmp_path) == refused


@pytest.mark.parametrize("point", [point for point in get_args(failpoints.Point) if point.startswith("write.")])
def test_a_process_killed_while_it_saves_leaves_the_state_of_before_or_after_whole(tmp_path: Path, point: str) -> None:
    state = saved(tmp_path)
    before = State.load(tmp_path).body

    def kill(reached: str) -> None:
        if reached == point:
            raise Killed

    state.body.steps["map"] = record(tmp_path)
    failpoints.arm(kill)
    try:
        with pytest.raises(Killed):
            state.save()
    finally:
        failpoints.arm(None)
    assert State.load(tmp_path).body in (before, state.body)
    assert State.load(tmp_path).body.remote == before.remote
    assert before.serial < state.body.serial


def test_a_state_that_somebody_else_wrote_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    ours, theirs = saved(tmp_path), State.load(tmp_path)
    theirs.save()
    raw = (tmp_path / "state.json").read_bytes()
    with pytest.raises(StateDamaged) as caught:
        ours.save()
    assert str(caught.value) == (
        f"{tmp_path}/state.json: was changed by another process while this one ran. "
        "See what else works in this directory, then run again."
    )
    assert (tmp_path / "state.json").read_bytes() == raw


def test_another_directorys_state_is_damage(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        with locked(tmp_path / name):
            saved(tmp_path / name)
    (tmp_path / "one/state.json").write_bytes((tmp_path / "other/state.json").read_bytes())
    assert damage(tmp_path / "one") == (
        f"{tmp_path}/one/state.json: belongs to another run directory. "
        "Put the right one back, or run `finetune repair CONFIG`."
    )


def test_what_is_on_the_backend_is_told_when_the_state_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = saved(tmp_path)
    state.body.remote["op"].remote_id = "ftjob-1"

    def full(_: Path, __: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pipeline.state.file.write_atomically", full)
    with pytest.raises(StateDamaged) as caught:
        state.save()
    assert str(caught.value) == (
        f"{tmp_path}/state.json: cannot be written (No space left on device); on the backend there are ftjob-1. "
        "Free some space or mend the disk, then run again: what is on the backend is found again."
    )
