"""What every process of ours sees to first: nothing it leaves behind can be read by others."""

import contextlib
import os
import resource


def settle_process() -> None:
    """Make files 0600 and folders 0700 by default, and leave no core dump, which would hold chats and keys.

    Processes that are started from here inherit both.
    """
    os.umask(0o077)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
