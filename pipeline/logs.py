"""Reading a run's log while it grows."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.clock import Clock
from pipeline.errors import InputError

INTERVAL_S = 0.5


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
