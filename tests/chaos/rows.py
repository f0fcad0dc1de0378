"""The rows of the crash matrix, each as the scenarios that it consists of.

A scenario is a function that gets a fresh world and does something terrible to it; what is wrong afterwards is in
`world.problems`. Every test takes some of them, `make chaos` takes all.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from random import Random

from tests.chaos.harness import Lab, World
from tests.fault_server import Fault


@dataclasses.dataclass(frozen=True)
class Case:
    """One scenario; `overrides` are config keys."""

    name: str
    happens: Callable[[World], None]
    overrides: tuple[str, ...] = ()


def play(lab: Lab, cases: Iterable[Case]) -> list[str]:
    """What is wrong after each case; empty is good."""
    bad = []
    for case in cases:
        with lab.world(*case.overrides) as world:
            case.happens(world)
            bad += [f"{case.name}: {problem}" for problem in world.problems]
    return bad


def resume(
    world: World, *, exact: bool = True, job_posts: int | None = None, attempts: int = 3, rest: bool = True
) -> None:
    """Run again until it ends well, as a user would, and check everything."""
    for _ in range(attempts):
        before, done = world.state(), world.done()
        ended = world.run()
        world.check_progress(before)
        redone = ended.trace.count("step.begin") - (10 - len(done))
        if ended.code == 0 and redone > 0:
            world.bad(f"P11: {redone} steps too many ran again")
        if ended.code != 75:
            break
    world.check_end(exact=exact, job_posts=job_posts, rest=rest)


def window(trace: list[str]) -> list[int]:
    """The failpoints from the intent to make something remote to the record of it: where a kill costs money."""
    return [point for point in range(1, len(trace) + 1) if _between(trace, point)]


def _between(trace: list[str], point: int) -> bool:
    opened = [n for n, name in enumerate(trace, start=1) if name == "post.intended"]
    closed = [n for n, name in enumerate(trace, start=1) if name == "post.recorded"]
    return any(first <= point < last for first, last in zip(opened, closed, strict=True))


def kills(lab: Lab) -> Iterator[Case]:
    """T1: SIGKILL at every failpoint of a run, then the same command again."""
    trace = lab.reference.trace
    dangerous = set(window(trace))
    for point, name in enumerate(trace, start=1):

        def happens(world: World, point: int = point) -> None:
            ended = world.run(kill_at=point)
            if not ended.killed:
                world.bad(f"the kill at {point} did not happen")
            resume(world, job_posts=None if point in dangerous else 1, rest=point % 4 == 0)

        yield Case(f"T1 kill at {point} ({name})", happens)


def control(lab: Lab) -> Iterator[Case]:
    """The script that everybody writes, killed at each of its failpoints and with each answer lost."""
    with lab.world() as world:
        points = len(world.run(program="usual").trace)

    def again(world: World) -> None:
        world.run(program="usual")
        world.check_money()

    for point in range(1, points + 1):

        def killed(world: World, point: int = point) -> None:
            world.run(program="usual", kill_at=point)
            again(world)

        yield Case(f"control: kill at {point}", killed)
    for call in ("file.create", "job.create"):
        for kind in ("reset", "timeout", 500):

            def lost(world: World, call: str = call, kind: str | int = kind) -> None:
                world.server.faults.append(Fault(call, kind, commits=True))
                again(world)

            yield Case(f"control: {kind} after {call}", lost)


def forgotten(lab: Lab) -> Iterator[Case]:
    """SIGKILL at every failpoint, then the state and the one before are deleted, `repair`, and the same command."""
    for point, name in enumerate(lab.reference.trace, start=1):

        def happens(world: World, point: int = point) -> None:
            world.run(kill_at=point)
            lose_state(world)
            resume(world)

        yield Case(f"T1 kill at {point} ({name}) and the state deleted", happens)


def lose_state(world: World) -> None:
    for name in ("state.json", "state.json.prev"):
        (world.run_dir / name).unlink(missing_ok=True)
    if not world.run_dir.is_dir():
        return
    repaired = world.run("repair", "run.yaml")
    if repaired.code not in (0, 2):
        world.bad(f"repair ends with {repaired.code}: {repaired.err}")


def pairs(lab: Lab) -> Iterator[Case]:
    """T2: a kill where it costs money, then one at each point of the run that recovers."""
    for point in window(lab.reference.trace):
        with lab.world() as world:
            world.run(kill_at=point)
            again = len(world.run().trace)
        for second in range(1, again + 1):

            def happens(world: World, first: int = point, second: int = second) -> None:
                world.run(kill_at=first)
                world.run(kill_at=second)
                resume(world)

            yield Case(f"T2 kill at {point}, then at {second}", happens)


def at_random(lab: Lab, number: int = 1000) -> Iterator[Case]:
    """T5: one to five kills, every other time where it costs money, and sometimes the state is lost between."""
    total, dangerous = len(lab.reference.trace), window(lab.reference.trace)
    for seed in range(number):

        def happens(world: World, seed: int = seed) -> None:
            random = Random(seed)
            for _ in range(random.randint(1, 5)):
                world.run(kill_at=random.choice(dangerous) if seed % 2 else random.randint(1, total))
                if random.random() < 0.1:
                    lose_state(world)
            resume(world)

        yield Case(f"T5 seed {seed}", happens)
