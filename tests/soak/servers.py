"""The two servers of the soak, each in a process of its own."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

_BARE = """
import socket, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/")
async def constant() -> dict[str, str]:
    return {"status": "running"}
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, http="h11", loop="asyncio")).run([listener])
"""


class Served(NamedTuple):
    """A running server."""

    base_url: str
    key: str


@contextlib.contextmanager
def embedded_server(data_dir: Path) -> Iterator[Served]:
    """The embedded server as a run starts it, with the real trainer; it has to end in good order."""
    key = secrets.token_urlsafe(32)
    command = [sys.executable, "-m", "pipeline", "serve", "--data-dir", str(data_dir), "--embedded"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "FINETUNE_SERVER_KEY": key},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            yield Served(json.loads(process.stdout.readline())["base_url"], key)
            process.terminate()
            if (status := process.wait(60)) != 0:
                raise RuntimeError(f"the server left with status {status}")
        finally:
            process.kill()


@contextlib.contextmanager
def bare_app() -> Iterator[str]:
    """A FastAPI app that answers a constant, behind the same HTTP server; yields its URL."""
    with subprocess.Popen([sys.executable, "-c", _BARE], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
        finally:
            process.kill()
