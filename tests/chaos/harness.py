"""Runs the ten steps against the fault server, kills them, runs them again, and judges what is left.

The truth is the server's own log and the bytes on the disk, never what a run says of itself.
"""

import contextlib
import copy
import dataclasses
import itertools
import json
import mmap
import os
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import StateDamaged
from pipeline.samples.chatdb import DIRECT, create_chat_db, insert
from pipeline.state.file import State
from tests.chaos.order import Disk, Line, Order, Reply, Request
from tests.fault_server import FaultServer, fault_server

ROOT = Path(__file__).parent.parent.parent
KEY = "sk-canary-4f1d0c9e77"
SAID = "The heron keeps its umbrella in the piano"
"""A sentence of the archive that may be where the chats are, and nowhere else."""
ANSWERED = "I left the umbrella where the heron found it"
"""What the tuned model answers; the same holds for it."""
LOCAL = ("download", "load", "merge", "map", "convert")
DOCUMENTED = {0, 2, 3, 4, 5, 6, 7, 75, 130, 143, 129}
CHAT_FILES = re.compile(
    r"(\.new-|\.)?(01_archive\.db|0[234]_\w+\.jsonl|05_(train|valid)\.jsonl|10_smoke_test\.json)(\.\w+\.(tmp|part))?"
)
Json = Any


class Zygote:
    """The process that all processes of scenarios are forked from."""

    def __init__(self) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("FINETUNE_", "OPENAI_"))}
        env |= {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.zygote"],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    @property
    def _answers(self) -> Any:
        return self._process.stdout

    def ask(self, request: Request) -> Reply:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(request) + b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._answers.readline(), type=Reply)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._answers.close()


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a process ended: an exit code, or minus a signal; what it said; the failpoints it reached."""

    code: int
    out: str
    err: str
    trace: list[str]

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


@dataclasses.dataclass(frozen=True)
class Reference:
    """What a run without trouble leaves: its trace, its state without ids and times, and its artifacts."""

    trace: list[str]
    state: Json
    artifacts: dict[str, bytes]
    posts: list[str]
    requests: Counter[str]


class Lab:
    """One fault server, one zygote, and what an untroubled run against them looks like."""

    def __init__(self, zygote: Zygote, server: FaultServer, root: Path) -> None:
        self.zygote = zygote
        self.server = server
        self.root = root
        self.archive = root / "chat.db"
        write_archive(self.archive)
        self._numbers = itertools.count(1)
        self._warm_up()
        self.reference = self._reference()

    def _warm_up(self) -> None:
        """Against a server of its own: no child may inherit a connection."""
        folder = self.root / "warm-up"
        folder.mkdir()
        with fault_server() as other:
            world = World(self, folder, other, ())
            reply = self.zygote.ask(Request(warm_up=world.order("run", "run.yaml")))
            if reply.status != 0:
                raise RuntimeError("the zygote cannot run the ten steps")
            world.close()

    def _reference(self) -> Reference:
        with self.world() as world:
            ended = world.run()
            if ended.code != 0:
                raise RuntimeError(f"an untroubled run ends with {ended.code}: {ended.err}")
            return Reference(
                ended.trace,
                world.normal_state(),
                world.artifacts(),
                list(self.server.posts),
                Counter(self.server.requests),
            )

    @contextlib.contextmanager
    def world(self, *overrides: str) -> "Iterator[World]":
        """A server without a past and an empty folder."""
        self.server.reset()
        self.server.says = ANSWERED
        self.server.checks_files = True
        folder = self.root / f"w{next(self._numbers)}"
        folder.mkdir()
        world = World(self, folder, self.server, overrides)
        try:
            yield world
        finally:
            world.close()
            shutil.rmtree(folder, ignore_errors=True)


class World:
    """One scenario: a folder with a config, a run directory to come, and the server's log."""

    def __init__(self, lab: Lab, folder: Path, server: FaultServer, overrides: Sequence[str]) -> None:
        self.lab = lab
        self.server = server
        self.folder = folder
        self.overrides = [*overrides]
        self.run_dir = folder / "work" / "runs" / "chaos"
        self.env = {"OPENAI_API_KEY": KEY}
        self.ended: list[Ended] = []
        self.problems: list[str] = []
        self.mutants: Sequence[str] = ()
        self.not_ours: set[str] = set()
        self.states = 0
        self.allowed_jobs = 1
        self.damaged = False  # by the test: that it cannot be read is as it should be
        (folder / "work").mkdir()
        (folder / "work" / "run.yaml").write_text(_CONFIG.format(archive=lab.archive, base_url=self.server.base_url))
        clock = folder / "clock"
        clock.write_bytes(struct.pack("dd", 1000.0, 0.0))
        with clock.open("r+b") as file:
            self._clock = mmap.mmap(file.fileno(), 16)
        self.server.now = self.time

    def close(self) -> None:
        self.server.now = lambda: 0.0
        self._clock.close()

    def time(self) -> float:
        """Seconds on the monotonic clock of every process here."""
        return float(struct.unpack_from("d", self._clock, 0)[0])

    def advance(self, seconds: float) -> None:
        struct.pack_into("d", self._clock, 0, self.time() + seconds)

    def set_wall_clock_wrong_by(self, seconds: float) -> None:
        struct.pack_into("d", self._clock, 8, seconds)

    def order(
        self,
        *argv: str,
        kill_at: int = 0,
        signals: Mapping[int | str, int] | None = None,
        line: Line | None = None,
        disk: Disk | None = None,
        mutants: Sequence[str] = (),
        program: str = "pipeline",
        record: Path | None = None,
        file_limit: int | None = None,
        interrupts: bool = False,
        out: str | None = None,
    ) -> Order:
        """A process here; `kill_at` is the failpoint, from 1, at which it dies of SIGKILL.

        `signals` go by number or by name: at the 17th failpoint, or at the second of a name, "post.answered#2".
        """
        number = len(list(self.folder.glob("trace*")))
        (self.folder / f"trace{number}").touch()
        sent = {str(at): int(signum) for at, signum in (signals or {}).items()}
        if kill_at:
            sent[str(kill_at)] = signal.SIGKILL
        return Order(
            argv=[*(argv or ("run", "run.yaml")), *(f"--set={each}" for each in self.overrides)],
            cwd=str(self.folder / "work"),
            env=self.env,
            out=out or str(self.folder / f"out{number}"),
            err=str(self.folder / f"err{number}"),
            trace=str(self.folder / f"trace{number}"),
            clock=str(self.folder / "clock"),
            signals=sent,
            mutants=[*(mutants or self.mutants)],
            line=line,
            disk=disk,
            record=None if record is None else str(record),
            program=program,
            file_limit=file_limit,
            interrupts=interrupts,
        )

    def start(self, order: Order) -> tuple[int, Order]:
        return self.lab.zygote.ask(Request(start=order)).pid, order

    def wait(self, started: tuple[int, Order]) -> Ended:
        pid, order = started
        status = self.lab.zygote.ask(Request(wait=pid)).status
        assert status is not None
        return self.ended_with(order, status)

    def wait_or_stop(self, started: tuple[int, Order]) -> Reply:
        """Wait until the process has ended, or stopped (SIGSTOP)."""
        return self.lab.zygote.ask(Request(wait=started[0], or_stopped=True))

    def ended_with(self, order: Order, status: int) -> Ended:
        out = "" if order.out == "closed" else Path(order.out).read_text()
        ended = Ended(status, out, Path(order.err).read_text(), Path(order.trace).read_text().split())
        self.ended.append(ended)
        if order.program == "pipeline":
            self._judge(ended)
        return ended

    def run(self, *argv: str, **more: Any) -> Ended:
        """Run a process to its end, whichever that is."""
        return self.wait(self.start(self.order(*argv, **more)))

    # What is left

    def state(self) -> Json | None:
        path = self.run_dir / "state.json"
        with contextlib.suppress(ValueError, FileNotFoundError):  # check_readable speaks of those
            found = json.loads(path.read_bytes()) if path.is_file() else None
            return found.get("body") if isinstance(found, dict) else None
        return None

    def done(self) -> set[str]:
        state = self.state()
        return {name for name, step in state["steps"].items() if step["status"] == "done"} if state else set()

    def normal_state(self) -> Json:
        return normal(self.state())

    def artifacts(self) -> dict[str, bytes]:
        """By name; how long an answer took is left out."""
        found = {path.name: path.read_bytes() for path in sorted(self.run_dir.iterdir()) if path.name[:2].isdigit()}
        return {name: re.sub(rb'"seconds": [0-9.e-]+', b"", content) for name, content in found.items()}

    # Properties

    def bad(self, what: str) -> None:
        if what not in self.problems:
            self.problems.append(what)

    def _judge(self, ended: Ended) -> None:
        """What holds after every process, however it ended: P7, P8 and P9."""
        if ended.code not in DOCUMENTED and ended.code not in (-signal.SIGKILL, -signal.SIGINT):
            self.bad(f"P8: exit {ended.code}: {ended.err[-600:]}")
        if "Traceback" in ended.err:
            self.bad(f"P8: a traceback: {ended.err[-600:]}")
        if ended.code > 0 and not ended.err.rpartition("\n")[0].rpartition("\n")[2].startswith(
            ("error: ", "stopped by ")
        ):
            self.bad(f"P8: exit {ended.code} without a message: {ended.err[-300:]}")
        self.check_readable()
        self.check_private(ended)

    def check_readable(self) -> None:
        """P7 and P5: the state can be read, and names nothing that is missing or different."""
        if self.damaged or not self.run_dir.is_dir():
            return
        try:
            state = State.load(self.run_dir)
        except StateDamaged as error:
            self.bad(f"P7: {error}")
            return
        for name, record in state.body.steps.items():
            if record.status == "done":
                record.stats.clear()
                wrong = state.intact(record)
                if wrong:
                    self.bad(f"P5: {name} is done, but {wrong}")

    def check_private(self, ended: Ended) -> None:
        """P9: no key anywhere, no chat outside the files that are chats, nothing that others can read."""
        for path in [*(self.folder / "work").rglob("*")]:
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISLNK(status.st_mode):
                continue  # planted by the case; a link's own mode says nothing
            if path.name != "run.yaml" and path.name != "runs" and stat.S_IMODE(status.st_mode) & 0o077:
                self.bad(f"P9: {path.name} has mode {stat.S_IMODE(status.st_mode):o}")
            if not stat.S_ISREG(status.st_mode):
                continue
            content = path.read_bytes()
            if KEY.encode() in content:
                self.bad(f"P9: the key is in {path.name}")
            is_chat = path.parent.parent == self.run_dir.parent and CHAT_FILES.fullmatch(path.name)
            content = b" ".join(content.split())  # what is streamed may be written word by word
            if not is_chat and (SAID.encode() in content or ANSWERED.encode() in content):
                self.bad(f"P9: chat text is in {path.name}")
        if KEY in ended.out + ended.err:
            self.bad("P9: the key was printed")
        if SAID in ended.out + ended.err or ANSWERED in ended.err:
            self.bad("P9: chat text was printed")

    def check_end(self, *, exact: bool = True, job_posts: int | None = None, rest: bool = True) -> None:
        """After a run that ended well: one file, one job, everything as without trouble (P1-P4, P10)."""
        self.check_money()
        if not self.ended or self.ended[-1].code != 0:
            last = self.ended[-1] if self.ended else None
            self.bad(f"P8: it does not end well: {last.code if last else None} {last.err[-600:] if last else ''}")
            return
        reference = self.lab.reference
        if exact and self.normal_state() != reference.state:
            self.bad(f"P4: another state: {_first_difference(self.normal_state(), reference.state)}")
        if exact and self.artifacts() != reference.artifacts:
            names = {n for n, b in self.artifacts().items() if reference.artifacts.get(n) != b}
            self.bad(f"P4: other artifacts: {names or set(reference.artifacts) - set(self.artifacts())}")
        if job_posts is not None and self.server.posts.count("job.create") != job_posts:
            self.bad(f"P3: {self.server.posts.count('job.create')} POSTs of a job, expected {job_posts}")
        if rest:
            self.check_rest()

    def check_money(self) -> None:
        """P1 and P2: by the server's log."""
        billed = [job for job in self.server.billed() if job["id"] not in self.not_ours]
        if len(billed) > self.allowed_jobs:
            self.bad(f"P1: billed {len(billed)} jobs")
        used = ((self.state() or {}).get("steps", {}).get("create_job", {}).get("output") or {}).get("job")
        if used in self.not_ours:
            self.bad(f"P1: {used} is somebody else's")
        stored = Counter(file["filename"] for file in self.server.files)
        if any(count > 1 for count in stored.values()):
            self.bad(f"P2: {max(stored.values())} copies of a file")

    def check_rest(self) -> None:
        """P10: one more run writes nothing and sends nothing."""
        posts, before = len(self.server.posts), (self.run_dir / "state.json").read_bytes()
        again = self.run()
        if again.code != 0 or len(self.server.posts) != posts:
            self.bad(f"P10: a finished run ends with {again.code} and {len(self.server.posts) - posts} POSTs")
        written = [point for point in again.trace if point.startswith(("write", "publish", "post"))]
        if written or (self.run_dir / "state.json").read_bytes() != before:
            self.bad(f"P10: a finished run writes: {written}")

    def check_progress(self, before: Json | None) -> None:
        """P6: what was done stays done, the serial grows, the lineage stays."""
        now = self.state()
        if before is None or now is None:
            return
        if now["lineage"] != before["lineage"]:
            self.bad("P6: another lineage")
        if now["serial"] < before["serial"]:
            self.bad("P6: the serial went back")
        lost = {n for n, s in before["steps"].items() if s["status"] == "done"} - self.done()
        if lost:
            self.bad(f"P6: no longer done: {lost}")


_CONFIG = """\
name: chaos
backend:
  kind: compatible
  base_url: {base_url}
download:
  source: {archive}
map:
  assistant: me
convert:
  min_examples: 1
create_job:
  model: gpt-4.1-nano
  suffix: heron
  seed: 7
smoke_test:
  compare_base: false
"""


def write_archive(path: Path) -> None:
    """Two short conversations."""
    db = create_chat_db(path)
    for number in (1, 2):
        friend = insert(db, "handle", {"id": f"+1555010{number}", "service": "iMessage"})
        chat = insert(db, "chat", {"guid": f"any;-;+1555010{number}", "style": DIRECT})
        for turn, text in enumerate((f"{SAID}, number {number}.", "Does it?", "Where else?", "Under the hat.")):
            row: dict[str, str | int | bytes | None] = {
                "guid": f"guid-{number}-{turn}",
                "date": (700_000_000 + number * 100 + turn) * 10**9,
                "text": text,
                "handle_id": friend,
                "is_from_me": turn % 2,
            }
            message = insert(db, "message", row)
            insert(db, "chat_message_join", {"chat_id": chat, "message_id": message})
    db.commit()
    db.close()


_TIMES = ("started_at", "finished_at", "seconds", "attempts", "stats", "first_at", "tries", "how")
_MADE_OF_IDS = ("output_digest", "fingerprint", "needs")


def normal(state: Json) -> Json:
    """A state without ids, times and counters, to be compared with another run's."""
    body = copy.deepcopy(state)
    for name in ("lineage", "serial", "rebuilt"):
        body.pop(name, None)
    for step, record in body["steps"].items():
        for name in _TIMES + (() if step in LOCAL else _MADE_OF_IDS):
            record.pop(name, None)
        if step == "smoke_test":  # its transcript holds seconds; artifacts() compares it without them
            record.pop("artifacts", None)
            (record.get("output") or {}).pop("transcript", None)
    for attempt in body.get("remote", {}).values():
        for name in _TIMES:
            attempt.pop(name, None)
    text = re.sub(r"\b(file|ftjob)-\w+", r"\1-ID", json.dumps(body, sort_keys=True))
    return json.loads(text)


def _first_difference(one: Json, other: Json, at: str = "") -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if one.get(key) != other.get(key):
                return _first_difference(one.get(key), other.get(key), f"{at}.{key}")
    return f"{at}: {one!r} instead of {other!r}"


@contextlib.contextmanager
def laboratory() -> Iterator[Lab]:
    """Everything that a scenario needs, for as many as there are; on a RAM disk where there is one."""
    ram = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="finetune-chaos-", dir=ram if ram.is_dir() and os.access(ram, os.W_OK) else None)
    zygote = Zygote()
    try:
        with fault_server() as server:
            yield Lab(zygote, server, Path(folder))
            if server.bugs:
                raise RuntimeError(f"the fault server has bugs: {server.bugs}")
    finally:
        zygote.close()
        shutil.rmtree(folder, ignore_errors=True)
