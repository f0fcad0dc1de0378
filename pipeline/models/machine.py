"""What this machine can train: its memory now, and how fast it is, measured once and remembered. Torch-free."""

import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from pipeline.durable import make_private_dir, read_file, write_atomically
from pipeline.models.base_models import cache_dir
from pipeline.models.environment import for_children

_REMEMBERED = "machine.json"
_VERSION = 1
_WAIT_S = 120.0
_MEMORY_INFO = Path("/proc/meminfo")
_GROUPS = Path("/sys/fs/cgroup")

Device = Literal["cpu", "cuda", "mps"]


class Measured(msgspec.Struct, frozen=True):
    """What pipeline.models.probe found out.

    Attributes:
        called: the GPU's name; "" for a CPU.
        products: floating-point operations a second of matrix products; on a CPU of one thread.
        passes: numbers a second that are read and written between the products; on a CPU by one thread.
        memory: the GPU's own, in bytes; None where a model shares the machine's.
    """

    device: Device
    called: str
    dtype: Literal["float32", "bfloat16"]
    products: float
    passes: float
    memory: int | None = None


class Machine(msgspec.Struct, frozen=True):
    """This machine.

    Attributes:
        measured: None where it could not be, as without torch.
        memory, free: bytes where a training's would be: all of it, and what is free now; None where nobody knows.
    """

    cores: int
    measured: Measured | None
    memory: int | None
    free: int | None

    @property
    def threads(self) -> float:
        """How many times as fast as one thread all cores are: two are 1.6 times as fast (measured)."""
        is_cpu = self.measured is not None and self.measured.device == "cpu"
        return self.cores**0.7 if is_cpu else 1.0

    def __str__(self) -> str:
        """Such as "2 cores, 17.0 of 24.0 GB of memory free"."""
        cores = f"{self.cores} core{'' if self.cores == 1 else 's'}"
        where = {"cuda": "", "mps": "the GPU of this Mac"}.get(self.measured.device, cores) if self.measured else cores
        if self.measured is not None and self.measured.device == "cuda":
            where = self.measured.called
        if self.memory is None:
            return f"{where}, of unknown memory"
        if self.free == self.memory:
            return f"{where}, {self.memory / 1e9:.1f} GB of memory"
        return f"{where}, {(self.free or 0) / 1e9:.1f} of {self.memory / 1e9:.1f} GB of memory free"


MEASURING = "Measuring how fast this machine is, once …"


def this_machine(say: Callable[[str], None] = lambda _: None) -> Machine:
    """Look at this machine; it is measured if that was not done before, which takes torch some seconds to start.

    Args:
        say: is told before that.
    """
    measured = _remembered()
    if measured is None and importlib.util.find_spec("torch") is not None:
        say(MEASURING)
        measured = _measure()
    if measured is not None and measured.memory is not None:  # whatever else uses a GPU ends before a training
        return Machine(_cores(), measured, measured.memory, measured.memory)
    memory, free = _memory()
    return Machine(_cores(), measured, memory, free)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> tuple[int | None, int | None]:
    """All and free bytes: the machine's, or what a container has of it."""
    try:
        import psutil  # type: ignore[import-untyped]
    except ImportError:
        return None, None
    found = psutil.virtual_memory()
    memory, free = int(found.total), int(found.available)
    try:  # kernel documentation, cgroup-v2, "Memory Interface Files"
        most = int((_GROUPS / "memory.max").read_text())
        used = int((_GROUPS / "memory.current").read_text())
    except (OSError, ValueError):  # "max", or no such group
        return memory, free
    return min(memory, most), max(0, min(free, most - used))


class _Kept(msgspec.Struct):
    of: list[str]
    measured: Measured


def _identity() -> list[str]:
    """What a measurement holds for."""
    try:
        torch = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        torch = ""
    return [str(_VERSION), platform.node(), _processor(), str(_cores()), torch]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    # Machines are lent: with the same name, the next one may have other instructions.
    return next((line for line in lines if line.startswith("flags")), "") or platform.processor()


def _remembered() -> Measured | None:
    try:
        kept = msgspec.json.decode(read_file(cache_dir() / _REMEMBERED), type=_Kept)
    except (OSError, msgspec.DecodeError):
        return None
    return kept.measured if kept.of == _identity() else None


def _measure() -> Measured | None:
    command = [sys.executable, "-P", "-m", "pipeline.models.probe"]  # -P: see model_check
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=for_children(),
            timeout=_WAIT_S,
            check=True,
        )
        measured = msgspec.json.decode(done.stdout, type=Measured)
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError):
        return None  # no torch, or one that does not fit this machine
    try:
        make_private_dir(cache_dir())
        write_atomically(cache_dir() / _REMEMBERED, msgspec.json.encode(_Kept(_identity(), measured)))
    except OSError:
        pass  # it is measured again the next time
    return measured
