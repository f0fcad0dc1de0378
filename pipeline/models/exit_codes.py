"""Why a worker left with its work undone, as an exit status that the server can put into words."""

import errno
import signal

NO_MEMORY = 71  # EX_OSERR of sysexits.h
DISK_FULL = 74  # EX_IOERR

REASONS = {NO_MEMORY: "ran out of memory", DISK_FULL: "found the disk full"}


def signal_name(number: int) -> str:
    """Such as ``SIGKILL``; real-time signals have numbers only."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def exit_status(error: Exception) -> int:
    """The status for an exception that nobody caught: 1, a bug, unless the machine is to blame.

    PyTorch says on a CPU that memory is short by an ordinary RuntimeError (c10, DefaultCPUAllocator), safetensors that
    the disk is full by the number in its text.
    """
    text = str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in text:
        return NO_MEMORY
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if (isinstance(error, OSError) and error.errno in full) or any(f"(os error {number})" in text for number in full):
        return DISK_FULL
    return 1
