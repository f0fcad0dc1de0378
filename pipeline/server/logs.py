"""What the server says on stderr: one JSON object a line; where something went wrong, and never what it was about."""

import datetime
import logging
import time
import traceback
from collections.abc import Callable

import msgspec

from pipeline.server.interfaces import StorageError
from pipeline.wording import visible

BURST = 5
WINDOW_S = 60.0
MOST_KINDS = 1000

logger = logging.getLogger("pipeline.server")


class JsonLines(logging.Formatter):
    """A record as JSON: `time` (UTC), `level`, `message`, and whatever `extra={"fields": ...}` says."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__  # not its words: they may hold a key or chat text
        return visible(msgspec.json.encode({**line, **getattr(record, "fields", {})}).decode())


class Sparing(logging.Filter):
    """Lets through BURST records of a kind in WINDOW_S seconds: trouble that repeats must not fill the disk.

    The first one after that says in `left_out` how many were not written. What is below a warning always passes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[object, tuple[float, int]] = {}  # of each kind: when its window began, and how many came

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this one is written."""
        if record.levelno < logging.WARNING:
            return True
        now, kind = self._clock(), getattr(record, "kind", record.msg)
        if len(self._seen) > MOST_KINDS:  # messages that are put together elsewhere
            self._seen.clear()
        began, count = self._seen.get(kind, (now, 0))
        if now - began >= WINDOW_S:
            if count > BURST:
                record.fields = {**getattr(record, "fields", {}), "left_out": count - BURST}
            began, count = now, 0
        self._seen[kind] = (began, count + 1)
        return count < BURST


def write_to_stderr(*, requests: bool) -> None:
    """Have this process log as JSON lines; with `requests`, a line for each."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    handler.addFilter(Sparing())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(True)
    logger.setLevel(logging.INFO if requests else logging.WARNING)


def kind_of(error: BaseException) -> str:
    """The name of an exception's type; of a StorageError that of its cause, which says more."""
    told = error.__cause__ if isinstance(error, StorageError) else None
    return type(told or error).__name__


def log_failure(what: str, error: BaseException) -> None:
    """Log a bug or a broken machine: the kind of exception and the code's places, but not its message.

    An exception's own words may hold a key or chat text.
    """
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    errno = f" (errno {error.errno})" if isinstance(error, OSError) else ""
    name = kind_of(error)
    logger.error("%s: %s%s at %s", what, name, errno, places, extra={"kind": (name, errno, places)})
