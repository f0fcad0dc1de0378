"""A chat template, rendered in a process of its own that may take so much time and memory and no more."""

import contextlib
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import IO

import msgspec

from pipeline.errors import InputError
from pipeline.models import environment
from pipeline.models.exit_codes import signal_name
from pipeline.models.template_process import MARK, SECONDS, Rendered, Request, Template

# -P: the folder that a user works in may hold a pipeline.py of its own.
COMMAND = (sys.executable, "-P", "-m", "pipeline.models.template_process")
LEAVING_S = 0.5  # how long a process may take to go once its stdin has ended
_MEND = "Mend its chat template, or choose another base model."


class ChatTemplate:
    """One base model's template. Safe to use from several threads; its process starts when it is first asked.

    Args:
        where: names the model in errors.
        source: in jinja2's language.
        words: what the template may use besides the conversation, such as `bos_token`.
    """

    def __init__(self, where: str, source: str, words: Mapping[str, object]) -> None:
        self._where = where
        self._template = msgspec.json.encode(Template(source, words)) + b"\n"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._end: weakref.finalize[..., ChatTemplate] | None = None

    def render(self, roles: Sequence[str], *, answer_next: bool, edge: str = "") -> str:
        """A conversation with a placeholder (see template_process) for each content, between two `edge`s.

        Raises:
            InputError: the template refuses the conversation, fails, or takes too much time, memory or text.
            OSError: no process can be started.
        """
        rendered = self._rendered(Request(tuple(roles), answer_next, edge))
        if rendered.refused is not None:
            fix = "Change the order or the roles of the messages."
            others = tuple(role for role in roles if role != "system")
            if others not in ((), tuple(roles)) and self._rendered(Request(others, answer_next, edge)).text is not None:
                fix = "Leave the system prompt out, or choose another base model."
            raise InputError(self._where, f"its chat template refuses the conversation ({rendered.refused})", fix=fix)
        if rendered.text is None:
            raise InputError(self._where, f"its chat template fails ({rendered.failed})", fix=_MEND)
        return rendered.text

    def _rendered(self, request: Request) -> Rendered:
        with self._lock:
            answer = self._ask(msgspec.json.encode(request) + b"\n")
        return msgspec.json.decode(answer, type=Rendered)

    def _ask(self, request: bytes) -> bytes:
        process = self._process or self._start()
        self._process = None  # until it has answered: after Ctrl-C, what it says next would be taken for another answer
        try:
            _pipe(process.stdin).write(request)
            _pipe(process.stdin).flush()
            answer = _answer(_pipe(process.stdout))
        except OSError:  # it is gone
            answer = b""
        if answer.endswith(b"\n"):
            self._process = process
            return answer
        code = _finish(process)
        if code == -signal.SIGXCPU:
            what = f"does not come to an end: {SECONDS} s of processor time are over"
        else:
            what = f"cannot be rendered ({signal_name(-code) if code < 0 else f'exit code {code}'})"
        raise InputError(self._where, f"its chat template {what}", fix=_MEND)

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment.for_children(),
            start_new_session=True,  # Ctrl-C is for us, and it ends with us: its stdin does
        )
        if self._end is not None:
            self._end()
        self._end = weakref.finalize(self, _finish, process)
        with contextlib.suppress(OSError):  # it is gone; whoever asks it sees that
            _pipe(process.stdin).write(self._template)
        return process


def _answer(stdout: IO[bytes]) -> bytes:
    """The next line from its MARK on; what start-up files print is passed over."""
    for line in stdout:
        _, mark, answer = line.partition(MARK)
        if mark:
            return answer
    return b""


def _finish(process: "subprocess.Popen[bytes]") -> int:
    """End the process if it has not ended by itself; returns how it did."""
    with contextlib.suppress(OSError):  # what it never read
        _pipe(process.stdin).close()
    try:
        process.wait(LEAVING_S)
    except subprocess.TimeoutExpired:
        process.kill()
    _pipe(process.stdout).close()
    return process.wait()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the process was started without its pipes")
    return pipe
