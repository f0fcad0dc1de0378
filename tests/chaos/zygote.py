"""Forks the processes of scenarios: everything is imported once, and each child is ready in milliseconds.

A program of its own with one thread, because forking a process that has several is not safe. It reads a Request a line
from stdin and answers with a Reply a line; it ends with its stdin, and its children with it.
"""

import contextlib
import ctypes
import functools
import gc
import os
import signal
import sys
from pathlib import Path

import httpcore2
import langchain_openai.chat_models._client_utils as langchain_clients
import msgspec

import pipeline.process.clock
from pipeline import cli
from tests.chaos import child
from tests.chaos.order import Order, Reply, Request

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve until stdin ends."""
    # Certificates take longer to load than the ten steps to run, and nothing here speaks TLS to anybody.
    httpcore2.default_ssl_context = functools.cache(httpcore2.default_ssl_context)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    for line in sys.stdin.buffer:
        request = msgspec.json.decode(line, type=Request)
        if request.warm_up is not None:
            reply = Reply(os.getpid(), _warm_up(request.warm_up))
        elif request.start is not None:
            pid = os.fork()
            if pid == 0:
                _die_with_parent()
                child.run(request.start)
            reply = Reply(pid)
        else:
            assert request.wait is not None
            pid, status = os.waitpid(request.wait, os.WUNTRACED if request.or_stopped else 0)
            stopped = os.WIFSTOPPED(status)
            reply = Reply(pid, None if stopped else os.waitstatus_to_exitcode(status), stopped)
        answers.write(msgspec.json.encode(reply) + b"\n")


def _warm_up(order: Order) -> int:
    """Run the ten steps once right here: what is imported, compiled or cached now is ready in every child."""
    before, outputs, env = Path.cwd(), (sys.stdout, sys.stderr), dict(os.environ)
    child.SharedClock.open(order.clock)
    pipeline.process.clock.SystemClock = child.SharedClock  # type: ignore[misc,assignment]
    os.environ.update(order.env)
    os.chdir(order.cwd)
    sys.argv = ["finetune", *order.argv]
    code = 0
    with open(order.out, "w", encoding="utf-8") as sys.stdout, contextlib.suppress(SystemExit):  # noqa: PTH123
        code = 1
        cli.main()
    sys.stdout, sys.stderr = outputs
    code = 0 if (Path("runs/chaos/10_smoke_test.json")).exists() else code
    os.chdir(before)
    os.environ.clear()
    os.environ.update(env)
    langchain_clients._cached_sync_httpx_client.cache_clear()  # children must not share a connection
    langchain_clients._cached_async_httpx_client.cache_clear()
    gc.collect()
    gc.freeze()
    return code


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
