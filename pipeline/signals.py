"""Signals that stop a run in good order, and the stretches that must not be cut short.

The first SIGINT, SIGTERM or SIGHUP raises SignalStop in the main thread; inside `uninterrupted()` it waits for the end
of the block. A second one kills at once, which is safe by design.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

_WAITING = b"stopping as soon as the backend has answered what was just sent; once more stops at once\n"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalStop(BaseException):
    """A signal asked the run to stop. No Exception: libraries catch those, and the SDK would even ask again."""

    def __init__(self, signum: int) -> None:
        super().__init__("Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name)
        self.signum = signum


class Signals:
    """What has arrived, and whether it may act now."""

    def __init__(self) -> None:
        self._shields = 0
        self._arrived: int | None = None

    def _handle(self, signum: int, _frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self._arrived = signum
        if not self._shields:
            self._raise()
        else:
            with contextlib.suppress(OSError):  # not sys.stderr: it may be in use right now
                os.write(2, _WAITING)

    def _raise(self) -> None:
        if self._arrived is not None:
            signum, self._arrived = self._arrived, None
            raise SignalStop(signum)

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Answer the signals within the block; the handlers of before are restored after it."""
        before = {signum: signal.signal(signum, self._handle) for signum in _SIGNALS}
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    @contextlib.contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Let the block finish before a signal acts: a request in flight and the record of its answer."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        if not self._shields:
            self._raise()
