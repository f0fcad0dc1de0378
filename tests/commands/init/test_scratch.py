"""The copy of an archive that is only looked at lies among the runs, and does not stay there."""

import stat
from pathlib import Path

import pytest

from pipeline.commands.init.scratch import scratch


def test_what_a_killed_process_left_is_removed_and_what_another_uses_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    left = tmp_path / "runs" / ".init-killed"
    left.mkdir(parents=True)
    (left / "archive").write_text("a chat")
    with scratch() as first:
        assert not left.exists()
        assert stat.S_IMODE(first.stat().st_mode) == 0o700
        with scratch() as second:
            assert {each.name for each in (tmp_path / "runs").iterdir()} == {first.name, second.name}
        assert first.is_dir()
    assert list((tmp_path / "runs").iterdir()) == []


def test_no_folder_of_runs_stays_where_there_was_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with scratch() as folder:
        (folder / "archive").touch()
        assert folder.parent == tmp_path / "runs"
    assert list(tmp_path.iterdir()) == []
