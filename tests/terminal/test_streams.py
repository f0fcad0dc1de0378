"""Output that never stops a run, and a log that never does either."""

import errno
import os
import subprocess
import sys
from pathlib import Path

from pipeline.terminal.run_log import RunLog
from tests.command import ROOT

WRITES_MUCH = """
import sys
from pipeline.terminal.streams import SurvivingOutput, prepare_streams
prepare_streams()
out = SurvivingOutput()
for _ in range(3):
    out.write("Grüße 日本\\n")
    out.flush()
"""


def outcome(redirection: str, **env: str) -> tuple[int, bytes, bytes]:
    command = ["sh", "-c", f'exec "$0" -c "$1" {redirection}', sys.executable, WRITES_MUCH]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT), **env}, capture_output=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_a_full_disk_under_standard_output_is_said_once() -> None:
    said = b"standard output: cannot be written (No space left on device). The run goes on; run.log tells of it.\n"
    assert outcome("> /dev/full") == (0, b"", said)


def test_closed_streams_are_nobodys_business() -> None:
    assert outcome(">&- 2>&- <&-") == (0, b"", b"")


def test_a_small_alphabet_shows_what_it_can() -> None:
    line = b"Gr\\xfc\\xdfe \\u65e5\\u672c\n"
    assert outcome("", PYTHONIOENCODING="ascii") == (0, 3 * line, b"")


def log(run_dir: Path) -> list[str]:
    said: list[str] = []
    written = RunLog(run_dir, said.append)
    written.write("one")
    written.write("two \ud800")
    written.close()
    return said


def test_a_log_is_appended_to_and_private(tmp_path: Path) -> None:
    assert log(tmp_path) == log(tmp_path) == []
    assert (tmp_path / "run.log").read_text() == 2 * "one\ntwo \\ud800\n"
    assert (tmp_path / "run.log").stat().st_mode & 0o777 == 0o600


def test_a_log_never_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "run.log").symlink_to(tmp_path / "elsewhere")
    said = f"{tmp_path}/run.log: cannot be written ({os.strerror(errno.ELOOP)}). The run goes on without it."
    assert log(tmp_path) == [said]
    assert not (tmp_path / "elsewhere").exists()


def test_a_log_that_is_a_directory_or_a_pipe_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "run.log").mkdir()
    assert log(tmp_path) == [f"{tmp_path}/run.log: cannot be written (Is a directory). The run goes on without it."]
    (tmp_path / "run.log").rmdir()
    os.mkfifo(tmp_path / "run.log")
    said = f"{tmp_path}/run.log: cannot be written (No such device or address). The run goes on without it."
    assert log(tmp_path) == [said]


def test_a_log_on_a_full_disk_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    written = RunLog(tmp_path, said.append)
    full = os.open("/dev/full", os.O_WRONLY)
    written._fd = full
    written.write("one")
    written.write("two")
    written.close()
    assert said == [f"{tmp_path}/run.log: cannot be written (No space left on device). The run goes on without it."]
