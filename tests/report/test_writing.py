"""Where a report is written, and what is said where it cannot be."""

import errno
import os
from pathlib import Path

import pytest

from pipeline.config.settings import Config
from pipeline.errors import InputError, StateDamaged
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


def write(folder: Path, out: Path) -> Path:
    state, config = State.load(folder), Config(name="x")
    return writing.write_report(config, state, Progress(state, config, ""), markdown=True, with_text=False, out=out)


@pytest.mark.parametrize("there", [True, False], ids=["there", "not there yet"])
def test_a_link_stays_one_and_its_file_is_written(tmp_path: Path, there: bool) -> None:
    file, link = tmp_path / "file.md", tmp_path / "link.md"
    if there:
        file.write_text("old")
    link.symlink_to(file)
    assert write(tmp_path, link) == link
    assert link.is_symlink()
    assert file.read_text().startswith("# ")


@pytest.mark.parametrize("linked", [True, False], ids=["linked", "itself"])
def test_no_file_takes_the_place_of_a_pipe(tmp_path: Path, linked: bool) -> None:
    pipe, out = tmp_path / "pipe", tmp_path / "link" if linked else tmp_path / "pipe"
    os.mkfifo(pipe)
    if linked:
        out.symlink_to(pipe)
    with pytest.raises(InputError) as refused:
        write(tmp_path, out)
    said = f"--out {out}: is a device, a pipe or a socket. Name a file in a folder that is there."
    assert str(refused.value) == said
    assert pipe.is_fifo()


def test_a_disk_that_is_full_while_it_is_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_target: Path, _: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # of a write, which knows no name

    monkeypatch.setattr(writing, "write_atomically", full)
    with pytest.raises(StateDamaged) as refused:
        write(tmp_path, tmp_path / "r.md")
    said = f"{tmp_path}/r.md: cannot be used (No space left on device). Free some space, then run again."
    assert str(refused.value) == said


@pytest.mark.parametrize("name", ["a" * 300, "loop"])
def test_a_name_that_cannot_be_a_file_is_a_mistake_of_the_command_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match=r"cannot be written \((File name too long|Too many levels of .*)\)\. Choose"):
        write(tmp_path, tmp_path / name)
