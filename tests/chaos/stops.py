"""T9 and T10: locks, signals, and a reader that goes away."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from random import Random

from tests.chaos.harness import ROOT, Lab, World
from tests.chaos.order import Request
from tests.chaos.rows import Case, resume

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CONTENDERS = 8
ANY_MOMENTS = 100
WAY_ON = re.compile(r"(Go on with: .*run run\.yaml.*|; every step is done\.)\n\Z")
PROGRAM = """
import sys
from pipeline.__main__ import leave_at_once, main
leave_at_once()
print(flush=True)
sys.argv[0] = "finetune"
main()
"""
"""The command, which tells when the interpreter has started: until then Python does with signals as it likes."""


def signals(lab: Lab) -> Iterator[Case]:
    """T10: each signal at every failpoint: what is in flight is finished and recorded, and the way on is told."""
    trace = lab.reference.trace
    for signum in SIGNALS:
        for point, name in enumerate(trace, start=1):

            def happens(world: World, point: int = point, signum: int = signum) -> None:
                ended = world.run(signals={point: signum})
                if ended.code not in (128 + signum, 0) or (ended.code == 0 and point < len(trace) - 12):
                    world.bad(f"T10: exit {ended.code} after {signal.Signals(signum).name}")
                if ended.code and not WAY_ON.search(ended.err):
                    world.bad(f"T10: the way on is not told: {ended.err}")
                check_recorded(world)
                resume(world, job_posts=1)

            yield Case(f"T10 {signum.name} at {point} ({name})", happens)
    for point, name in enumerate(trace[:-1], start=1):

        def twice(world: World, point: int = point) -> None:
            ended = world.run(signals={point: signal.SIGINT, point + 1: signal.SIGINT})
            if ended.code not in (130, -signal.SIGINT, 0):
                world.bad(f"T10: exit {ended.code} after two SIGINT")
            resume(world)

        yield Case(f"T10 SIGINT at {point} ({name}) and at once again", twice)


def any_moment(lab: Lab) -> Iterator[Case]:
    """T10: a process of its own, imports and all, and a signal at a moment that nobody has chosen."""
    started = time.monotonic()
    with lab.world() as world:
        in_a_process_of_its_own(world, None, 0)
    whole_run_s = time.monotonic() - started

    for seed in range(ANY_MOMENTS):

        def happens(world: World, seed: int = seed) -> None:
            random = Random(seed)
            signum = random.choice(SIGNALS)
            code, out, err = in_a_process_of_its_own(world, random.uniform(0, whole_run_s), signum)
            if code != 128 + signum and not (code == 0 and "Talk to it" in out):
                world.bad(f"T10: exit {code} after {signum.name}: {err[-600:]}")
            if "Traceback" in err or "Exception ignored" in err:
                world.bad(f"T10: a traceback after {signum.name}: {err[-600:]}")
            if out and code and not WAY_ON.search(err):
                world.bad(f"T10: the way on is not told: {err}")
            check_recorded(world)
            resume(world, job_posts=1)

        yield Case(f"T10 a signal at the random moment {seed}", happens)


def in_a_process_of_its_own(world: World, after_s: float | None, signum: int) -> tuple[int, str, str]:
    """A run that is not forked from the zygote, and gets a signal after so many seconds."""
    often = ["--set=poll_job.interval_s=0.05", "--set=poll_file.interval_s=0.05"]
    env = {**os.environ, **world.env, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "run", "run.yaml", *often],
        cwd=world.folder / "work",
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            out, err = process.communicate(timeout=after_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signum)
            out, err = process.communicate()
    return process.returncode, out, err


def check_recorded(world: World) -> None:
    """What the server made in answer to this run is in the state."""
    state = world.state() or {"remote": {}}
    known = {attempt["remote_id"] for attempt in state["remote"].values()}
    made = {row["id"] for row in (*world.server.files, *world.server.jobs)}
    if made - known:
        world.bad(f"T10: made but not recorded: {made - known}")


def pauses(lab: Lab) -> Iterator[Case]:
    """T10: SIGSTOP at a point, hours pass, SIGCONT; and a pipe that nobody reads."""
    trace = lab.reference.trace
    for point in range(1, len(trace) + 1, 9):

        def sleeps(world: World, point: int = point) -> None:
            started = world.start(world.order(signals={point: signal.SIGSTOP}))
            if not world.wait_or_stop(started).stopped:
                world.bad("T10: it did not stop")
                return
            world.advance(8 * 3600)
            os.kill(started[0], signal.SIGCONT)
            world.wait(started)
            world.check_end(job_posts=1)

        yield Case(f"T10 asleep for eight hours at {point}", sleeps)

    def nobody_reads(world: World) -> None:
        if world.run(out="closed").code != 0:
            world.bad("T10: a closed pipe stops the run")
        world.check_end(job_posts=1)

    yield Case("T10 nobody reads", nobody_reads)


def lock_storm(lab: Lab, rounds: int) -> Iterator[Case]:
    """T9: eight processes at once on one directory: one gets it, seven are told; a killed holder frees it at once."""

    def storm(world: World) -> None:
        for number in range(rounds):
            started = dict(
                world.start(world.order(signals={1: signal.SIGSTOP, 2: signal.SIGSTOP})) for _ in range(CONTENDERS)
            )
            winners = []
            for _ in range(CONTENDERS):
                reply = world.lab.zygote.ask(Request(wait=-1, or_stopped=True))
                if reply.stopped:
                    winners.append(reply.pid)
                    continue
                assert reply.status is not None
                ended = world.ended_with(started[reply.pid], reply.status)
                if ended.code != 4:
                    world.bad(f"T9: round {number}: exit {ended.code}: {ended.err}")
            for pid in winners:
                os.kill(pid, signal.SIGKILL)
                world.lab.zygote.ask(Request(wait=pid))
            if len(winners) != 1:
                world.bad(f"T9: round {number}: {len(winners)} processes hold the lock")

    yield Case(f"T9 {CONTENDERS} processes, {rounds} rounds", storm)


def neighbours(lab: Lab) -> Iterator[Case]:
    """T9: a state changed underneath a run, and two directories with the same data."""

    def changed_underneath(world: World) -> None:
        world.run("run", "run.yaml", "--until", "convert")
        older = (world.run_dir / "state.json").read_bytes()
        world.run("run", "run.yaml", "--until", "poll_file")
        started = world.start(world.order(signals={"step.begin#1": signal.SIGSTOP}))
        world.wait_or_stop(started)
        (world.run_dir / "state.json").write_bytes(older)
        os.kill(started[0], signal.SIGCONT)
        ended = world.wait(started)
        if ended.code != 5:
            world.bad(f"T9: exit {ended.code} though the state was changed underneath: {ended.err}")
        if (world.run_dir / "state.json").read_bytes() != older:
            world.bad("T9: a state that somebody else wrote was overwritten")

    yield Case("T9 the state is changed underneath", changed_underneath)

    def lock_stays(world: World) -> None:
        """Unlinking it would let two processes lock two files of one name."""
        world.run("run", "run.yaml", "--until", "load")
        lock = world.run_dir / "state.lock"
        inode = lock.stat().st_ino if lock.exists() else None
        world.run("run", "run.yaml", "--until", "map")
        if inode is None or lock.stat().st_ino != inode:
            world.bad("T9: the lock file was unlinked")

    yield Case("T9 the lock file stays", lock_stays)

    def twin_directory(world: World) -> None:
        world.run()
        other = world.run("run", "run.yaml", "--set=name=other")
        if other.code != 0 or len(world.server.jobs) != 1 or len(world.server.files) != 1:
            world.bad(f"T9: {len(world.server.jobs)} jobs for the same data from two directories; exit {other.code}")
        if "made by another run directory" not in other.out:
            world.bad("T9: adopting another directory's job is not said")

    yield Case("T9 two directories, same data", twin_directory)

    def twin_of_a_stranger(world: World) -> None:
        """The other directory dies between its POST and its record; we adopt, it finds its own again."""
        world.run("run", "run.yaml", "--until", "poll_file")
        world.run("run", "run.yaml", "--set=name=other", "--until", "create_job")
        job = world.server.jobs[0]
        world.server.commit_job({**job, "metadata": {**job["metadata"], "finetune_run": "a-third-lineage"}})
        world.run()
        world.run("run", "run.yaml", "--set=name=other")
        if world.server.posts.count("job.cancel"):
            world.bad("T9: a job of another lineage was cancelled")

    yield Case("T9 only our own twins are cancelled", twin_of_a_stranger)
