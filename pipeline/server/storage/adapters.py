"""Adapters: a folder for each, durable under its final name before a row names it."""

import os
import shutil
from pathlib import Path

from pipeline import durable
from pipeline.server import responses


def take(adapter: Path, models_dir: Path) -> str:
    """Move a worker's finished adapter to the models; returns the name of its folder there."""
    name = responses.new_id("model-")
    durable.publish(adapter, models_dir / name)
    return name


def copy(adapter: Path, models_dir: Path, incoming: Path) -> str:
    """Copy an adapter to the models by way of `incoming`: its worker may do with its own what it likes."""
    name = responses.new_id("ckpt-")
    _copy_folder(adapter, incoming / name)
    durable.publish(incoming / name, models_dir / name)
    return name


def _copy_folder(source: Path, target: Path) -> None:
    """Copy an adapter: second names where the file system has such, as adapters are never changed in place.

    Not shutil.copytree, whose error hides whether the disk was full.
    """
    target.mkdir(mode=0o700)
    for path in source.rglob("*"):
        twin = target / path.relative_to(source)
        if path.is_dir():
            twin.mkdir(mode=0o700)
            continue
        try:
            os.link(path, twin)
        except OSError:
            shutil.copyfile(path, twin)
