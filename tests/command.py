"""Runs the `finetune` command as a user does: a process of its own, in an empty folder."""

import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

BOUND_S = 120
ROOT = Path(__file__).parent.parent
CI_CONFIG = ROOT / "configs" / "ci.yaml"


@dataclasses.dataclass
class Finished:
    code: int
    out: str
    err: str

    @property
    def ran(self) -> list[str]:
        """The steps that ran, in order."""
        lines = [line.split() for line in self.out.splitlines() if "/10 " in line]
        return [words[1] for words in lines if words[2:4] != ["done", "before"]]

    @property
    def skipped(self) -> list[str]:
        lines = [line.split() for line in self.out.splitlines() if "/10 " in line]
        return [words[1] for words in lines if words[2:4] == ["done", "before"]]


class Workshop:
    """An empty folder with a config in it, `run.yaml` (configs/ci.yaml), and an optional script for the trainer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "run.yaml"
        self.config.write_bytes(CI_CONFIG.read_bytes())
        self.run_dir = folder / "runs" / "ci"
        self.env = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT)}

    def script(self, **script: Any) -> str:
        """Write a script for the scripted trainer; returns the --set that names it."""
        path = self.folder / "script.json"
        path.write_text(json.dumps(script))
        return f"--set=backend.script={path}"

    def start(self, *arguments: str, stdout: int = subprocess.PIPE) -> "subprocess.Popen[str]":
        command = [sys.executable, "-W", "error::ResourceWarning", "-m", "pipeline", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=stdout,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def finetune(self, *arguments: str, stdin: str | None = None) -> Finished:
        command = [sys.executable, "-W", "error::ResourceWarning", "-m", "pipeline", *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=BOUND_S,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def run(self, *arguments: str) -> Finished:
        return self.finetune("run", "run.yaml", *arguments)

    def state(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads((self.run_dir / "state.json").read_bytes())["body"]
        return body

    def stored(self, table: str) -> int:
        """How many files, jobs or models the embedded server's store holds."""
        with sqlite3.connect(f"file:{self.run_dir}/server/store.db?mode=ro", uri=True) as db:
            (count,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
        db.close()
        return int(count)


def stop_when(process: "subprocess.Popen[str]", seen: str, signum: signal.Signals) -> Finished:
    """Send a signal once a line that contains `seen` has been printed."""
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if seen in line:
            process.send_signal(signum)
            break
    out, err = process.communicate(timeout=BOUND_S)
    return Finished(process.returncode, "".join(lines) + out, err)
