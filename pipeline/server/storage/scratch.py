"""The store of a mocked API that nobody keeps: removed at the end, and after a kill by the next one that starts."""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.server.storage.database import DATABASE, LOCK, is_free

PREFIX = "mock-openai-"


@contextlib.contextmanager
def temporary_store() -> Iterator[Path]:
    """A data directory for as long as the block runs."""
    sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def sweep(folder: Path) -> None:
    """Remove the stores in `folder` whose servers were killed: this user's own, and locked by nobody."""
    with contextlib.suppress(OSError):
        for left in folder.glob(f"{PREFIX}*"):
            if _is_ours(left) and _was_abandoned(left):
                shutil.rmtree(left, ignore_errors=True)


def _is_ours(store: Path) -> bool:
    """Whether it is a folder that this user made. Others may write to the folder around it, and link to anything."""
    try:
        found = store.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _was_abandoned(store: Path) -> bool:
    """Whether a server has been at work there and is not any more; one that only starts has made no database yet."""
    return (store / DATABASE).exists() and is_free(store / LOCK)
