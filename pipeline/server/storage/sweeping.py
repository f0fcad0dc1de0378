"""What a start removes from a store's folders."""

import shutil
from pathlib import Path

from pipeline.server.logs import logger


def remove(path: Path) -> None:
    """A folder with all that is in it, or a file: macOS leaves a .DS_Store wherever somebody has looked."""
    logger.warning(
        "%s in the folder %s belongs to nothing that the store knows of, and is removed", path.name, path.parent.name
    )
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
