"""Where a report is written, and what is said where it cannot be."""

import errno
import os
from pathlib import Path

import pytest

from pipeline.config.settings import Config
from pipeline.errors import StateDamaged
from pipeline.report import writing
from pipeline.run.progress import Progress
from pipeline.state.file import State


def test_a_full_disk_is_no_wrong_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(target: Path, _: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr(writing, "write_atomically", full)
    state, config = State.load(tmp_path), Config(name="x")
    with pytest.raises(StateDamaged) as refused:
        writing.write_report(config, state, Progress(state, config, ""), markdown=True, with_text=False, out=None)
    assert str(refused.value) == (
        f"{tmp_path}/report.md: cannot be used (No space left on device). Free some space, then run again."
    )
