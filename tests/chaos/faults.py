"""T3 and its neighbours: everything that one call to a backend can do to a run, and what has to come of it."""

import signal
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.chaos.harness import KEY, Lab, World
from tests.chaos.order import Line
from tests.chaos.rows import Case, resume, window
from tests.fault_server import FOREVER, Fault, http_date

CALLS = (
    "file.create", "file.list", "file.get", "file.delete", "file.content",
    "job.create", "job.list", "job.get", "job.cancel", "job.events", "chat",
)  # fmt: skip
DAILY = {"message": "You have reached the daily limit", "type": "requests", "code": "daily_rate_limit_exceeded"}
ECHO = {"message": "Line 3 is wrong: The heron keeps its umbrella in the piano, number 1.", "type": "invalid"}


class Kind(NamedTuple):
    """One way to go wrong.

    Attributes:
        posts: of a create call that this happens to once, how many POSTs are right in all.
    """

    name: str
    kind: str | int
    commits: bool = False
    body: dict[str, str] | None = None
    headers: tuple[tuple[str, str], ...] = ()
    reads: int = 0
    posts: int = 2

    def fault(self, call: str, skip: int = 0, times: int = 1) -> Fault:
        return Fault(call, self.kind, self.commits, self.body, self.headers, skip, times, self.reads)


LINE = ("dns", "refused", "tls")
BEFORE = [
    Kind("reset before", "reset"),
    Kind("timeout before", "timeout"),
    Kind("408", 408),
    Kind("409", 409),
    Kind("429", 429),
    Kind("429 in 5 s", 429, headers=(("Retry-After", "5"),)),
    Kind("429 at a date", 429, headers=(("Retry-After", http_date(1_800_000_000)),)),
    Kind("429 in 0 s", 429, headers=(("Retry-After", "0"),)),
    Kind("429 in two hours", 429, headers=(("Retry-After", "7200"),)),
    Kind("429 soon", 429, headers=(("Retry-After", "soon"),)),
    Kind("429 daily", 429, body=DAILY, headers=(("Retry-After", "7200"),)),
    Kind("500 before", 500),
    Kind("503 in 5 s", 503, headers=(("Retry-After", "5"),)),
    Kind("401", 401),
    Kind("403", 403),
    Kind("404", 404),
    Kind("400 that echoes the chat", 400, body=ECHO),
]
AFTER = [
    Kind("reset after", "reset", commits=True, posts=1),
    Kind("timeout after", "timeout", commits=True, posts=1),
    Kind("408 after", 408, commits=True, posts=1),
    Kind("409 after", 409, commits=True, posts=1),
    Kind("500 after", 500, commits=True, posts=1),
    Kind("502 page after", 502, commits=True, posts=1),
    Kind("cut", "cut", commits=True, posts=1),
    Kind("garbage", "garbage", commits=True, posts=1),
    Kind("no id", "no_id", commits=True, posts=1),
    Kind("wrong id", "wrong_id", posts=1),
    Kind("nulls", "nulls", posts=1),
    Kind("unknown status", "unknown_status", posts=1),
    Kind("slow drip", "drip", posts=1),
]
REFUSALS = ("401", "403", "404", "400 that echoes the chat")
CREATE_ONLY = [
    Kind("duplicate delivery", "duplicate", posts=1),
    Kind("late by 1 read", "late", reads=1, posts=1),
    Kind("late by 4 reads", "late", reads=4, posts=1),
]
PLACES = ("first", "every", "last")


def kinds_of(call: str) -> list[Kind]:
    """The ways that make sense for this call."""
    if call == "file.content":  # any bytes may be a result file
        return BEFORE + [kind for kind in AFTER if kind.kind not in ("no_id", "wrong_id", "nulls", "unknown_status")]
    return BEFORE + AFTER + (CREATE_ONLY if call.endswith("create") else [])


def answers(lab: Lab, places: tuple[str, ...] = PLACES) -> Iterator[Case]:
    """T3: each way to go wrong, at the first, at every and at the last call of its kind in a run."""
    for call in CALLS:
        for place in places:
            for kind in kinds_of(call):
                yield _case(lab, call, place, kind)
            for name in LINE:
                yield _line_case(lab, call, place, name)


def setup(world: World, call: str, place: str) -> None:
    """Make a run that makes this call at all."""
    if call != "job.cancel":
        return
    world.server.faults.append(Fault("job.create", "duplicate"))
    if place == "every":  # long enough in the queue to be cancelled when the server does so again
        world.server.status_by_time = lambda age: "queued" if age < 4 * 3600 else "succeeded"


def never_cancels(world: World) -> None:
    """A server that refuses to cancel is one that bills: the user must at least be told."""
    world.allowed_jobs = 2
    if not any("WARNING: ftjob-2 is the same job made twice" in ended.out for ended in world.ended):
        world.bad("T3: nothing is said of a twin that runs")


def is_done_without(call: str, place: str, kind: Kind) -> bool:
    """Metrics and events that the server refuses, or tells otherwise: the model is what was paid for."""
    if call == "job.events":
        return kind.name == "unknown status" or (place == "every" and kind.name in (*REFUSALS, "nulls"))
    return call == "file.content" and kind in BEFORE


def overrides_for(call: str, place: str, kind: str) -> tuple[str, ...]:
    waits = ("backend.timeout_s=0.5", "upload.timeout_s=0.5") if kind.startswith("timeout") else ()
    # Given up after ten minutes, not a day: T15 has the days, and a look takes real time.
    gives_up: tuple[str, ...] = ("poll_file.outage_s=600", "poll_job.outage_s=600") if place == "every" else ()
    if place == "every" and kind == "unknown status":
        gives_up += ("poll_job.timeout_s=600",)  # such a job is waited for as long as it takes
    if call == "job.cancel":
        gives_up += ("poll_job.max_interval_s=1800",)
    return (*waits, *gives_up, *(("upload.cleanup=true",) if call == "file.delete" else ()))


def _calls_in_a_run(lab: Lab, call: str) -> int:
    return {"file.delete": 1, "job.cancel": 1}.get(call, lab.reference.requests[call])


def _place(lab: Lab, call: str, place: str) -> tuple[int, int]:
    return {"first": (0, 1), "every": (0, FOREVER), "last": (max(0, _calls_in_a_run(lab, call) - 1), 1)}[place]


def _case(lab: Lab, call: str, place: str, kind: Kind) -> Case:
    skip, times = _place(lab, call, place)

    def happens(world: World) -> None:
        setup(world, call, place)
        world.server.faults.append(kind.fault(call, skip, times))
        world.run()
        if call == "job.cancel" and place == "every" and kind.name in REFUSALS:
            never_cancels(world)
        if place == "every":
            world.server.faults.clear()
        recover(world, cleans_up=call == "file.delete" or is_done_without(call, place, kind))
        if place == "first" and call in ("file.create", "job.create"):
            sent = world.server.posts.count(call)
            if sent != kind.posts:
                world.bad(f"T16: {sent} POSTs, expected {kind.posts}")
        if world.server.requests[call] == 0:
            world.bad(f"T3: {call} was never called")

    return Case(f"T3 {place} {call}: {kind.name}", happens, overrides_for(call, place, kind.name))


def _line_case(lab: Lab, call: str, place: str, name: str) -> Case:
    skip, times = _place(lab, call, place)

    def happens(world: World) -> None:
        setup(world, call, place)
        world.run(line=Line(call, name, skip, times))
        recover(world, cleans_up=call == "file.delete")

    return Case(f"T3 {place} {call}: {name}", happens, overrides_for(call, place, name))


def recover(world: World, *, exact: bool = True, cleans_up: bool = False) -> None:
    """What a user does after each kind of ending, until the run ends well; then everything is checked."""
    for _ in range(6):
        code = world.ended[-1].code
        if code == 0:
            break
        if code == 3:
            decide(world)
        world.advance(3 * 3600)
        before = world.state()
        world.run()
        world.check_progress(before)
    resume(world, exact=exact and not cleans_up)


def decide(world: World) -> None:
    """Exit 3: look into the provider's dashboard, and say what is there."""
    if "this key does not see" in world.ended[-1].err:
        _find_key_or_forget(world)
        return
    step = "create_job" if "create_job" in world.ended[-1].err else "upload"
    rows = world.server.jobs if step == "create_job" else world.server.files
    there = [row for row in rows if row["id"] not in world.not_ours]
    waiting = [attempt for attempt in (world.state() or {})["remote"].values() if attempt["step"] == step]
    if not any(attempt["tries"] and not attempt["remote_id"] for attempt in waiting):
        world.bad(f"exit 3 though nothing is undecided: {world.ended[-1].err}")
        return
    world.run("resolve", "run.yaml", step, *(("--adopt", there[0]["id"]) if there else ("--none",)))


def _find_key_or_forget(world: World) -> None:
    """The earlier key, if this is another account's; with the right key the file must have expired."""
    accounts = world.server.accounts
    if accounts and accounts[world.env["OPENAI_API_KEY"]] != accounts[KEY]:
        world.env["OPENAI_API_KEY"] = KEY
        return
    known = {attempt["remote_id"] for attempt in (world.state() or {})["remote"].values()}
    if known <= {row["id"] for row in (*world.server.files, *world.server.jobs)}:
        world.bad(f"exit 3 though everything is to be seen: {world.ended[-1].err}")
    world.run("forget", "run.yaml", "upload")


def servers(lab: Lab) -> Iterator[Case]:
    """T3 for servers as a whole, and T17: each of them with answers lost and processes killed where it costs money."""
    trouble: list[Kind | None] = [None, *(kind for kind in AFTER if kind.name in ("reset after", "500 after", "no id"))]
    for name, change in PROFILES.items():
        for kind in trouble:

            def answer_lost(world: World, change: Change = change, kind: Kind | None = kind) -> None:
                change(world)
                if kind is not None:
                    world.server.faults += [kind.fault("file.create"), kind.fault("job.create")]
                world.run()
                recover(world, exact=False)

            yield Case(f"T17 {name}: {kind.name if kind else 'no fault'}", answer_lost)
        for point in window(lab.reference.trace):

            def killed(world: World, change: Change = change, point: int = point) -> None:
                change(world)
                world.run(kill_at=point)
                world.run()
                recover(world, exact=False)

            yield Case(f"T17 {name}: kill at {point}", killed)

    for point in window(lab.reference.trace):

        def second_page(world: World, point: int = point) -> None:
            """Ours is older than a page of others, so it is listed behind them."""
            world.run(kill_at=point)
            world.server.page = 3
            _others(world, 5)
            world.run()
            recover(world, exact=False)

        yield Case(f"T17 the match is on page 2: kill at {point}", second_page)


Change = Callable[[World], None]


def _openai(world: World) -> None:
    world.server.page = 3
    _others(world, 7)


def _azure(world: World) -> None:
    """`pending` is a status of Azure's; nulls where others send lists."""
    world.overrides[:] = [*world.overrides, "backend.kind=azure"]
    world.env["AZURE_OPENAI_API_KEY"] = world.env["OPENAI_API_KEY"]
    world.server.course = ("pending", "pending", "running", "succeeded")


def _nebius(world: World) -> None:
    world.overrides[:] = [*world.overrides, "backend.kind=nebius"]
    world.env["NEBIUS_API_KEY"] = world.env["OPENAI_API_KEY"]
    world.server.keeps_metadata = False


def _drops_metadata(world: World) -> None:
    world.server.keeps_metadata = False


def _tells_nothing(world: World) -> None:
    world.server.keeps_metadata = world.server.keeps_suffix = False


def _ignores_filter(world: World) -> None:
    world.server.filters = False
    _others(world, 5)


def _no_list(world: World) -> None:
    world.server.lists = False


def _others(world: World, number: int) -> None:
    """Files and jobs of somebody else, older than ours."""
    for n in range(number):
        file = world.server.commit_file(f"other-{n}.jsonl", n)
        job = world.server.commit_job({"model": "m", "training_file": file["id"], "metadata": {"finetune_op": f"{n}"}})
        job["status"] = "succeeded"
        world.not_ours |= {file["id"], job["id"]}


PROFILES: dict[str, Change] = {
    "OpenAI, three rows a page": _openai,
    "Azure": _azure,
    "Nebius, no metadata": _nebius,
    "metadata dropped": _drops_metadata,
    "no identity at all": _tells_nothing,
    "filter ignored": _ignores_filter,
    "no list": _no_list,
}
LOOKS = 7
"""How often a run looks before it believes that nothing came of a request (SETTLE_LOOKS and the first)."""
LONG_COURSE = ("validating_files",) * 8 + ("queued",) * 8 + ("running", "succeeded")


def lags(lab: Lab) -> Iterator[Case]:
    """T4: lists that are late, and requests that are carried out late, by more and more reads."""
    for lag in range(LOOKS + 3):
        for point in window(lab.reference.trace):

            def stale(world: World, lag: int = lag, point: int = point) -> None:
                world.server.stale, world.server.course = lag, LONG_COURSE
                world.run(kill_at=point)
                recover_late(world, lag)

            yield Case(f"T4 lists {lag} reads behind, kill at {point}", stale)
        for which in ("post.intended#1", "post.answered#1", "post.intended#2", "post.answered#2"):

            def stale_by_name(world: World, lag: int = lag, which: str = which) -> None:
                world.server.stale, world.server.course = lag, LONG_COURSE
                world.run(signals={which: signal.SIGKILL})
                recover_late(world, lag)

            yield Case(f"T4 lists {lag} reads behind, kill at {which}", stale_by_name)
        for call in ("file.create", "job.create"):

            def lost(world: World, lag: int = lag, call: str = call) -> None:
                world.server.stale, world.server.course = lag, LONG_COURSE
                world.server.faults.append(Fault(call, "reset", commits=True))
                world.run()
                recover_late(world, lag)

            yield Case(f"T4 lists {lag} reads behind, answer to {call} lost", lost)

            def late(world: World, lag: int = lag, call: str = call) -> None:
                world.server.faults.append(Fault(call, "late", reads=lag))
                world.server.course = LONG_COURSE
                world.run()
                recover_late(world, lag)

            yield Case(f"T4 {call} carried out {lag} reads late", late)


def recover_late(world: World, lag: int) -> None:
    """Within the settle window nothing is made twice; beyond it nobody pays twice."""
    for _ in range(3):
        ended = world.run()
        if ended.code == 3:
            decide(world)
        elif ended.code == 0:
            break
    if ended.code != 0:
        world.bad(f"P8: it does not end well: {ended.code} {ended.err}")
    if lag < LOOKS:
        world.check_money()
        if len(world.server.jobs) != 1:
            world.bad(f"P1: {len(world.server.jobs)} jobs were created, within the settle window")
    elif len(world.server.billed()) != 1:
        world.bad(f"P1: billed {len(world.server.billed())} jobs")
