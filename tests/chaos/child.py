"""One process of a scenario: the real command, with its clock, its line and its disk in the harness's hands.

It runs in a child that the zygote has forked. What is replaced is what a test cannot wait for or cannot break from
outside: the clock, connections that never come about, system calls that fail. Everything else is the product.
"""

import contextlib
import datetime
import gc
import mmap
import os
import resource
import signal
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import NoReturn

import pipeline.process.clock
from pipeline import cli, failpoints
from tests.chaos import mutants, sabotage, usual_script
from tests.chaos.order import Order

HANGS_S = 600
EPOCH = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)


class SharedClock:
    """Time passes only in `sleep`; it goes on in the next process, and the fault server sees it."""

    _map: mmap.mmap

    def __init__(self) -> None:
        pass

    @classmethod
    def open(cls, path: str) -> None:
        with open(path, "r+b") as file:  # noqa: PTH123 - before Path is ours again
            cls._map = mmap.mmap(file.fileno(), 16)

    def monotonic(self) -> float:
        return float(struct.unpack_from("d", self._map, 0)[0])

    def sleep(self, seconds: float) -> None:
        struct.pack_into("d", self._map, 0, self.monotonic() + seconds)

    def now(self) -> datetime.datetime:
        """The wall clock; the harness may have set it wrong."""
        wrong_by = float(struct.unpack_from("d", self._map, 8)[0])
        return EPOCH + datetime.timedelta(seconds=self.monotonic() + wrong_by)


def run(order: Order) -> NoReturn:
    """Be the process that `order` describes, and end as it does."""
    gc.disable()  # what the zygote has made is shared with it, and looking at it would copy it
    signal.alarm(HANGS_S)  # nothing here waits for real time: a child that does has gone wrong
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.umask(0)
    os.chdir(order.cwd)
    os.environ.update(order.env)
    _redirect(order)
    SharedClock.open(order.clock)
    pipeline.process.clock.SystemClock = SharedClock  # type: ignore[misc,assignment]
    time.sleep = SharedClock().sleep  # type: ignore[assignment]  # the SDK's own retries wait with it
    code = 1
    try:
        for name in order.mutants:
            mutants.apply(name)
        if order.line:
            sabotage.cut_line(order.line)
        if order.disk:
            sabotage.break_disk(order.disk)
        if order.file_limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (order.file_limit, order.file_limit))
        if order.interrupts:
            signal.signal(signal.SIGVTALRM, lambda *_: None)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.002, 0.002)
        if order.record is not None:
            sabotage.record_disk(order.record)
        failpoints.arm(_callback(order))
        sys.argv = ["finetune", *order.argv]
        if order.program == "usual":
            usual_script.main()
        else:
            cli.main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter would
        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _redirect(order: Order) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for name, number in ((order.out, 1), (order.err, 2)):
        if name == "closed":
            reader, writer = os.pipe()
            os.close(reader)
            os.dup2(writer, number)
            continue
        fd = os.open(name, flags, 0o600)
        os.dup2(fd, number)
        os.close(fd)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", closefd=False)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _callback(order: Order) -> Callable[[failpoints.Point], None]:
    trace = os.open(order.trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    signals = dict(order.signals)
    reached = 0
    of_name: Counter[str] = Counter()

    def callback(point: failpoints.Point) -> None:
        nonlocal reached
        reached += 1
        of_name[point] += 1
        os.write(trace, point.encode() + b"\n")
        signum = signals.pop(str(reached), None) or signals.pop(f"{point}#{of_name[point]}", None)
        if signum is not None:
            os.kill(os.getpid(), signum)

    return callback
