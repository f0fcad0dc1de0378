"""Signals that stop a command in good order, and the stretches that must not be cut short.

The first SIGINT, SIGTERM or SIGHUP raises SignalStop in the main thread, wherever that is. Python drops an exception
that comes up in a finalizer or in the callback of a weak reference, and libraries catch or replace some. So what has
arrived is remembered: a stop that was dropped is raised again a moment later, and a block of `handled()` ends with it
however else it would have ended. Inside `uninterrupted()` a signal waits for the end of the block. A second one kills
at once, which is safe by design.
"""

import contextlib
import os
import signal
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from types import FrameType

_WAITING = b"stopping as soon as the backend has answered what was just sent; once more stops at once\n"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_AGAIN_S = 0.05
_DROPPED_AFTER_S = 2.0
"""A stop that something keeps without raising it, such as a cycle of references, is no longer on its way by then."""


class SignalStop(BaseException):
    """A signal asked the run to stop. No Exception: libraries catch those, and the SDK would even ask again.

    Attributes:
        told: the user has been told, or need not be.
    """

    def __init__(self, signum: int) -> None:
        super().__init__("Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name)
        self.signum = signum
        self.told = False


class Signals:
    """What has arrived, and whether it may act now."""

    def __init__(self) -> None:
        self._depth = 0
        self._shields = 0
        self._said_in_shield = b""
        self._arrived: int | None = None
        self._raised: weakref.ref[SignalStop] | None = None
        self._raised_at = 0.0

    def _handle(self, signum: int, _frame: FrameType | None) -> None:
        for each in _handled_here():
            signal.signal(each, signal.SIG_DFL)
        self._arrived = signum
        signal.setitimer(signal.ITIMER_REAL, _LOOK_AGAIN_S, _LOOK_AGAIN_S)
        if self._shields and self._said_in_shield:
            with contextlib.suppress(OSError):  # not sys.stderr: it may be in use right now
                os.write(2, self._said_in_shield)
        self._act()

    def _act(self, *_: object) -> None:
        """Raise what has arrived, unless it has to wait or is on its way already."""
        if self._arrived is None or self._shields:
            return
        lives = self._raised is not None and self._raised() is not None
        if not lives or time.monotonic() - self._raised_at > _DROPPED_AFTER_S:
            self._raise(self._arrived)

    def _raise(self, signum: int) -> None:
        stop = SignalStop(signum)
        self._raised, self._raised_at = weakref.ref(stop), time.monotonic()
        try:
            raise stop from None
        finally:
            del stop  # its traceback holds this frame: it would keep itself alive

    def stop_if_asked(self) -> None:
        """Raise what has arrived: an error in hand may be what a library made of the stop."""
        if self._arrived is not None:
            self._raise(self._arrived)

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Answer the signals within the block; after the outermost one, the handlers of before are there again.

        Raises:
            SignalStop: a signal has arrived, whatever else became of the block.
        """
        restore = self._installed() if self._depth == 0 else None
        self._depth += 1
        try:
            yield
        finally:
            self._shields += 1  # what arrives from here on is raised below
            self._depth -= 1
            arrived = self._arrived
            if restore is not None:
                restore()
                arrived, self._arrived = self._arrived, None
            self._shields -= 1
            if arrived is not None and not isinstance(sys.exception(), SignalStop):
                self._raise(arrived)

    def _installed(self) -> Callable[[], None]:
        """Handle the signals; returns what undoes that."""
        before = {each: signal.signal(each, self._handle) for each in _handled_here()}
        tick = signal.signal(signal.SIGALRM, self._act)
        timer = signal.getitimer(signal.ITIMER_REAL)
        hook = sys.unraisablehook

        def unless_stopping(unraisable: "sys.UnraisableHookArgs") -> None:
            if self._arrived is None:
                hook(unraisable)

        def restore() -> None:
            signal.setitimer(signal.ITIMER_REAL, *timer)
            signal.signal(signal.SIGALRM, tick)
            sys.unraisablehook = hook
            for signum, handler in before.items():
                signal.signal(signum, handler)

        sys.unraisablehook = unless_stopping
        return restore

    @contextlib.contextmanager
    def uninterrupted(self, said: bytes = _WAITING) -> Iterator[None]:
        """Let the block finish before a signal acts: a request in flight and the record of its answer.

        Args:
            said: what a signal is answered with meanwhile.
        """
        self._said_in_shield = said
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        self._act()


this_process = Signals()


def end_undisturbed() -> None:
    """Let no signal change how the command has ended, while Python takes itself apart."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def _handled_here() -> list[signal.Signals]:
    """All but a SIGHUP that `nohup` has had ignored, so that a run outlives its terminal."""
    return [each for each in _SIGNALS if each != signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN]
