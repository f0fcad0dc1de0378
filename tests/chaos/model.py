"""T12: whatever a user, a network, a disk and a provider do, in any order, at most what was asked for is billed."""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.chaos.faults import decide
from tests.chaos.harness import KEY, Lab, World
from tests.fault_server import Fault

LOST = ["reset", "timeout", "cut", "garbage", "no_id", 500, 409]
CALLS = ["file.create", "file.list", "file.get", "job.create", "job.list", "job.get", "job.events"]
ENDS_IN_A_DECISION = "another one would cost"


@contextlib.contextmanager
def prepared(lab: Lab) -> Iterator[Path]:
    """A run directory in which the local steps are done: the model is about what comes after them."""
    folder = lab.root / "prepared"
    with lab.world() as world:
        world.run("run", "run.yaml", "--until", "convert")
        shutil.copytree(world.run_dir, folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class Machine(RuleBasedStateMachine):
    """A run directory, a backend, and everything that happens to them. Subclassed with a laboratory by the tests."""

    lab: Lab
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.world: World
        self.allowed = 1
        self.old_states: list[bytes] = []

    @initialize()
    def begin(self) -> None:
        self.world = self.stack.enter_context(self.lab.world("backend.timeout_s=0.5", "upload.timeout_s=0.5"))
        self.world.run_dir.parent.mkdir(mode=0o700)
        shutil.copytree(self.template, self.world.run_dir)
        self.world.server.accounts = {KEY: "ours", "sk-rotated": "ours", "sk-other": "theirs"}

    @rule(kill_at=st.just(0) | st.integers(1, 120))
    def run(self, kill_at: int) -> None:
        state = self.world.run_dir / "state.json"
        if state.exists():
            self.old_states.append(state.read_bytes())
        before = self.world.state() if self._readable() else None
        ended = self.world.run(kill_at=kill_at)
        if self._readable() and ended.code not in (5, 6):
            self.world.check_progress(before)
        self._answer(ended.code)

    def _answer(self, code: int) -> None:
        """What a user does about exit 3 and 5."""
        if code == 3 and ENDS_IN_A_DECISION not in self.world.ended[-1].err:
            decide(self.world)
        if code == 5:
            self.world.problems.clear()  # we damaged it, and it said so
            assert self.world.run("repair", "run.yaml").code == 0

    def _readable(self) -> bool:
        with contextlib.suppress(ValueError):
            self.world.state()
            return True
        return False

    @rule(call=st.sampled_from(CALLS), kind=st.sampled_from(LOST), commits=st.booleans(), skip=st.integers(0, 2))
    def fault(self, call: str, kind: str | int, commits: bool, skip: int) -> None:
        self.world.server.faults.append(Fault(call, kind, commits, skip=skip))

    @rule(reads=st.integers(0, 3))
    def lists_are_late(self, reads: int) -> None:
        self.world.server.stale = reads

    @rule(hours=st.floats(0.01, 30))
    def time_passes(self, hours: float) -> None:
        self.world.advance(hours * 3600)

    @rule(seed=st.sampled_from([7, 7, 8]))
    def edit(self, seed: int) -> None:
        self.world.overrides = [each for each in self.world.overrides if "seed" not in each]
        self.world.overrides.append(f"create_job.seed={seed}")

    @rule()
    def buy_another(self) -> None:
        """A user who gives --new-job wants one more, and gets no more than that."""
        if self._readable():
            self.allowed += 1
            self._answer(self.world.run("run", "run.yaml", "--new-job").code)

    # What is drawn must not depend on what a run has made of it: that is what lets Hypothesis shrink.
    @rule(how=st.sampled_from(["empty", "cut", "flip", "delete", "delete both", "older"]), where=st.integers(0, 9999))
    def damage(self, how: str, where: int) -> None:
        path = self.world.run_dir / "state.json"
        raw = path.read_bytes() if path.exists() else b""
        if how.startswith("delete"):
            path.unlink(missing_ok=True)
            if how == "delete both":
                (self.world.run_dir / "state.json.prev").unlink(missing_ok=True)
        elif how == "older" and self.old_states:
            path.write_bytes(self.old_states[where % len(self.old_states)])
        elif how == "flip" and raw:
            at = where % len(raw)
            path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        elif how in ("empty", "cut"):
            path.write_bytes(b"" if how == "empty" else raw[: len(raw) // 2])
        # Damage is no progress, and no fault of the run that comes next.
        self._answer(self.world.run("status", "run.yaml").code)

    @rule()
    def two_at_once(self) -> None:
        first = self.world.start(self.world.order(signals={1: signal.SIGSTOP}))
        reply = self.world.wait_or_stop(first)
        if reply.status is not None:  # it had nothing to write
            self._answer(self.world.ended_with(first[1], reply.status).code)
            return
        second = self.world.run()
        assert second.code == 4, f"T9: a second process ends with {second.code}"
        os.kill(first[0], signal.SIGCONT)
        self._answer(self.world.wait(first).code)

    @rule(key=st.sampled_from([KEY, "sk-rotated", "sk-other"]))
    def another_key(self, key: str) -> None:
        self.world.env["OPENAI_API_KEY"] = key

    @rule()
    def provider_restarts_the_job(self) -> None:
        for job in self._ours()[:1]:
            if job["status"] not in ("succeeded", "failed", "cancelled"):
                job["status"] = "failed"
                self.world.server.cancelled_unstarted.add(job["id"])
                self.world.server.commit_job({**job, "suffix": job["user_provided_suffix"]}, "ours")

    @rule()
    def user_cancels_in_the_dashboard(self) -> None:
        for job in self._ours():
            self.world.server.cancel(job)

    @rule()
    def files_expire(self) -> None:
        self.world.server.files.clear()

    def _ours(self) -> list[dict[str, Any]]:
        return self.world.server.jobs

    @invariant()
    def nobody_pays_for_more_than_was_asked_for(self) -> None:
        if not hasattr(self, "world"):
            return
        billed = self.world.server.billed()
        assert len(billed) <= self.allowed, f"P1: billed {len(billed)} jobs, asked for {self.allowed}"
        names = [file["filename"] for file in self.world.server.files]
        assert len(names) == len(set(names)), "P2: a file is there twice"
        assert not [p for p in self.world.problems if not p.startswith("P2")], self.world.problems

    def teardown(self) -> None:
        with self.stack:
            if hasattr(self, "world"):
                self._ends_well()

    def _ends_well(self) -> None:
        """With all well again, the run ends: done, or with the choice to buy another where the job came to nothing."""
        world = self.world
        world.server.faults.clear()
        world.server.stale = 0
        world.env["OPENAI_API_KEY"] = KEY
        for _ in range(5):
            code = world.run().code
            if code in (0, 6) or (code == 3 and ENDS_IN_A_DECISION in world.ended[-1].err):
                break
            self._answer(code)
        assert code in (0, 3, 6), f"P8: it does not end: {code} {world.ended[-1].err}"
        if code == 0:
            world.check_rest()
        self.nobody_pays_for_more_than_was_asked_for()


def search(lab: Lab, seed_: int, examples: int) -> list[str]:
    """What so many examples find wrong: nothing, or the shortest story of it."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=5,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    with prepared(lab) as template:
        machine = seed(seed_)(type("Machine", (Machine,), {"lab": lab, "template": template}))
        try:
            run_state_machine_as_test(machine, settings=chosen)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what was found
            return [f"T12 seed {seed_}: {_story(error)}"]
    return []


def _story(error: BaseException) -> str:
    """What went wrong and the shortest way there, as Hypothesis notes it."""
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    notes = "\n".join(getattr(error, "__notes__", []))
    return "\n".join([f"{error}\n{notes}", *map(_story, inner)])
