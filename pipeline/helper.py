"""Half of a step's work by a second process, on machines with two cores or more.

What it makes goes into a file without a name, which vanishes with the processes, and is appended to the first half. It
dies with its parent. If it dies before that, its half is simply not there, and the parent does it.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from pipeline.chats.stream import Sink, middle

COMMAND = (sys.executable, "-m", "pipeline.half")

WORTH_TWO = 32_000_000
"""Bytes of input that two processes get through sooner than one."""

_COPIED = 1 << 20

_Task = TypeVar("_Task", bound=msgspec.Struct)
_Told = TypeVar("_Told", bound=msgspec.Struct)


def by_two(
    job: str, tasks: tuple[_Task, _Task], do: Callable[[_Task, Sink], _Told], file: Sink, folder: Path
) -> list[_Told]:
    """Do two halves of a job at the same time; what is written is what doing one after the other writes.

    Args:
        job: as pipeline.half knows it; there it must come to `do`.
        do: does a half: writes to the file, returns what else there is to tell.
        folder: where the second process may keep its half meanwhile.
    """
    first, second = tasks
    with helping(job, msgspec.json.encode(second), folder) as helper:
        told = [do(first, file)]
        answer = helper.finish(file)
    if answer is None:
        return [*told, do(second, file)]
    return [*told, msgspec.json.decode(answer, type=type(told[0]), dec_hook=lambda kind, value: kind(value))]


def by_parts(
    job: str, path: Path, task: _Task, do: Callable[[_Task, Sink], _Told], file: Sink, folder: Path
) -> list[_Told]:
    """Do a job on a file of lines: at once, or where it is large enough in two halves, as `by_two` does.

    Args:
        task: with `begin` and `end`, a part of `path` in bytes; None ends where the file does.
    """
    if not is_worth_two(path):
        return [do(task, file)]
    cut = middle(path)
    halves = (msgspec.structs.replace(task, end=cut), msgspec.structs.replace(task, begin=cut))
    return by_two(job, halves, do, file, folder)


def is_worth_two(path: Path) -> bool:
    """Whether a file is large enough, and the machine too."""
    return (os.cpu_count() or 1) > 1 and path.stat().st_size >= WORTH_TWO


class Helper:
    """A process at work on the second half.

    Args:
        made: what it writes to.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", made: IO[bytes]) -> None:
        self._process = process
        self._made = made

    def finish(self, file: Sink) -> bytes | None:
        """Wait for the second half and append it to `file`; returns what else there is to tell, None if it failed."""
        if self._process.stdout is None:
            return None
        told = self._process.stdout.read()
        if self._process.wait() != 0 or not told:
            return None
        self._made.seek(0)
        while chunk := self._made.read(_COPIED):
            file.write(chunk)
        return told


@contextlib.contextmanager
def helping(job: str, task: bytes, folder: Path) -> Iterator[Helper]:
    """Start a second process on `job`, and end it on leaving the block, done or not.

    Args:
        task: one line of JSON that says what to do; pipeline.half knows what is in it.
        folder: where its file, which has no name, may lie.
    """
    with tempfile.TemporaryFile(dir=folder, prefix=".half-", suffix=".tmp") as made:
        fd = os.dup(made.fileno())
        try:
            process = subprocess.Popen(
                [*COMMAND, job, str(fd)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=[fd],
                start_new_session=True,  # Ctrl-C is for the parent
            )
        finally:
            os.close(fd)
        try:
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(task + b"\n")
                    process.stdin.flush()
            yield Helper(process, made)
        finally:
            process.kill()
            process.communicate()
