"""Places where a crash would hurt most, so that tests can end the process exactly there.

`hit` does nothing unless a test has armed it, or FINETUNE_FAILPOINT=K is set: then the process kills itself with
SIGKILL at the K-th point it reaches. It is called where a durable write or a request changes what is true, and at the
boundaries of steps; POINTS names every one, and a test that finds one never reached fails.
"""

import os
import signal
from collections.abc import Callable
from typing import Literal

from pipeline.errors import InputError

Point = Literal[
    "write.begin",
    "write.created",
    "write.written",
    "write.synced",
    "write.renamed",
    "write.done",
    "publish.synced",
    "publish.renamed",
    "kept",
    "request.before",
    "request.answered",
    "request.failed",
    "post.intended",
    "post.answered",
    "post.recorded",
    "step.begin",
    "step.made",
    "step.done",
]

_armed: Callable[[Point], None] | None = None


def hit(point: Point) -> None:
    """Reach a point."""
    if _armed is not None:
        _armed(point)


def arm(callback: Callable[[Point], None] | None) -> None:
    """Call `callback` at every point from now on; None disarms."""
    global _armed
    _armed = callback


def arm_from_environment() -> None:
    """Die at the K-th point if FINETUNE_FAILPOINT=K says so.

    Raises:
        InputError: K is no number.
    """
    given = os.environ.get("FINETUNE_FAILPOINT", "0")
    try:
        left = int(given)
    except ValueError:
        raise InputError("environment FINETUNE_FAILPOINT", "expected a number", got=given, fix="Unset it.") from None
    if left <= 0:
        return

    def count(_: Point) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    arm(count)
