"""Forks server processes: everything is imported once, and each server is ready in milliseconds.

A program of its own with one thread, because forking a process that has several is not safe. It reads an order a line
from stdin and answers a line: to start a server, its pid and its base URL (null if it did not come up); to wait for
one, its exit code. It ends with its stdin, and its servers with it.
"""

import ctypes
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from pipeline.errors import FinetuneError
from pipeline.server.main import run
from pipeline.server.queue import supervisor
from pipeline.server.settings import ServerSettings

HANGS_S = 120
RECOVERY_S = 0.05
_PR_SET_PDEATHSIG = 1


def _recover_nothing() -> None:
    def recover(self: supervisor.Supervisor) -> None:
        pass

    supervisor.Supervisor.recover = recover  # type: ignore[method-assign]


# The server's code, broken on purpose, to see that it is noticed.
MUTANTS = {"recovers nothing": _recover_nothing}


def main() -> None:
    """Serve until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            answer: dict[str, object] = {"code": os.waitstatus_to_exitcode(status)}
        else:
            answer = _start(order)
        answers.write(json.dumps(answer) + "\n")


def _start(order: dict[str, str | dict[str, str]]) -> dict[str, object]:
    announced, says = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(announced)
        _be_a_server(order, says)
    os.close(says)
    with os.fdopen(announced) as pipe:
        return {"pid": pid, "url": pipe.readline() or None}


def _be_a_server(order: dict[str, str | dict[str, str]], says: int) -> NoReturn:
    code = 1
    try:
        signal.alarm(HANGS_S)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        env, data_dir = order["env"], Path(str(order["data_dir"]))
        assert isinstance(env, dict)
        os.environ.update(env)
        log = os.open(str(order["log"]), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        supervisor.RECOVERY_S = RECOVERY_S
        if order["mutant"]:
            MUTANTS[str(order["mutant"])]()
        if env.get("FAULT_ROLE") == "server":
            ctypes.CDLL(None).fault_arm()
        settings = ServerSettings(data_dir, str(order["key"]), trainer="scripted", script=Path(str(order["script"])))
        run(settings, announce=lambda url: _announce(says, url))
        code = 0
    except FinetuneError as error:
        os.write(2, f"error: {error}\n".encode())
        code = error.exit_code
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        raise
    finally:
        os._exit(code)


def _announce(says: int, url: str) -> None:
    os.write(says, url.encode())
    os.close(says)


if __name__ == "__main__":
    main()
