"""One training process: started in a job's folder, listened to, and stopped."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from pipeline import durable
from pipeline.models import environment
from pipeline.models.exit_codes import REASONS, signal_name
from pipeline.training.protocol import Failed, JobSpec, Report, Stopped, Succeeded, encode_spec

# -P: the folder that a user works in may hold a pipeline.py of its own.
COMMAND = (sys.executable, "-P", "-m", "pipeline.training")
EXIT_S = 10.0  # how long a worker that has said its last word may take to leave

_decoder = msgspec.json.Decoder(Report)


class FolderBusy(Exception):
    """Another process still works in the job's folder."""


class Worker:
    """A running training process. `reports` belongs to one thread; the other methods may be called from any."""

    def __init__(self, spec: JobSpec, *, command: Sequence[str] = COMMAND) -> None:
        """Start training `spec` in its work_dir.

        Raises:
            FolderBusy: an earlier worker is still alive in that folder and holds its lock.
        """
        with contextlib.ExitStack() as ours:
            lock = _lock_folder(spec.work_dir)
            ours.callback(os.close, lock)
            log = durable.open_file(spec.work_dir / "worker.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
            ours.callback(os.close, log)
            spec_file = spec.work_dir / "spec.json"
            durable.write_atomically(spec_file, encode_spec(spec))
            self._process = subprocess.Popen(
                [*command, str(spec_file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment.for_children(),
                # The worker alone keeps the lock from here on: it is freed when that process is gone, and not before.
                pass_fds=[lock],
                process_group=0,  # a Ctrl-C in the terminal is for the server, which tells its workers
            )
        self._timer: threading.Timer | None = None

    def reports(self) -> Iterator[Report]:
        """Yield what the worker says, up to its last word or its death."""
        stdout = self._process.stdout
        if stdout is None:  # only for the type checker: it is a pipe
            return
        for line in stdout:
            try:
                report = _decoder.decode(line)
            except msgspec.DecodeError:
                continue  # cut off by its death; the step comes again after the resume
            yield report
            if isinstance(report, Succeeded | Failed | Stopped):
                return

    def stop(self, grace_s: float) -> None:
        """Ask the worker to checkpoint and leave; kill it if it has not after `grace_s` seconds."""
        if self._timer is not None:
            return
        with contextlib.suppress(OSError, ValueError):  # gone already, or waited for
            if self._process.stdin is not None:
                self._process.stdin.write(b"stop\n")
                self._process.stdin.flush()
        self._timer = threading.Timer(grace_s, self.kill)
        self._timer.daemon = True
        try:
            self._timer.start()
        except RuntimeError:  # no more threads; nobody would end it later
            self.kill()

    def kill(self) -> None:
        """End the process at once, and any that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the latter: macOS, of one just ended
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self) -> str:
        """Wait for the process to be gone; returns how it ended, such as ``was killed by SIGKILL``."""
        try:
            code = self._process.wait(EXIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        if self._timer is not None:
            self._timer.cancel()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # unsent words to a dead process
                    pipe.close()
        if code < 0:
            return f"was killed by {signal_name(-code)}"
        return REASONS.get(code, f"exited with status {code}")


def _lock_folder(folder: Path) -> int:
    fd = durable.open_file(folder / "worker.lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if isinstance(error, BlockingIOError):
            raise FolderBusy from None
        raise
    return fd
