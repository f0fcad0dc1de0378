"""As many threads as there are free cores to run them. Imports torch."""

import os
import time

import psutil  # type: ignore[import-untyped]
import torch

LONGEST_WAIT = 32
"""Steps between two attempts at another thread, on a machine where none of them went well."""


class Pace:
    """Decides the number of threads of the next step by how the last one fared.

    Threads that compute together spin until the last one is done. With the machine to itself, two are 1.9 times as fast
    as one; but where one of them has to queue behind another process (or a container gets less time than it sees
    cores) the whole group crawls, up to five times slower than a single thread, which waits for nobody. So another
    thread is an attempt: it is taken back after a step in which the group was kept waiting, and each time that happens
    twice as many steps pass before the next attempt.

    Attributes:
        threads: for the next step.
    """

    def __init__(self, cores: int) -> None:
        self.threads = 1
        self._cores = cores
        self._wait = self._steps_left = 0

    def after_step(self, granted: float, free: float) -> None:
        """Choose anew.

        Args:
            granted: cores that the step's threads really got: CPU seconds per second.
            free: cores that nobody used meanwhile.
        """
        if granted < 0.75 * self.threads:
            if self.threads > 1:
                self._wait = min(max(1, 2 * self._wait), LONGEST_WAIT)
                self._steps_left = self._wait
            self.threads = max(1, min(round(granted), self.threads - 1))
        elif self._steps_left:
            self._steps_left -= 1
        else:
            self._wait = 0 if self.threads > 1 else self._wait
            # Half a core is enough to try: what the pipeline's own waiting costs comes off a second core, too.
            self.threads = min(self._cores, self.threads + round(free + 0.01))


class Threads:
    """Fits the number of torch's threads to the free cores, step by step."""

    def __init__(self) -> None:
        self._pace = Pace(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
        torch.set_num_threads(self._pace.threads)
        self.begin_step()

    def begin_step(self) -> None:
        """Measure from here."""
        self._wall, self._cpu = time.monotonic(), time.process_time()
        psutil.cpu_percent()

    def end_step(self) -> None:
        """Choose the threads of the next step by how this one fared."""
        granted = (time.process_time() - self._cpu) / max(time.monotonic() - self._wall, 1e-9)
        free = (1 - psutil.cpu_percent() / 100) * (psutil.cpu_count() or 1)
        self._pace.after_step(granted, free)
        torch.set_num_threads(self._pace.threads)
