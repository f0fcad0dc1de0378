"""run.log: what a run has shown, to be read later. No run stops because it cannot be written."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from pipeline.process.privacy import without_keys
from pipeline.wording import visible

NAME = "run.log"


class RunLog:
    """The open log of one run directory."""

    def __init__(self, run_dir: Path, complain: Callable[[str], None]) -> None:
        """`complain` is told once if the log cannot be opened or written."""
        self._path = run_dir / NAME
        self._complain = complain
        self._complained = False
        self._fd: int | None = None
        # Never through a link to somebody else's file, and never waiting for a reader of a pipe.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._fd = os.open(self._path, flags, 0o600)
            if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                self.close()
                self._refused("not a file")
        except OSError as error:
            self._refused(error.strerror or str(error))

    def write(self, line: str) -> None:
        """Append one line without keys; what is foreign in it is made visible, and JSON means the same as before."""
        if self._fd is None:
            return
        try:
            os.write(self._fd, f"{visible(without_keys(line))}\n".encode())
        except OSError as error:
            self._refused(error.strerror or str(error))

    def close(self) -> None:
        """Nothing may be written afterwards."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _refused(self, reason: str) -> None:
        if not self._complained:
            self._complained = True
            self._complain(f"{self._path}: cannot be written ({reason}). The run goes on without it.")
