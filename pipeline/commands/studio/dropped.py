"""Files that were dropped on the page: kept in a private folder beside the configs, whole or not at all."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from pipeline.commands.studio.folder import config_paths
from pipeline.config.file import load_config
from pipeline.config.settings import listed
from pipeline.durable import atomic_writer, make_private_dir
from pipeline.errors import InputError
from pipeline.wording import in_bytes, visible

FOLDER = Path("archives")
_LONGEST_NAME = 120
_KEPT_FREE = 200_000_000
"""Bytes of the disk that a dropped file leaves."""


def place_for(name: str, size: int | None) -> Path:
    """Where a dropped file is to be kept. Its name stays: apps write a chat's name there.

    Args:
        name: as the browser gives it; no path of it is believed.
        size: in bytes, as far as it is known.

    Raises:
        InputError: there is no room for it.
    """
    free = shutil.disk_usage(".").free
    if size is not None and size + _KEPT_FREE > free:
        what = f"is larger ({in_bytes(size)}) than what the disk has room for ({in_bytes(free)} free)"
        raise InputError(visible(name), what, fix="Free some space, or give its path instead of dropping it.")
    base = re.sub(r"[/\\\x00-\x1f\x7f]+", " ", name).strip(" .") or "archive"
    stem, dot, suffix = base.rpartition(".")
    stem, ending = (stem, dot + suffix) if stem and len(suffix) <= 10 else (base, "")
    stem = _cut(stem)
    for number in range(1, 10_000):
        path = FOLDER / f"{stem}{f' ({number})' if number > 1 else ''}{ending}"
        if not path.exists():
            return path
    raise InputError(str(FOLDER), "too many files of one name", fix="Remove some of them.")


def _cut(stem: str) -> str:
    """As much of a name as a file system takes, whatever its alphabet."""
    return stem.encode(errors="replace")[:_LONGEST_NAME].decode(errors="ignore").strip(" .")


def keep(path: Path, next_piece: Callable[[], bytes]) -> int:
    """Write what comes until an empty piece; returns the size.

    Raises:
        InputError: nothing came.
        OSError: the disk refuses; nothing is left behind.
    """
    make_private_dir(path.parent)
    with atomic_writer(path) as file:
        while piece := next_piece():
            file.write(piece)
        if not file.size:
            raise InputError(visible(path.name), "is empty", fix="Export it again, and drop the new file.")
    return file.size


def forget(path: Path) -> bool:
    """Remove a file that was dropped here; returns whether it was one."""
    if path.parent != FOLDER or not path.is_file():
        return False
    path.unlink()
    return True


def kept_for(config: Path) -> Path | None:
    """The dropped file that a config learns from, and no other config of this folder."""
    found = _named_by(config)
    if found is None or any(_named_by(each) == found for each in config_paths() if each != config):
        return None
    return found


def _named_by(config: Path) -> Path | None:
    try:
        sources = listed(load_config(config).download.source)
    except InputError:
        return None
    if len(sources) != 1 or sources[0].startswith("sample:"):
        return None
    path = Path(sources[0]).expanduser()
    is_ours = path.parent.resolve() == FOLDER.resolve() and path.is_file()
    return FOLDER / path.name if is_ours else None
