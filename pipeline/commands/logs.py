"""Reading a run's log: all of it while it grows, or what it said last."""

import datetime
import io
import os
import re
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.context import in_words_of, say
from pipeline.commands.options import ConfigPath, Overrides
from pipeline.durable import reading
from pipeline.errors import InputError
from pipeline.process.clock import Clock
from pipeline.process.signals import SignalStop
from pipeline.terminal.invocation import Invocation
from pipeline.terminal.style import INDENT, Lines

INTERVAL_S = 0.5
_END = 16_384
"""Bytes at the end of a log that hold what was said last."""
_STAMPED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) ( *(?:\d+/\d+ )?)(.*)")


def log_lines(path: Path, *, follow: bool, clock: Clock) -> Iterator[str]:
    """The whole lines of a log, without their ends; with `follow` also those to come, for ever.

    Raises:
        InputError: there is no log yet.
        OSError: what is there is no file, or cannot be read.
    """
    try:
        log = io.TextIOWrapper(reading(path, follow=False), encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise InputError(str(path), "nothing has run yet", fix="Begin with `finetune run CONFIG`.") from None
    with log:
        line = ""
        while True:
            line += log.readline()
            if line.endswith("\n"):
                yield line.removesuffix("\n")
                line = ""
            elif follow:
                clock.sleep(INTERVAL_S)
            else:
                return


def shown(line: str, lines: Lines) -> str:
    """A line of a log, in a terminal with its time dimmed and its text broken below itself, in a pipe as it stands."""
    stamped = _STAMPED.fullmatch(line)
    if stamped is None:
        return line
    when, margin, text = stamped.groups()
    return lines.line((f"{when} ", "dim"), (margin, ""), text=text)


def last_said(log: Path, since: str) -> dict[str, str] | None:
    """What a step said last: `text`, and `at` which time; None if it said nothing, or the log cannot be read.

    Its own lines are indented; any other ends what was said before, or stands where the step had stopped.

    Args:
        since: the stamp of the step's beginning.
    """
    said = None
    for line in _end_of(log).split("\n")[:-1]:
        stamped = _STAMPED.fullmatch(line)
        when, margin, text = stamped.groups() if stamped else ("", "", "")
        if when < since or not line.isprintable() or not _is_a_time(when):
            continue
        if text.startswith("stopped by "):
            break
        said = {"at": when, "text": text} if margin == INDENT else None
    return said


def _is_a_time(stamp: str) -> bool:
    try:
        datetime.datetime.fromisoformat(stamp)
    except ValueError:
        return False
    return True


def _end_of(log: Path) -> str:
    """Never through a link, and never waiting for a writer of a pipe."""
    try:
        fd = os.open(log, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        there = os.fstat(fd)
        if not stat.S_ISREG(there.st_mode):
            return ""
        return os.pread(fd, _END, max(0, there.st_size - _END)).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(fd)


def logs(
    config_path: ConfigPath,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows, until Ctrl-C.")] = False,
    overrides: Overrides = None,
) -> None:
    """Print what the runs said, with times."""
    from pipeline.config.file import load_config
    from pipeline.config.settings import run_directory
    from pipeline.process.clock import SystemClock
    from pipeline.terminal.run_log import NAME as LOG
    from pipeline.terminal.style import Lines

    called = Invocation.of(config_path, overrides)
    with in_words_of(called):
        log = run_directory(load_config(config_path, called.overrides).name) / LOG
        lines = Lines(sys.stdout)
        try:
            for line in log_lines(log, follow=follow, clock=SystemClock()):
                say(shown(line, lines))
        except SignalStop as stop:
            stop.told = follow and stop.signum == signal.SIGINT  # the only way to end it
            raise
