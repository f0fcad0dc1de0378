"""Reading a run's log: all of it while it grows, or what it said last."""

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.clock import Clock
from pipeline.errors import InputError
from pipeline.lines import Lines

INTERVAL_S = 0.5
_STAMPED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ )( *(?:\d+/\d+ )?)(.*)")


def log_lines(path: Path, *, follow: bool, clock: Clock) -> Iterator[str]:
    """The whole lines of a log, without their ends; with `follow` also those to come, for ever.

    Raises:
        InputError: there is no log yet.
    """
    try:
        log = path.open(encoding="utf-8", errors="replace")
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
    return lines.line((when, "dim"), (margin, ""), text=text)
