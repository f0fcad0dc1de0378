"""The lock of a run directory: one holder at a time, and none once it has died."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import InputError, Locked
from pipeline.state.file import State, locked
from pipeline.state.lock import LOCK, holder, lineage_of_lock, open_lock, signature, take

LINEAGE = "9286ca7a-f345-4c3b-b96b-662b24670732"

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


def test_the_lock_of_a_dead_process_is_nobodys_and_is_taken(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text(f"process 1 on elsewhere lineage {LINEAGE}\n")
    assert holder(tmp_path) is None
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"{signature()} lineage {LINEAGE}\n"
    assert State.load(tmp_path).body.lineage == LINEAGE, "whose directory it is outlives everybody who works in it"


def test_who_holds_it_is_told_without_writing(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    assert not (tmp_path / LOCK).exists()
    with locked(tmp_path):
        before = (tmp_path / LOCK).stat()
        assert holder(tmp_path) == signature() == f"process {os.getpid()} on {os.uname().nodename}"
        assert (tmp_path / LOCK).stat().st_mtime_ns == before.st_mtime_ns
    assert holder(tmp_path) is None


def test_a_holder_that_has_not_signed_yet_is_an_unknown_process(tmp_path: Path) -> None:
    fd = open_lock(tmp_path / LOCK)
    try:
        take(fd, tmp_path)
        assert holder(tmp_path) == "an unknown process"
    finally:
        os.close(fd)


def test_a_look_at_the_lock_keeps_nobody_out(tmp_path: Path) -> None:
    """`holder` takes it shared for a moment; `take` tries again."""
    (tmp_path / LOCK).touch()
    looking = os.open(tmp_path / LOCK, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    ours = open_lock(tmp_path / LOCK)

    def let_go(_: float) -> None:
        os.close(looking)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pipeline.state.lock.time.sleep", let_go)
        take(ours, tmp_path)
    os.close(ours)


@pytest.mark.parametrize(
    ("text", "lineage"),
    [
        (f"process 1 on host lineage {LINEAGE}\n", LINEAGE),
        (f"process 1 on a host of two words lineage {LINEAGE}\n", LINEAGE),
        ("process 1 on host\n", None),
        ("process 1 on host lineage\n", None),
        ("process 1 on host lineage nonsense\n", None),
        ("", None),
        ("\xff", None),
    ],
)
def test_the_lineage_is_read_where_there_is_one(tmp_path: Path, text: str, lineage: str | None) -> None:
    (tmp_path / LOCK).write_bytes(text.encode("latin-1"))
    assert lineage_of_lock(tmp_path) == lineage


def test_a_lost_lock_takes_the_lineage_of_the_state(tmp_path: Path) -> None:
    with locked(tmp_path):
        state = State.load(tmp_path)
        state.save()
    (tmp_path / LOCK).unlink()
    with locked(tmp_path):
        assert lineage_of_lock(tmp_path) == state.body.lineage


def test_a_pipe_or_a_folder_in_its_place_is_refused_and_nothing_hangs(tmp_path: Path) -> None:
    path = tmp_path / LOCK
    os.mkfifo(path)
    with pytest.raises(InputError) as caught:
        open_lock(path)
    assert str(caught.value) == f"{path}: is not a file. It must be a file of yours; remove it."
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError) as caught:
        open_lock(path)
    assert str(caught.value) == f"{path}: cannot be opened (Is a directory). It must be a file of yours; remove it."


def test_the_lock_file_is_never_unlinked(tmp_path: Path) -> None:
    """Else one process could hold the file that was, and another the file that is."""
    with locked(tmp_path):
        before = (tmp_path / LOCK).stat().st_ino
    with locked(tmp_path):
        assert (tmp_path / LOCK).stat().st_ino == before
