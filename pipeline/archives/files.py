"""The files of an archive that is a folder: those that a copy of it has, so that both are read alike."""

import os
import stat
from pathlib import Path
from typing import NoReturn


def is_file(path: Path) -> bool:
    """Whether a file lies there itself: no link to one, which may lead out of the archive, and no pipe or device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def files_in(folder: Path) -> list[Path]:
    """The files in a folder at any depth, in a fixed order. Links in it are not followed.

    Raises:
        OSError: a folder in it cannot be read.
    """
    walked = os.walk(folder, onerror=_refuse)
    return sorted(path for at, _, names in walked for name in names if is_file(path := Path(at, name)))


def messenger_files(folder: Path) -> list[Path]:
    """The JSON files in the folders of conversations of a Messenger export; none where it is no such export."""
    inbox = folder / "inbox"
    if inbox.is_symlink() or not inbox.is_dir():
        return []
    return [path for path in files_in(inbox) if path.suffix.lower() == ".json" and path.parent.parent == inbox]


def _refuse(error: OSError) -> NoReturn:
    raise error
