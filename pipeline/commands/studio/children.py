"""The commands that the studio runs for its pages: each the very command that a terminal runs, in a process of its own.

A run writes what it says into its run directory, not into a pipe: it goes on when the studio is killed, and the next
studio reads there how far it is. It has a session of its own, so that Ctrl-C in the studio's terminal reaches it once,
from us. Everything else that is started here is short, and its lines go straight to the page.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import BinaryIO

from pipeline.commands.context import say
from pipeline.config.file import load_config
from pipeline.config.settings import run_directory
from pipeline.durable import make_private_dir
from pipeline.errors import InputError, Locked
from pipeline.process.privacy import as_given
from pipeline.state.lock import holder

EVENTS, ERRORS = "studio-run.jsonl", "studio-run.err"
"""In the run directory: what the run says, an event a line; and what it says when it fails."""

PAUSE_S = 90.0
"""How long runs may take to pause when the studio ends: the embedded server has a minute for its checkpoint."""

_LONGEST_LINE = 1 << 20


def program() -> list[str]:
    """The words that start this command again."""
    called = Path(sys.argv[0])
    if called.name == "finetune" and called.is_file():
        return [sys.executable, str(called.resolve())]
    return [sys.executable, "-P", "-m", "pipeline"]  # -P: the folder may hold a pipeline.py of its own


class Runs:
    """The runs that this studio has started, by config."""

    def __init__(self) -> None:
        self._started: dict[Path, subprocess.Popen[bytes]] = {}
        self._told: set[int] = set()

    def start(self, config: Path, command: str = "run", *options: str) -> None:
        """Have the steps run, as `finetune run` does, or what else shows its work as a run.

        Raises:
            FinetuneError: the config has a mistake.
            Locked: it is at work already.
        """
        run_dir = make_private_dir(run_directory(load_config(config).name))
        if self.is_ours(config) or (owner := holder(run_dir)) is not None:
            fix = "Wait for it, or pause it first."
            raise Locked(str(run_dir), "it is at work already", got=None if self.is_ours(config) else owner, fix=fix)
        with _private(run_dir / EVENTS) as events, _private(run_dir / ERRORS) as errors:
            self._started[config] = subprocess.Popen(
                [*program(), command, str(config), "--json", *options],
                stdin=subprocess.DEVNULL,
                stdout=events,
                stderr=errors,
                start_new_session=True,
                env=as_given(),
            )

    def is_ours(self, config: Path) -> bool:
        """Whether a run that was started here is at work on it."""
        process = self._started.get(config)
        return process is not None and process.poll() is None

    def halt(self, config: Path) -> None:
        """Do what Ctrl-C does, once: a run of ours, or one of a terminal of this machine.

        Raises:
            InputError: nothing is at work on it here.
        """
        process = self._started.get(config)
        pid = process.pid if process is not None and process.poll() is None else _holding_here(config)
        if pid is None:
            raise InputError(str(config), "nothing is at work on it", fix="Look at the page again.")
        if pid not in self._told:  # a second one would end it at once
            self._told.add(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)

    def is_pausing(self, config: Path) -> bool:
        """Whether it was told to pause, and has not ended."""
        process = self._started.get(config)
        pid = process.pid if process is not None and process.poll() is None else _holding_here(config)
        return pid in self._told

    def code(self, config: Path) -> int | None:
        """How a run that was started here has ended; None if it has not."""
        process = self._started.get(config)
        return None if process is None else process.poll()

    def end(self) -> int:
        """Pause all that are at work and wait for them; returns how many there were."""
        at_work = [config for config, process in self._started.items() if process.poll() is None]
        for config in at_work:
            self.halt(config)
            say(f"Pausing {config} …")
        for config in at_work:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._started[config].wait(PAUSE_S)
        return len(at_work)


def _holding_here(config: Path) -> int | None:
    """The process on this machine that holds the lock of a config's run."""
    words = (holder(run_directory(load_config(config).name)) or "").split()
    is_here = len(words) == 4 and words[0] == "process" and words[3] == socket.gethostname()
    return int(words[1]) if is_here and words[1].isdecimal() and int(words[1]) != os.getpid() else None


def _private(path: Path) -> BinaryIO:
    """A file of ours, emptied, to be handed to a process."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    return os.fdopen(os.open(path, flags, 0o600), "wb")


async def lines(*arguments: str) -> AsyncIterator[tuple[str, str]]:
    """What a command says, as it says it: ("out", a line), ("err", a line), and at last ("code", its exit code).

    It goes on to its end even if nobody listens any more.
    """
    process = await asyncio.create_subprocess_exec(
        *program(), *arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
        env=as_given(), limit=_LONGEST_LINE,
    )  # fmt: skip
    said: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    reading = asyncio.gather(_read("out", process.stdout, said), _read("err", process.stderr, said))
    ending = asyncio.ensure_future(_end(process, reading, said))
    _kept.add(ending)
    ending.add_done_callback(_kept.discard)
    while True:
        what, line = await said.get()
        yield what, line
        if what == "code":
            return


_kept: set["asyncio.Future[None]"] = set()
"""The event loop itself holds its tasks weakly."""


async def _read(what: str, pipe: asyncio.StreamReader | None, said: "asyncio.Queue[tuple[str, str]]") -> None:
    while pipe is not None and (line := await pipe.readline()):
        said.put_nowait((what, line.decode(errors="replace").rstrip("\n")))


async def _end(
    process: asyncio.subprocess.Process,
    reading: "asyncio.Future[tuple[None, None]]",
    said: "asyncio.Queue[tuple[str, str]]",
) -> None:
    await reading
    said.put_nowait(("code", str(await process.wait())))


async def answered(*arguments: str) -> tuple[int, list[str], list[str]]:
    """What a command says in the end: exit code, lines of standard output, of standard error."""
    found: dict[str, list[str]] = {"out": [], "err": [], "code": []}
    async for what, line in lines(*arguments):
        found[what].append(line)
    return int(found["code"][0]), found["out"], found["err"]


def refusal(errors: Sequence[str]) -> str:
    """The message of a command that failed, without the word before it."""
    return "\n".join(line.removeprefix("error: ") for line in errors).strip()
