"""Writes the report of a run to a file."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.config.settings import Config
from pipeline.durable import unusable, write_atomically
from pipeline.errors import InputError
from pipeline.report.contents import gather
from pipeline.report.page import as_html, as_markdown
from pipeline.run.progress import Progress
from pipeline.state.file import State

NAME = "report"


def write_report(
    config: Config, state: State, progress: Progress, *, markdown: bool, with_text: bool, out: Path | None
) -> Path:
    """Write the report of a run, finished or not; returns where it is.

    Args:
        out: the file to write, replaced if it is there; None for report.html or report.md in the run directory.

    Raises:
        InputError: there is no such run, `out` cannot be written, or HTML is asked for without matplotlib.
        StateDamaged: the disk is full or broken.
    """
    target = out if out is not None else state.run_dir / f"{NAME}.{'md' if markdown else 'html'}"
    _require_run(state)
    with _blaming(target):
        place = _place(target)
    page = report_text(config, state, progress, markdown=markdown, with_text=with_text).encode()
    with _blaming(target):
        _write(place, page)
    return target


def report_text(config: Config, state: State, progress: Progress, *, markdown: bool, with_text: bool) -> str:
    """The report of a run, as it would be written to a file.

    Raises:
        InputError: there is no such run, or HTML is asked for without matplotlib.
    """
    _require_run(state)
    contents = gather(config, state, progress, with_text)
    return as_markdown(contents) if markdown else as_html(contents)


def _require_run(state: State) -> None:
    if not state.run_dir.is_dir():
        raise InputError(str(state.run_dir), "no such run", fix="Begin it with `finetune run CONFIG`.")


@contextlib.contextmanager
def _blaming(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise unusable(error, str(target)) from None
        raise InputError(
            str(target), f"cannot be written ({error.strerror})", fix="Choose another with --out."
        ) from None


def _place(target: Path) -> Path:
    """Where the file is to be: if `target` is a link, it stays one.

    Raises:
        InputError: no file can be there.
        OSError: links lead round in a circle.
    """
    try:
        place = target.resolve() if target.is_symlink() else target
    except RuntimeError:  # as pathlib puts it
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(target)) from None
    what = "is a folder" if place.is_dir() else "" if place.parent.is_dir() else "its folder is not there"
    if place.exists() and not place.is_dir() and not place.is_file():
        what = "is a device, a pipe or a socket"
    if what:
        raise InputError(f"--out {target}", what, fix="Name a file in a folder that is there.")
    return place


def _write(target: Path, page: bytes) -> None:
    try:
        write_atomically(target, page)
    except FileNotFoundError:  # a run that has just begun swept what was not whole yet: this was not its doing
        write_atomically(target, page)
