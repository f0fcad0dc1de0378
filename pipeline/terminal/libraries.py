"""What libraries say of themselves, warnings and log records: it goes to run.log, never between our own words.

They write to standard error whenever they like, be it in the middle of an answer's line.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator

_listeners: list[Callable[[str], None]] = []


def quieten_warnings() -> None:
    """From now on Python's warnings go to whoever listens; those that a filter makes errors stay errors."""

    def heard(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object, **__: object
    ) -> None:
        _tell(f"{filename}:{lineno}: {category.__name__}: {message}")

    warnings.showwarning = heard


def quieten_logging() -> None:
    """From now on what libraries log as a warning or worse goes to whoever listens; to be called where one is used.

    Logging takes longer to import than a run with nothing to do may take.
    """
    import logging

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            _tell(f"{record.name}: {record.getMessage()}")

    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(Heard(logging.WARNING))


@contextlib.contextmanager
def heard_by(listener: Callable[[str], None]) -> Iterator[None]:
    """Have `listener` told of each different thing that a library says within this block, once."""
    known: set[str] = set()

    def once(said: str) -> None:
        if said not in known:
            known.add(said)
            listener(said)

    _listeners.append(once)
    try:
        yield
    finally:
        _listeners.remove(once)


def _tell(said: str) -> None:
    for listener in _listeners[-1:]:
        listener(said)
