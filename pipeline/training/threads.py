"""As many threads as there are free cores to run them. Imports torch."""

import os
import time

import psutil  # type: ignore[import-untyped]
import torch


class Threads:
    """Fits the number of torch's threads to the free cores, step by step.

    Threads that compute together spin until the last one is done. With the machine to itself, two are 1.7 times as fast
    as one; but where one of them has to queue behind another process (or a container gets less time than it sees
    cores) the whole group crawls, five times slower than a single thread, which waits for nobody.
    """

    def __init__(self) -> None:
        self._cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._threads = 1
        torch.set_num_threads(1)
        self.begin_step()

    def begin_step(self) -> None:
        """Measure from here."""
        self._wall, self._cpu = time.monotonic(), time.process_time()
        psutil.cpu_percent()

    def end_step(self) -> None:
        """Choose the threads of the next step by how this one fared."""
        granted = (time.process_time() - self._cpu) / max(time.monotonic() - self._wall, 1e-9)
        if granted < 0.75 * self._threads:
            self._threads = max(1, min(round(granted), self._threads - 1))
        else:
            free = (1 - psutil.cpu_percent() / 100) * (psutil.cpu_count() or 1)
            self._threads = min(self._cores, self._threads + int(free + 0.2))
        torch.set_num_threads(self._threads)
