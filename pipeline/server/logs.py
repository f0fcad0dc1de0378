"""What the server says on stderr: one JSON object a line; where something went wrong, and never what it was about."""

import datetime
import logging
import traceback

import msgspec

from pipeline.visible import visible

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


def write_to_stderr(*, requests: bool) -> None:
    """Have this process log as JSON lines; with `requests`, a line for each."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(True)
    logger.setLevel(logging.INFO if requests else logging.WARNING)


def log_failure(what: str, error: BaseException) -> None:
    """Log a bug or a broken machine: the kind of exception and the code's places, but not its message.

    An exception's own words may hold a key or chat text.
    """
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    errno = f" (errno {error.errno})" if isinstance(error, OSError) else ""
    logger.error("%s: %s%s at %s", what, type(error).__name__, errno, places)
