"""How the work grows with the size of what is worked on, in processor time: a quick machine and a slow one agree."""

import gc
import time
from collections.abc import Callable

TIMES = 8
"""How many times as large the larger is."""


def seconds(work: Callable[[], object]) -> float:
    """Of the processor, at best of three."""

    def once() -> float:
        gc.disable()  # its passes go over all that the process holds, which is not this work's
        begin = time.process_time()
        try:
            work()
        finally:
            gc.enable()
        return time.process_time() - begin

    return min(once() for _ in range(3))


def assert_linear(work: Callable[[int], Callable[[], object]], size: int) -> None:
    """Eight times as much takes about eight times as long, not 64 times.

    Args:
        work: makes the work of a size; the making is not measured.
    """
    for _ in range(3):  # a busy machine's caches are others' as well, for seconds at a time
        small, large = seconds(work(size)), seconds(work(TIMES * size))
        if large < 3 * TIMES * max(small, 0.002):
            return
    raise AssertionError(f"{large:.3f} s, where an eighth of it takes {small:.3f} s")
