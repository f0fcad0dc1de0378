"""The trainer's own checkpoints: which is the last good one. Torch-free.

Beside every `checkpoint-N` folder lies `checkpoint-N.json`, written last, with the folder's hash and size. A folder
that does not match, because its writer was killed or the disk went wrong, is removed, and the one before it counts.
"""

import shutil
from pathlib import Path

import msgspec

from pipeline.durable import Artifact, describe_artifact, read_file, write_atomically

KEPT = 2


def seal(folder: Path) -> None:
    """Declare a checkpoint folder whole; of those before it, only the newest is kept."""
    artifact = describe_artifact(folder.parent, folder.name)
    write_atomically(_seal_of(folder), msgspec.json.encode(artifact))
    for old in _newest_first(folder.parent)[KEPT:]:
        _remove(old)


def last_good(checkpoints: Path) -> Path | None:
    """The newest checkpoint folder that is as it was sealed; newer ones, damaged, are removed."""
    for folder in _newest_first(checkpoints):
        if _is_good(folder):
            return folder
        _remove(folder)
    return None


def step_of(folder: Path) -> int:
    """The number of optimiser steps in a checkpoint folder's name."""
    return int(folder.name.removeprefix("checkpoint-"))


def _newest_first(checkpoints: Path) -> list[Path]:
    folders = [folder for folder in checkpoints.glob("checkpoint-*") if folder.is_dir()]
    return sorted(folders, key=step_of, reverse=True)


def _remove(folder: Path) -> None:
    _seal_of(folder).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _is_good(folder: Path) -> bool:
    try:
        sealed = msgspec.json.decode(read_file(_seal_of(folder)), type=Artifact)
    except (OSError, msgspec.DecodeError):
        return False
    return describe_artifact(folder.parent, folder.name) == sealed


def _seal_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")
