"""Breaks the embedded server at every call that changes its disk, and looks at what is left.

A scenario is one fault in the life of a store: made, a file uploaded, a job created and trained. Server and worker are
the real ones, and so are their system calls: `disk_faults.c` kills the process or fails the call. The client is one
that repeats a lost POST under the same Idempotency-Key only, and remembers what it was promised.

`run_all()` tries every call with every fault; the tests take a sample of them.
"""

import contextlib
import errno
import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.server.storage.store import Store
from tests.server.harness import BASE, FINISHED, examples

KEY = "sk-crash-0123456789abcdef"
STEPS, EPOCHS = 4, 2
CONTENT = examples(12)
PATIENCE_S = 30.0
COMPILER = shutil.which("cc")
WHY_NOT = None if COMPILER and sys.platform == "linux" else "needs a C compiler and LD_PRELOAD as Linux has it"

Role = str


@dataclass(frozen=True)
class Fault:
    """What goes wrong at the `at`-th call of `role` that changes the disk: `code` (0: SIGKILL), once or for good."""

    role: Role
    at: int
    code: int = 0
    stays: bool = False

    def __str__(self) -> str:
        what = errno.errorcode[self.code] if self.code else "SIGKILL"
        return f"{self.role}: {what}{' from then on' if self.stays else ''} at call {self.at}"


class Lost(Exception):
    """No answer: the server is gone."""


class Refused(Exception):
    """An answer that is an error."""


class Lab:
    """The zygote, and a folder for scenarios."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        library = folder / "disk_faults.so"
        source = Path(__file__).with_name("disk_faults.c")
        subprocess.run([str(COMPILER), "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        self.zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.server.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "LD_PRELOAD": str(library)},
            text=True,
        )
        self._number = 0
        self.happened = 0  # faults, in all scenarios so far

    def ask(self, order: dict[str, object]) -> dict[str, Any]:
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        self.zygote.stdin.write(json.dumps(order) + "\n")
        self.zygote.stdin.flush()
        answer: dict[str, Any] = json.loads(self.zygote.stdout.readline())
        return answer

    def close(self) -> None:
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        self.zygote.stdin.close()
        self.zygote.wait()
        self.zygote.stdout.close()

    def play(self, fault: Fault, *, mutant: str = "", patience_s: float = PATIENCE_S) -> list[str]:
        """What is wrong after one scenario; empty is good. `mutant` breaks the server's code on purpose."""
        self._number += 1
        world = World(self, self.folder / str(self._number), fault, mutant, patience_s)
        try:
            world.live()
            world.check_store()
            world.check_log()
        except AssertionError as error:
            world.bad(str(error))
        finally:
            world.end()
        self.happened += world.happened
        if not world.problems:
            shutil.rmtree(world.folder)
        return [f"{fault}: {problem}" for problem in world.problems]

    def count(self, role: Role) -> list[str]:
        """The calls of an undisturbed life, in order."""
        self._number += 1
        world = World(self, self.folder / str(self._number), Fault(role, 0))
        world.live()
        world.end()
        return world.trace.read_text().split()


@dataclass
class World:
    """One store, its servers one after another, and a client's memory."""

    lab: Lab
    folder: Path
    fault: Fault
    mutant: str = ""
    patience_s: float = PATIENCE_S
    problems: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)  # accepted: the client saw the id
    jobs: dict[str, str] = field(default_factory=dict)  # by Idempotency-Key
    pid: int | None = None

    def __post_init__(self) -> None:
        self.store = self.folder / "store"
        self.log, self.trace, self.token = (self.folder / name for name in ("log", "trace", "token"))
        self.folder.mkdir()
        self.token.touch()
        self.script = self.folder / "script.json"
        self.script.write_text(json.dumps({"steps": STEPS}))

    def bad(self, problem: str) -> None:
        self.problems.append(problem)

    @property
    def happened(self) -> bool:
        return self.trace.exists() and "fault\n" in self.trace.read_text()

    @property
    def heals(self) -> bool:
        """Whether there is space again while the job runs; for some workers there is not, and the job fails."""
        return self.fault.stays and (self.fault.role == "server" or self.fault.at % 2 == 0)

    def heal(self) -> None:
        self.token.unlink(missing_ok=True)

    # servers

    def start(self) -> None:
        """Start a server; one that cannot start must say so in order, and starts when the disk is well again."""
        fault = self.fault
        env = {"FAULT_ROLE": fault.role, "FAULT_ROOT": str(self.store), "FAULT_TOKEN": str(self.token)}
        env |= {"FAULT_AT": str(fault.at), "FAULT_ERRNO": str(fault.code), "FAULT_TRACE": str(self.trace)}
        env |= {"FAULT_STAYS": "1" if fault.stays else ""}
        order: dict[str, object] = {
            "data_dir": str(self.store),
            "key": KEY,
            "log": str(self.log),
            "env": env,
            "script": str(self.script),
        }
        order["mutant"] = self.mutant
        for _ in range(2):
            started = self.lab.ask(order)
            self.pid = started["pid"]
            if started["url"] is not None:
                self.address = started["url"].removeprefix("http://").removesuffix("/v1")
                return
            code = self.wait()
            if code not in (-signal.SIGKILL, 5):
                self.bad(f"a server that could not start ended with {code}")
            self.heal()
        raise AssertionError("no server starts any more")

    def wait(self) -> int:
        pid, self.pid = self.pid, None
        return int(self.lab.ask({"wait": pid})["code"])

    def end(self) -> int | None:
        """Stop the server, if there is one; returns how it ended."""
        if self.pid is None:
            return None
        os.kill(self.pid, signal.SIGTERM)
        code = self.wait()
        if code != 0 and not (code == -signal.SIGKILL and not self.fault.code and self.happened):
            self.bad(f"a server told to stop ended with {code}")
        return code

    # the client

    def call(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        connection = http.client.HTTPConnection(self.address, timeout=self.patience_s)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {KEY}", **(headers or {})})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            raise Lost from None
        finally:
            connection.close()
        if answer.status == 200:
            return content if path.endswith("/content") else json.loads(content)
        error = json.loads(content)["error"]
        assert answer.status in (500, 507), f"{method} {path} answered {answer.status}: {error}"
        assert set(error) == {"message", "type", "param", "code"}, error
        raise Refused(answer.status)

    def insist(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        """Ask until there is an answer: over again when the server was lost or its disk was full."""
        for _ in range(4):
            try:
                return self.call(method, path, body, headers)
            except Lost:
                if (code := self.wait()) != -signal.SIGKILL:
                    self.bad(f"the server ended with {code}")
                self.start()
            except Refused:
                self.heal()
            if path == "/v1/files" and method == "POST" and (found := self.adopt()):
                return found
        raise AssertionError(f"{method} {path}: no answer in four tries")

    def adopt(self) -> Any:
        """The file whose upload was lost, should it be there: never a torn one."""
        for file in self.insist("GET", "/v1/files")["data"]:
            if file["id"] not in self.files:
                return file
        return None

    def live(self) -> None:
        """Upload, train, wait; and when the fault cost the job, do it again."""
        self.start()
        self.upload()
        if self.train("first") != "succeeded":
            self.heal()
            assert self.train("second") == "succeeded", "no job succeeds any more"
        self.check_answers()

    def upload(self) -> None:
        boundary = b"--B\r\nContent-Disposition: form-data; "
        body = boundary + b'name="purpose"\r\n\r\nfine-tune\r\n'
        body += boundary + b'name="file"; filename="train.jsonl"\r\n\r\n' + CONTENT + b"\r\n--B--\r\n"
        made = self.insist("POST", "/v1/files", body, {"Content-Type": "multipart/form-data; boundary=B"})
        self.files[made["id"]] = CONTENT
        self.file = made["id"]

    def train(self, key: str) -> str:
        asked = {"model": BASE, "training_file": self.file, "hyperparameters": {"n_epochs": EPOCHS}}
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        job = self.insist("POST", "/v1/fine_tuning/jobs", json.dumps(asked).encode(), headers)
        self.jobs[key] = job["id"]
        deadline, healing_at = time.monotonic() + self.patience_s, float("inf")
        pause = threading.Event()
        while job["status"] not in FINISHED:
            assert time.monotonic() < deadline, f"the job stays {job['status']}"
            if self.heals and healing_at == float("inf") and self.happened:
                healing_at = time.monotonic() + 0.1
            if time.monotonic() > healing_at:
                self.heal()
            pause.wait(0.01)
            job = self.insist("GET", f"/v1/fine_tuning/jobs/{job['id']}")
        if job["status"] == "failed":
            error = job["error"]
            assert self.fault.code, f"failed after a kill: {error}"
            assert error["code"] in ("server_error", "training_crashed"), error
            assert "disk" in error["message"], error
        return str(job["status"])

    # what must hold

    def check_answers(self) -> None:
        """What was accepted is there; the job succeeded once and tells each thing once."""
        listed = self.insist("GET", "/v1/files")["data"]
        for file in listed:
            content = self.insist("GET", f"/v1/files/{file['id']}/content")
            if len(content) != file["bytes"] or (file["purpose"] == "fine-tune" and content != CONTENT):
                self.bad(f"a file of {file['bytes']} bytes has {len(content)}")
        if missing := self.files.keys() - {file["id"] for file in listed}:
            self.bad(f"accepted and gone: {missing}")
        jobs = self.insist("GET", "/v1/fine_tuning/jobs")["data"]
        if {job["id"] for job in jobs} != set(self.jobs.values()):
            self.bad(f"{len(jobs)} jobs for {len(self.jobs)} keys")
        done = [job for job in jobs if job["status"] == "succeeded"]
        models = [m["id"] for m in self.insist("GET", "/v1/models")["data"] if m["id"].startswith("ft:")]
        if models != [job["fine_tuned_model"] for job in done] or len(done) != 1:
            self.bad(f"{len(done)} successes, {len(models)} models")
        for job in done:
            self.check_story(job)

    def check_story(self, job: dict[str, Any]) -> None:
        base = f"/v1/fine_tuning/jobs/{job['id']}"
        told = [event["message"] for event in self.insist("GET", f"{base}/events?limit=1000")["data"]][::-1]
        steps = [message.split(":")[0] for message in told if message.startswith("Step ")]
        if steps != [f"Step {number}/{STEPS}" for number in range(1, STEPS + 1)]:
            self.bad(f"the events tell of {steps}")
        for once in ("The job has successfully completed", "New fine-tuned model", "Created fine-tuning job"):
            if sum(message.startswith(once) for message in told) != 1:
                self.bad(f"not told once: {once}")
        found = [point["step_number"] for point in self.insist("GET", f"{base}/checkpoints")["data"]]
        created = sum(message.startswith("Checkpoint created") for message in told)
        if found != [4, 2] or created != 2:
            self.bad(f"checkpoints {found}, {created} of them told of")
        (result,) = job["result_files"]
        rows = self.insist("GET", f"/v1/files/{result}/content").splitlines()
        if [row.split(b",")[0] for row in rows] != [b"step", b"1", b"2", b"3", b"4"]:
            self.bad(f"the result file has {rows}")

    def check_store(self) -> None:
        """With the server gone: the store opens, is whole, and holds nothing that no row names."""
        if self.end() == -signal.SIGKILL:  # only now: what is left is for the next one to clear
            self.start()
            self.end()
        store = Store(self.store)
        store.sweep()
        store.close()
        with contextlib.closing(sqlite3.connect(self.store / "store.db")) as db:
            if db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                self.bad("the database is damaged")
            if db.execute("PRAGMA foreign_key_check").fetchall():
                self.bad("rows name rows that are not there")
            blobs = {name for (name,) in db.execute("SELECT id FROM files WHERE deleted = 0")}
            folders = {name for (name,) in db.execute("SELECT folder FROM models")}
            failed = {name for (name,) in db.execute("SELECT id FROM jobs WHERE status = 'failed'")}
        expected = {"files": blobs, "models": folders, "incoming": set(), "jobs": failed}
        for name, names in expected.items():
            found = {path.name for path in (self.store / name).iterdir()}
            if found - names or (names - found and name != "jobs"):
                self.bad(f"{name}/ holds {sorted(found)}, expected {sorted(names)}")
        adapters = [path for name in folders for path in (self.store / "models" / name).iterdir()]
        if [path.name for path in adapters] != ["adapter_config.json"] * len(folders):
            self.bad(f"adapters: {adapters}")
        left = [path.name for path in self.store.rglob("*") if path.name.endswith(".tmp")]
        if left:
            self.bad(f"left behind: {left}")
        if wide := [str(path) for path in self.store.rglob("*") if path.stat().st_mode & 0o077]:
            self.bad(f"readable to others: {wide}")

    def check_log(self) -> None:
        log = self.log.read_text()
        if "Traceback" in log or "Exception in" in log:
            self.bad(f"the log has a traceback: {log[-2000:]}")
        if self.fault.code == 0 and log:
            self.bad(f"the log is not empty: {log[-2000:]}")


@contextlib.contextmanager
def laboratory() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory(prefix="crash-points-") as folder:
        lab = Lab(Path(folder))
        try:
            yield lab
        finally:
            lab.close()


ROWS: dict[str, tuple[Role, int, bool]] = {
    "server: SIGKILL at every change of its disk": ("server", 0, False),
    "worker: SIGKILL at every change of its disk": ("worker", 0, False),
    "server: one EIO at every change of its disk": ("server", errno.EIO, False),
    "worker: one EIO at every change of its disk": ("worker", errno.EIO, False),
    "server: disk full from every change on": ("server", errno.ENOSPC, True),
    "worker: disk full from every change on": ("worker", errno.ENOSPC, True),
    "server: quota used up at every change": ("server", errno.EDQUOT, True),
}


def faults(lab: Lab, row: str) -> list[Fault]:
    """Every fault of a row."""
    role, code, stays = ROWS[row]
    return [Fault(role, at, code, stays) for at in range(1, len(lab.count(role)) + 1)]


def play(lab: Lab, cases: Sequence[Fault]) -> list[str]:
    """What is wrong after all of these scenarios."""
    before = lab.happened
    bad = [problem for fault in cases for problem in lab.play(fault)]
    # The last calls of one life may have no counterpart in another: threads take turns as they please.
    if (happened := lab.happened - before) * 2 < len(cases):
        bad.append(f"of {len(cases)} faults only {happened} happened")
    return bad


def run_all() -> Iterator[tuple[str, int, list[str]]]:
    """Every row, as it is done: its name, how many scenarios it has, and what is wrong after them."""
    hands = os.cpu_count() or 1
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(hands) as pool:
        labs = [stack.enter_context(laboratory()) for _ in range(hands)]
        for row in ROWS:
            cases = faults(labs[0], row)
            played = pool.map(play, labs, [cases[number::hands] for number in range(hands)])
            yield row, len(cases), [problem for bad in played for problem in bad]
