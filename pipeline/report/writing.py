"""Writes the report of a run to a file."""

import errno
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
    if not state.run_dir.is_dir():
        raise InputError(str(state.run_dir), "no such run", fix="Begin it with `finetune run CONFIG`.")
    target = out if out is not None else state.run_dir / f"{NAME}.{'md' if markdown else 'html'}"
    if target.is_dir() or not target.parent.is_dir():
        what = "is a folder" if target.is_dir() else "its folder is not there"
        raise InputError(f"--out {target}", what, fix="Name a file in a folder that is there.")
    contents = gather(config, state, progress, with_text)
    page = (as_markdown(contents) if markdown else as_html(contents)).encode()
    try:
        _write(target, page)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise unusable(error) from None
        raise InputError(
            str(target), f"cannot be written ({error.strerror})", fix="Choose another with --out."
        ) from None
    return target


def _write(target: Path, page: bytes) -> None:
    try:
        write_atomically(target, page)
    except FileNotFoundError:  # a run that has just begun swept what was not whole yet: this was not its doing
        write_atomically(target, page)
