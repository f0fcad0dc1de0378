"""A large database is read by two processes; what comes out is what one makes, whatever happens to the other."""

import errno
import hashlib
import io
import multiprocessing
import os
import select
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import pipeline
from pipeline.archives import reading as reading_module
from pipeline.archives.filters import Filters
from pipeline.archives.imessage import reader
from pipeline.archives.reading import Loaded, Reading, load_archive, load_part, read_archive
from pipeline.durable import HashingWriter
from pipeline.sessions.stream import whole
from tests.bench.archive import build_archive

ROOT = str(Path(pipeline.__file__).parents[1])


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough for two processes; its longest conversation is not held in memory, and not in order of its joins."""
    path = tmp_path_factory.mktemp("large") / "chat.db"
    build_archive(path, 80_000, 3)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE chat_message_join SET message_date = 0 WHERE message_id % 97 = 0")
        db.commit()
        sizes = db.execute("SELECT count(*) FROM chat_message_join GROUP BY chat_id").fetchall()
    assert max(sizes)[0] > reader._LONG
    assert path.stat().st_size > reading_module.WORTH_TWO
    return path


def test_two_processes_write_what_one_writes_and_every_row_is_accounted_for(large: Path, tmp_path: Path) -> None:
    reading = Reading(str(large), "imessage", filters=Filters(exclude_people=("+15550000001",)))
    alone = io.BytesIO()
    expected = load_part(reading, alone)
    with (tmp_path / "02_sessions.jsonl").open("w+b") as file:
        writer = HashingWriter(file)
        loaded = load_archive(reading, writer, tmp_path)
        file.seek(0)
        assert file.read() == alone.getvalue()
    assert writer.sha256 == hashlib.sha256(alone.getvalue()).hexdigest()
    assert loaded == expected
    assert loaded.messages + loaded.dropped.total() == 80_000
    assert {path.name for path in tmp_path.iterdir()} == {"02_sessions.jsonl"}
    again = Loaded()
    times = [
        [message.time or "" for message in whole(each).messages]
        for each in read_archive(Reading(str(large), "imessage"), again)
    ]
    assert all(each == sorted(each) for each in times)
    assert max(map(len, times)) > 25_000
    assert again.messages + again.dropped.total() == 80_000


def test_a_second_process_does_the_second_half(large: Path, tmp_path: Path) -> None:
    half = Reading(str(large), "imessage", half=2)
    expected = io.BytesIO()
    loaded = load_part(half, expected)
    assert loaded.messages > 10_000
    process, answer = reading_module._start_half(half, str(tmp_path / "made"))
    assert answer.recv() == loaded
    process.join()
    answer.close()
    assert (tmp_path / "made").read_bytes() == expected.getvalue()


def test_what_a_second_process_cannot_do_is_done_here(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = reading_module._start_half
    monkeypatch.setattr(reading_module, "_start_half", lambda half, _: start(half, str(tmp_path / "no" / "folder")))
    alone, file = io.BytesIO(), io.BytesIO()
    expected = load_part(Reading(str(large), "imessage"), alone)
    assert load_archive(Reading(str(large), "imessage"), HashingWriter(file), tmp_path) == expected
    assert file.getvalue() == alone.getvalue()
    assert list(tmp_path.iterdir()) == []


_HOLDS_A_HALF = """
import pathlib, sys, time
from pipeline.archives.reading import Reading, _start_half
if __name__ == "__main__":
    process, _ = _start_half(Reading(sys.argv[1], "imessage"), sys.argv[2])
    print(process.pid, flush=True)
    time.sleep(600)
"""


def test_a_second_process_dies_with_its_parent(large: Path, tmp_path: Path) -> None:
    script, made = tmp_path / "parent.py", tmp_path / "made"
    script.write_text(_HOLDS_A_HALF)
    os.mkfifo(made)  # nobody reads it: the second process waits there, and ends only if it sees that its parent is gone
    parent = subprocess.Popen(
        [sys.executable, script, large, made], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ROOT}
    )
    assert parent.stdout is not None
    child = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    ended, _, _ = select.select([child], [], [], 60)
    os.close(child)
    parent.stdout.close()
    assert ended


def test_a_reading_that_is_stopped_ends_the_second_process_and_leaves_nothing(large: Path, tmp_path: Path) -> None:
    class Full:
        def write(self, _: bytes | bytearray) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left on device"):
        load_archive(Reading(str(large), "imessage"), Full(), tmp_path)
    assert multiprocessing.active_children() == []
    assert list(tmp_path.iterdir()) == []


_STARTS_A_HALF = """
import sys
from pathlib import Path
from pipeline.archives.reading import Reading, _start_half
if __name__ == "__main__":
    process, _ = _start_half(Reading(sys.argv[1], "imessage"), sys.argv[2])
    print(Path(f"/proc/{process.pid}/status").read_text())
    process.kill()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_first_second_process_of_a_run_leaves_ctrl_c_to_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_STARTS_A_HALF)
    command = [sys.executable, str(script), str(tmp_path / "no.db"), str(tmp_path / "made")]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ROOT}, check=True, timeout=60
    )
    blocked = int(done.stdout.partition("SigBlk:")[2].split()[0], 16)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        assert blocked & 1 << (number - 1)
