"""Rebuilding a state: from the generation before, from nothing, and from where a rebuilding was killed."""

from pathlib import Path

import pytest

from pipeline import failpoints
from pipeline.durable import write_atomically
from pipeline.errors import StateDamaged
from pipeline.state.file import State, locked
from pipeline.state.repair import repair
from tests.state.states import Killed, damage, record, saved


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


def test_half_a_state_is_damage_and_repair_goes_back_to_the_generation_before_with_its_ledger(tmp_path: Path) -> None:
    state = saved(tmp_path)
    state.save()
    raw = (tmp_path / "state.json").read_bytes()
    (tmp_path / "state.json").write_bytes(raw[: len(raw) // 2])
    assert damage(tmp_path).startswith(f"{tmp_path}/state.json: is damaged, so nothing is known of what was done.")
    repair(tmp_path)
    back = State.load(tmp_path)
    assert (back.body.remote, back.body.rebuilt) == (state.body.remote, True)


def test_with_both_generations_lost_every_step_is_checked_anew_in_the_same_directory(tmp_path: Path) -> None:
    with locked(tmp_path):
        lineage = saved(tmp_path).body.lineage
    (tmp_path / "state.json").unlink()
    write_atomically(tmp_path / "02_sessions.jsonl", b"")
    assert repair(tmp_path) == [
        "state.json is missing.",
        "There is no state.json.prev either; every step is checked anew.",
        "state.json is written anew. Files and jobs on the backend are found by the next run.",
    ]
    body = State.load(tmp_path).body
    assert (body.lineage, body.steps, body.remote, body.rebuilt) == (lineage, {}, {}, True)


def test_a_damaged_generation_before_is_not_believed(tmp_path: Path) -> None:
    saved(tmp_path).save()
    for name in ("state.json", "state.json.prev"):
        (tmp_path / name).write_bytes(b"{")
    assert repair(tmp_path)[1] == (
        "state.json.prev is damaged, so nothing is known of what was done; every step is checked anew."
    )
    assert State.load(tmp_path).body.steps == {}


def test_the_generation_before_of_another_directory_is_not_believed(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        with locked(tmp_path / name):
            saved(tmp_path / name).save()
    (tmp_path / "one/state.json").unlink()
    (tmp_path / "one/state.json.prev").write_bytes((tmp_path / "other/state.json.prev").read_bytes())
    repair(tmp_path / "one")
    body = State.load(tmp_path / "one").body
    assert (body.steps, body.remote) == ({}, {})


def test_what_became_of_the_artifacts_is_told(tmp_path: Path) -> None:
    state = saved(tmp_path)
    write_atomically(tmp_path / "03_merged.jsonl", b"whole")
    state.body.steps["merge"] = record(tmp_path, "03_merged.jsonl")
    for _ in range(2):
        state.save()
    (tmp_path / "state.json").write_bytes(b"")
    (tmp_path / "03_merged.jsonl").unlink()
    assert repair(tmp_path)[2] == "merge: 03_merged.jsonl is missing"


def test_a_state_of_a_newer_version_is_no_damage_and_stays(tmp_path: Path) -> None:
    saved(tmp_path)
    path = tmp_path / "state.json"
    path.write_text(path.read_text().replace('"version": 1,\n "written_by"', '"version": 9,\n "written_by"'))
    raw = path.read_bytes()
    with pytest.raises(StateDamaged, match="Upgrade finetune"):
        repair(tmp_path)
    assert path.read_bytes() == raw


def test_a_repair_that_is_killed_anywhere_can_be_done_again(tmp_path: Path) -> None:
    number, killed = 0, True
    while killed:
        number += 1
        run_dir = tmp_path / str(number)
        run_dir.mkdir()
        state = saved(run_dir)
        state.save()
        (run_dir / "state.json").write_bytes(b"")
        killed = _killed_at(number, run_dir)
        repair(run_dir)
        assert State.load(run_dir).body.remote == state.body.remote
    assert number > 10, "so many points were reached"


def _killed_at(number: int, run_dir: Path) -> bool:
    """Repair, killed at the point of that number; False if it reaches fewer."""
    left = number

    def kill(_: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    failpoints.arm(kill)
    try:
        repair(run_dir)
    except Killed:
        return True
    finally:
        failpoints.arm(None)
    return False
