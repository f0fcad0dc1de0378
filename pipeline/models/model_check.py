"""Whether a base model on disk can be trained, asked of another process: `python -m pipeline.models.model_check`.

Loading what anybody may have put there takes torch, seconds and memory, and can end a process; here it ends that one.
"""

import functools
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from pipeline.errors import InputError
from pipeline.models import environment
from pipeline.models.base_models import is_path, prepare
from pipeline.models.exit_codes import signal_name

COMMAND = (sys.executable, "-m", "pipeline.models.model_check")
SECONDS = 120
"""Of processor time: to import torch takes ten, to lay out a large model a few more."""


class _Found(msgspec.Struct):
    """What is wrong with a model, in the parts of an InputError; nothing, if it can be trained."""

    where: str | None = None
    what: str = ""
    fix: str = ""


def check(name: str) -> None:
    """See that the tokenizer, the chat template and the weights of a base model on disk fit and work together.

    Takes some seconds for a path, once as long as its files stay as they are; nothing for a known name.

    Raises:
        InputError: they do not; names what is wrong and what to do.
        OSError: no process can be started.
    """
    if is_path(name):
        directory = prepare(name)
        _check(directory, _looks(directory))


def _looks(directory: Path) -> tuple[tuple[str, int, int], ...]:
    entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    return tuple((entry.name, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in entries)


@functools.lru_cache(maxsize=16)
def _check(directory: Path, _files: tuple[tuple[str, int, int], ...]) -> None:
    environment.require_libraries()
    where = f"base model {directory.name}"
    told = {key: value for key, value in environment.for_children().items() if not key.endswith("_KEY")}
    done = subprocess.run(
        [*COMMAND, str(directory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=told,
        check=False,
    )
    if done.returncode != 0:
        how = signal_name(-done.returncode) if done.returncode < 0 else f"exit code {done.returncode}"
        if done.returncode == -signal.SIGXCPU:
            how = f"{SECONDS} s of processor time are over"
        what = f"cannot be loaded: the process that tried it has ended ({how})"
        raise InputError(where, what, fix="Mend the directory, or choose another base model.")
    found = msgspec.json.decode(done.stdout, type=_Found)
    if found.where is not None:
        raise InputError(found.where, found.what, fix=found.fix)


def main(directory: Path) -> None:
    """Look at one model and print what is wrong with it."""
    from pipeline.privacy import settle_process

    settle_process()
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS if hard == resource.RLIM_INFINITY else min(SECONDS, hard), hard))
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever libraries print
    environment.settle_worker()
    found = _Found()
    try:
        with environment.imported_for_good():
            from pipeline.models.chat_format import ChatFormat
            from pipeline.models.device import check_model
        check_model(directory)
        ChatFormat(directory)
    except InputError as error:
        found = _Found(error.where, f"{error.what}{'' if error.got is None else f', got {error.got}'}", error.fix or "")
    os.write(answers, msgspec.json.encode(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
