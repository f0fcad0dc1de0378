"""Standard output and error that never stop a run: closed, full, without a reader, or of a small alphabet."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable
from typing import TextIO

from pipeline.terminal.style import Shown
from pipeline.wording import visible


def prepare_streams() -> None:
    """Put something in the place of closed streams, and have no character be too much for any of them, written or read.

    A file that is opened later must never get the number of a closed stream: it would be printed into.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # what is typed or piped in may be of any encoding, or cut short


def printable(text: str) -> str:
    """A line that Lines has made as it is; all other text is foreign, and made visible."""
    return text if isinstance(text, Shown) else visible(text)


def say_aside(text: str) -> None:
    """A line on standard error, if it can be had."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{printable(text)}\n")
        sys.stderr.flush()


def show(text: str) -> None:
    """What stays in its line, such as a prompt, on standard output."""
    sys.stdout.write(printable(text))
    sys.stdout.flush()


def show_in_place(text: str, width: int) -> None:
    """In a terminal, what is being waited for, cut to the width; the next call writes over it, "" leaves nothing."""
    sys.stdout.write(f"\r\x1b[2K{visible(text)[: width - 1]}")
    sys.stdout.flush()


def speak_to_nobody() -> None:
    """From now on standard output goes nowhere; the interpreter's last flush must not fail either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Kept(io.StringIO):
    """Text that is kept, in the form that it would have on standard output."""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain attribute in the base class
        """As rich asks for it, to choose its characters."""
        return "utf-8" if sys.__stdout__ is None else sys.__stdout__.encoding

    def isatty(self) -> bool:
        """Whether a person reads, and may be shown colours."""
        return sys.__stdout__ is not None and sys.__stdout__.isatty()


def printed_by(call: Callable[[], str]) -> str:
    """What a call prints, and after that what it returns."""
    kept = _Kept()
    with contextlib.redirect_stdout(kept):
        returned = call()
    return kept.getvalue() + returned


class SurvivingOutput(io.TextIOBase):
    """Standard output for a run: if it fails, the run goes on and what is left to say goes to run.log alone."""

    def __init__(self) -> None:
        super().__init__()
        self._stdout: TextIO = sys.stdout

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain attribute in the base class
        """As rich asks for it, to choose its characters."""
        return self._stdout.encoding

    def write(self, text: str) -> int:
        """Write; never fails."""
        try:
            return self._stdout.write(text)
        except OSError as error:
            return self._gone(error)

    def flush(self) -> None:
        """Flush; never fails."""
        try:
            self._stdout.flush()
        except OSError as error:
            self._gone(error)

    def isatty(self) -> bool:
        """Whether a person reads."""
        return self._stdout.isatty()

    def fileno(self) -> int:
        """The number of standard output."""
        return self._stdout.fileno()

    def _gone(self, error: OSError) -> int:
        speak_to_nobody()
        if error.errno != errno.EPIPE:
            say_aside(f"standard output: cannot be written ({error.strerror}). The run goes on; run.log tells of it.")
        return 0
