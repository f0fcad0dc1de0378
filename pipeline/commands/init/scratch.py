"""A private folder for the copy of an archive that is only looked at."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.config.settings import run_directory
from pipeline.durable import make_private_dir

_PREFIX = ".init-"


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder among those of the runs, gone after the block; what killed processes left there is removed first."""
    runs = run_directory("").absolute()
    was_there = runs.is_dir()
    make_private_dir(runs)
    for left in runs.glob(f"{_PREFIX}*"):
        _remove_unless_held(left)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=runs))
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)
        if not was_there:
            with contextlib.suppress(OSError):  # a run has begun meanwhile
                runs.rmdir()


def _remove_unless_held(folder: Path) -> None:
    with contextlib.suppress(OSError):  # held by another process, or gone
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
        finally:
            os.close(fd)
