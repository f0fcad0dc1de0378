"""What the server says on stderr: where something went wrong, and never what it was about."""

import logging
import traceback

logger = logging.getLogger("pipeline.server")


def log_failure(what: str, error: BaseException) -> None:
    """Log a bug or a broken machine: the kind of exception and the code's places, but not its message.

    An exception's own words may hold a key or chat text.
    """
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    errno = f" (errno {error.errno})" if isinstance(error, OSError) else ""
    logger.error("%s: %s%s at %s", what, type(error).__name__, errno, places)
