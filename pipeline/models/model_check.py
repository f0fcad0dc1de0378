"""Whether a base model on disk can be trained, asked of another process: `python -m pipeline.models.model_check`.

Loading what anybody may have put there takes torch, seconds and memory, and can end a process; here it ends that one.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipeline.errors import InputError
from pipeline.models import environment, hub_cache
from pipeline.models.architectures import check_architecture
from pipeline.models.base_models import is_path, mend, prepare
from pipeline.models.exit_codes import signal_name
from pipeline.models.messages import ChatMessage

# -P: the folder that a user works in may hold a pipeline.py of its own.
COMMAND = (sys.executable, "-P", "-m", "pipeline.models.model_check")
SECONDS = 120
"""Of processor time: to import torch takes ten, to lay out a large model a few more."""
WALL_SECONDS = 600
"""Of time: a machine may be busy, but a process may also sleep."""
ENCODING_MEMORY = 4 * 1024**3
"""Bytes that the tokenizer may take beside what the process has: some make a text ten times as long, again and again.
Ordinary ones take a hundredth of it."""

_UNITS = ("a", "A", "0", " ", "\n", ".", "-", "'", "_", "é", "一", "😀", "ab", "a ", "a1", "'s")
_REPEATED, _ENDS = 2048, ("", "!")

_REMEMBERED = 16
_READ = (
    "added_tokens.json", "chat_template.jinja", "chat_template.json", "config.json", "generation_config.json",
    "model.safetensors.index.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json",
)  # fmt: skip
"""What transformers reads of a directory beside its weights, and does without where it is not there."""


class _Found(msgspec.Struct):
    """What is wrong with a model, in the parts of an InputError; nothing, if it can be trained."""

    where: str | None = None
    what: str = ""
    fix: str = ""
    lasts: bool = True

    def refuse(self) -> None:
        """Raise it as an InputError, if anything is wrong."""
        if self.where is not None:
            raise InputError(self.where, self.what, fix=self.fix)


class CheckEnded(Exception):
    """The check was ended by `Checker.end`."""


_Files = tuple[tuple[str, int, int], ...]


class Checker:
    """Checks base models on disk one at a time, and remembers what it found as long as their files stay as they are.

    Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[Path, _Files], _Found] = OrderedDict()
        self._one = threading.Lock()
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def recall(self, name: str) -> bool:
        """Whether it is known that a base model can be trained, without a check. Always, for a known name.

        Raises:
            InputError: it is known that it cannot; see `check`.
        """
        if not is_path(name) and hub_cache.parse(name) is None:
            return True
        directory = prepare(name)
        check_architecture(directory)
        found = self._found.get((directory, _looks(directory)))
        if found is not None:
            found.refuse()
        return found is not None

    def check(self, name: str) -> None:
        """See `check` of this module; waits for another thread's check.

        Raises:
            CheckEnded: by `end`.
        """
        if self.recall(name):
            return
        with self._one:
            if self.recall(name):  # another thread's check has found it out
                return
            directory = prepare(name)
            looks = _looks(directory)
            found = self._ask(directory)
            if found.lasts:
                self._found[directory, looks] = found
            while len(self._found) > _REMEMBERED:
                self._found.popitem(last=False)
        found.refuse()

    def end(self) -> None:
        """End the check at work, if there is one, and refuse all others. Safe in a signal handler."""
        self._ended.set()
        if (process := self._process) is not None:
            process.kill()

    def _ask(self, directory: Path) -> _Found:
        environment.require_libraries()
        if self._ended.is_set():
            raise CheckEnded
        with subprocess.Popen(
            [*COMMAND, str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment.for_children(),
        ) as process:
            self._process = process
            try:
                if self._ended.is_set():  # since it was asked above
                    process.kill()
                said, _ = process.communicate(timeout=WALL_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                return _dead(directory, f"{WALL_SECONDS} s are over", lasts=False)
            except BaseException:
                process.kill()
                raise
            finally:
                self._process = None
        if self._ended.is_set():
            raise CheckEnded
        if process.returncode == 0:
            with contextlib.suppress(msgspec.DecodeError, IndexError):
                return msgspec.json.decode(said.splitlines()[-1], type=_Found)  # start-up files may print before
        return _death(directory, process)


def _death(directory: Path, process: subprocess.Popen[bytes]) -> _Found:
    """What is known of a model whose check has died; not for long if the machine or a person may have ended it."""
    code = process.returncode
    how = signal_name(-code) if code < 0 else f"exit code {code}"
    if code == -signal.SIGXCPU:
        how = f"{SECONDS} s of processor time are over"
    return _dead(directory, how, lasts=code < 0 and -code not in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT))


def _dead(directory: Path, how: str, *, lasts: bool) -> _Found:
    return _Found(
        f"base model {hub_cache.title(directory)}",
        f"cannot be loaded: the process that tried it has ended ({how})",
        mend(directory),
        lasts=lasts,
    )


_ours = Checker()


def check(name: str) -> None:
    """See that the tokenizer, the chat template and the weights of a base model on disk fit and work together.

    Takes some seconds for what is on disk, once as long as its files stay as they are; nothing for a known name.

    Raises:
        InputError: they do not; names what is wrong and what to do.
        OSError: no process can be started.
    """
    _ours.check(name)


def _looks(directory: Path) -> _Files:
    """What tells of a change: the size and the time of each file.

    Raises:
        InputError: a link to a file that transformers would read leads nowhere. It would do without the file.
    """
    looks = []
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        try:
            looked = entry.stat()
        except OSError as error:
            if entry.name in _READ or entry.name.endswith(".safetensors"):
                what = f"its {entry.name} cannot be read ({error.strerror})"
                fix = mend(directory, f"Put the file into {directory}, or choose another base model.")
                raise InputError(f"base model {hub_cache.title(directory)}", what, fix=fix) from None
            continue
        looks.append((entry.name, looked.st_size, looked.st_mtime_ns))
    return tuple(looks)


def main(directory: Path) -> None:
    """Look at one model and print what is wrong with it."""
    from pipeline.process.privacy import settle_process

    settle_process()
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_lower(SECONDS, hard), hard))
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever libraries print
    environment.settle_worker()
    found = _Found()
    try:
        with environment.imported_for_good():
            from pipeline.models.chat_format import PROBE, ChatFormat
            from pipeline.models.device import check_config, check_model
        check_config(directory)  # first: transformers looks into it for the tokenizer, too
        with _bounded_memory(ENCODING_MEMORY):
            chat_format = ChatFormat(directory)
            for unit in _UNITS:  # a regular expression that does not come to an end does so on a text that repeats
                for end in _ENDS:
                    chat_format.prompt([ChatMessage("user", unit * _REPEATED + end)])
        check_model(directory, chat_format.example(PROBE, [False, True])[0], chat_format.tokens())
    except InputError as error:
        found = _Found(error.where, f"{error.what}{'' if error.got is None else f', got {error.got}'}", error.fix or "")
    os.write(answers, b"\n" + msgspec.json.encode(found))


@contextlib.contextmanager
def _bounded_memory(more: int) -> Iterator[None]:
    """Let this process take so many more bytes of memory, where the system knows how many it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(OSError, ValueError):  # macOS has no /proc, and takes no limit on memory
        has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (_lower(has + more, soft), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _lower(wanted: int, limit: int) -> int:
    return wanted if limit == resource.RLIM_INFINITY else min(wanted, limit)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
