"""Starts the embedded server for one run and stops it after; its store in `runs/<name>/server/` outlives it."""

import contextlib
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import IO

import msgspec

from pipeline.config.settings import Backend
from pipeline.durable import make_private_dir, unusable
from pipeline.errors import FinetuneError, InputError, Locked, StateDamaged, TryLater
from pipeline.models.exit_codes import signal_name
from pipeline.server.storage.database import read_store_id

LOG = "server.log"
STOP_GRACE_S = 60.0
LEAVING_S = 10.0  # how long it may take to go once it has said that it does not start
DEATH_S = 0.2  # a process that is killed closes its connections a moment before it is gone
_FORESEEN = (InputError.exit_code, Locked.exit_code, StateDamaged.exit_code)
_LONGEST_LINE = 65_536
_MOST_LINES = 1000  # that others print before the server says where it is
_AGAIN = "Run the same command again: nothing accepted is lost, and training goes on from its checkpoint."


class _Said(msgspec.Struct):
    """What a server says on its stdout: where it is, or why it does not start."""

    base_url: str | None = None
    error: str | None = None


class EmbeddedServer:
    """A server process of our own. It dies with us: its stdin is a pipe that ends when this process does.

    Attributes:
        base_url: "http://127.0.0.1:PORT/v1".
        key: random, for this process only.
    """

    def __init__(self, data_dir: Path, backend: Backend, model: str | None = None) -> None:
        """Start the server and wait until it answers.

        Raises:
            Locked: another server uses the same store.
            StateDamaged: the disk refuses.
            TryLater: it was ended while it started, or the machine is short of something.
            FinetuneError: it did not come up; carries the server's own message.
        """
        self.key = secrets.token_urlsafe(32)
        try:
            self.log = make_private_dir(data_dir) / LOG
            log_fd = os.open(
                self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600
            )
        except OSError as error:
            raise unusable(error) from None
        # -P: the folder that a user works in may hold a pipeline.py of its own.
        command = [sys.executable, "-P", "-m", "pipeline", "serve", "--data-dir", str(data_dir), "--embedded"]
        if backend.trainer == "scripted":
            command.append("--mock")
            command += ["--script", backend.script] if backend.script is not None else []
        if model is not None and "/" in model:  # a path, or a name of the Hugging Face Hub
            command += ["--models", model]
        try:
            keyless = {name: value for name, value in os.environ.items() if not name.endswith("_KEY")}
            # A session of its own: Ctrl-C in the terminal reaches us alone, and we stop the server in good order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log_fd,
                env={**keyless, "FINETUNE_SERVER_KEY": self.key},
                start_new_session=True,
            )
        except OSError as error:  # no memory, no process, no descriptor
            raise TryLater(
                "embedded server",
                f"cannot be started ({error.strerror})",
                fix="End what you can do without, or allow more (ulimit -a), then run the same command again.",
            ) from None
        finally:
            os.close(log_fd)
        said = _announced(_pipe(self._process.stdout))
        if said.base_url is None:
            raise self._did_not_start(said.error)
        self.base_url = said.base_url

    @property
    def pid(self) -> int:
        """Of the server process."""
        return self._process.pid

    def wait(self) -> None:
        """Until the process has ended by itself."""
        self._process.wait()

    def check(self) -> None:
        """Notice a server that has died.

        Raises:
            TryLater: it has.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            how = _how(self._process.wait(DEATH_S))
            raise TryLater("embedded server", f"stopped unexpectedly ({how}); its log is {self.log}", fix=_AGAIN)

    def stop(self) -> None:
        """Stop in good order: a job that is training checkpoints first, and goes on at the next start."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_GRACE_S)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                _pipe(pipe).close()

    def _did_not_start(self, said: str | None) -> FinetuneError:
        """`said` comes through the pipe: on a full disk nothing reaches the log."""
        try:
            code = self._process.wait(LEAVING_S)
        except subprocess.TimeoutExpired:
            raise TryLater(
                "embedded server", f"says nothing that makes sense; its log is {self.log}", fix=_AGAIN
            ) from None
        finally:
            self.stop()
        if code <= 0 or code >= 128:  # a signal ended it, whether or not it stopped in good order
            what = f"was ended while starting ({_how(code)}); its log is {self.log}"
            return TryLater("embedded server", what, fix=_AGAIN)
        last = said or _last_line(self.log).removeprefix("error: ")
        if code not in _FORESEEN:
            return FinetuneError("embedded server", f"did not start ({last})", fix=f"Its log is {self.log}.")
        error = FinetuneError("embedded server", "did not start", fix=last)
        error.exit_code = code  # type: ignore[misc]  # the server's own words and its own code
        return error


def embedded_identity(data_dir: Path) -> str:
    """Which store this is: a file or job id means something in one store only. "none" before the first start."""
    return f"embedded:{read_store_id(data_dir) or 'none'}"


def _announced(stdout: IO[bytes]) -> _Said:
    """The server's first words; what others print before them, a start-up file of Python's say, is passed over."""
    for _ in range(_MOST_LINES):
        line = stdout.readline(_LONGEST_LINE)
        if not line:
            break
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            said = msgspec.json.decode(line, type=_Said)
            if said.base_url is not None or said.error is not None:
                return said
    return _Said()


def _how(code: int) -> str:
    return signal_name(-code) if code < 0 else f"exit code {code}"


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError as error:
        return f"its log cannot be read: {error.strerror}"
    return lines[-1] if lines else "no message"


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the server was started without its pipes")
    return pipe
