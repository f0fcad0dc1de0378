"""T15: jobs of days, outages of days, clocks that are wrong: the clock is the harness's, and nobody waits."""

from collections.abc import Iterator

from tests.chaos.faults import recover
from tests.chaos.harness import Lab, World
from tests.chaos.rows import Case, resume

HOUR = 3600.0


def days(lab: Lab, slow: bool = False) -> Iterator[Case]:
    """T15; `slow` polls as often as a user's run would."""
    pace = () if slow else ("poll_job.max_interval_s=1800",)

    def long_job(world: World) -> None:
        """A hundred hours, polled with two rounds a minute at the most, and said to be stuck."""
        world.server.status_by_time = lambda age: "succeeded" if age > 100 * HOUR else "running"
        start = world.time()
        ended = world.run()
        minutes = (world.time() - start) / 60
        if ended.code != 0 or minutes < 6000:
            world.bad(f"T15: exit {ended.code} after {minutes:.0f} minutes")
        if world.server.requests["job.get"] > 2 * minutes:
            world.bad(f"T15: {world.server.requests['job.get']} polls in {minutes:.0f} minutes")
        if "without a sign of life" not in ended.out:
            world.bad("T15: nothing is said of a job that does not move")
        world.check_end(job_posts=1)

    yield Case("T15 a job of a hundred hours", long_job, pace)

    def outage(world: World) -> None:
        """Three days without an answer: given up each day, with the command to go on, and nothing lost."""
        world.run("run", "run.yaml", "--until", "create_job")
        ends = world.time() + 72 * HOUR
        world.server.down = lambda: world.time() < ends
        codes = []
        for _ in range(6):
            codes.append(world.run().code)
            if codes[-1] == 0:
                break
        if codes[-1] != 0 or set(codes[:-1]) != {75}:
            world.bad(f"T15: exits {codes} during an outage of three days")
        world.check_end(job_posts=1)

    yield Case("T15 an outage of 72 hours", outage, pace)

    for name, wrong_by in (("an hour back", -HOUR), ("a year ahead", 365 * 24 * HOUR)):

        def wrong_clock(world: World, wrong_by: float = wrong_by) -> None:
            world.run("run", "run.yaml", "--until", "create_job")
            world.set_wall_clock_wrong_by(wrong_by)
            start = world.time()
            resume(world, job_posts=1)
            if world.time() - start > 10 * 60:
                world.bad("T15: a wall clock that is set makes the run wait")

        yield Case(f"T15 the clock is set {name}", wrong_clock)

    def summer_time(world: World) -> None:
        world.env["TZ"] = "Europe/Berlin"
        world.set_wall_clock_wrong_by(-28 * 24 * HOUR)  # over the end of summer time
        world.run()
        recover(world)

    yield Case("T15 summer time ends", summer_time)
