"""T18: the deploy hook, on Azure and on Nebius: killed anywhere in it, each answer of it lost, and its cleanup."""

import signal
from collections.abc import Callable, Iterator

from tests.chaos.faults import AFTER, BEFORE, REFUSALS, Kind
from tests.chaos.harness import Lab, World
from tests.chaos.rows import Case, lose_state
from tests.dress import ARM_TOKEN, RESOURCE, Azure, Nebius

STEPS_BEFORE = 9
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
DUPLICATE = Kind("duplicate delivery", "duplicate")


def _azure(world: World, cleanup: bool) -> None:
    world.server.dress = Azure()
    world.env |= {"AZURE_OPENAI_API_KEY": world.env["OPENAI_API_KEY"], "AZURE_ARM_TOKEN": ARM_TOKEN}
    root = world.server.base_url.removesuffix("/v1")
    world.overrides[:] = [
        *world.overrides,
        "backend.kind=azure",
        f"deploy.resource={RESOURCE}",
        f"deploy.management_url={root}",
        f"deploy.cleanup={str(cleanup).lower()}",
    ]


def _nebius(world: World, cleanup: bool) -> None:
    world.server.dress = Nebius()
    world.server.course = ("running", "succeeded")
    world.server.checkpoints = [
        {"id": "ftckpt_1", "step_number": 1, "created_at": 1, "metrics": {}, "fine_tuned_model_checkpoint": None}
    ]
    world.env["NEBIUS_API_KEY"] = world.env["OPENAI_API_KEY"]
    world.overrides[:] = [
        *world.overrides,
        "backend.kind=nebius",
        f"create_job.model={LLAMA}",
        f"deploy.cleanup={str(cleanup).lower()}",
    ]


DRESSES: dict[str, Callable[[World, bool], None]] = {"Azure": _azure, "Nebius": _nebius}


def deployments(lab: Lab) -> Iterator[Case]:
    """Every failpoint from the beginning of the step to the end of the run; every fault of every call that it makes."""
    for name, dressed in DRESSES.items():
        for cleanup in (False, True):
            with lab.world() as world:
                dressed(world, cleanup)
                trace = world.run().trace
            begin = [n for n, point in enumerate(trace, start=1) if point == "step.begin"][STEPS_BEFORE]
            for at in range(begin, len(trace) + 1):

                def killed(
                    world: World,
                    at: int = at,
                    cleanup: bool = cleanup,
                    dressed: Callable[[World, bool], None] = dressed,
                ) -> None:
                    dressed(world, cleanup)
                    world.run(signals={str(at): signal.SIGKILL})
                    if at % 3 == 0 and not cleanup:
                        lose_state(world)
                    world.run()
                    _finish(world, cleanup)

                done = " and cleanup" if cleanup else ""
                yield Case(f"T18 {name}{done}: kill at {at} ({trace[at - 1]})", killed)
        for call in ("deploy.create", "deploy.get", "deploy.list", "deploy.delete"):
            for kind in [*BEFORE, *AFTER, DUPLICATE]:
                if (call, name) == ("deploy.list", "Azure") or (kind is DUPLICATE and call != "deploy.create"):
                    continue

                def lost(
                    world: World,
                    call: str = call,
                    kind: Kind = kind,
                    dressed: Callable[[World, bool], None] = dressed,
                ) -> None:
                    dressed(world, call == "deploy.delete")
                    world.server.faults.append(kind.fault(call))
                    world.run()
                    _finish(world, call == "deploy.delete", may_stay=call == "deploy.delete" and kind.name in REFUSALS)

                waits = ("backend.timeout_s=0.5",) if kind.name.startswith("timeout") else ()
                yield Case(f"T18 {name} {call}: {kind.name}", lost, waits)


def _finish(world: World, cleanup: bool, *, may_stay: bool = False) -> None:
    """Run again until it ends well, as a user would; then look at what is deployed, and what was paid."""
    for _ in range(5):
        ended = world.ended[-1]
        if ended.code == 0:
            break
        if ended.code == 3:
            there = list(world.server.deployments)
            world.run("resolve", "run.yaml", "deploy", *(("--adopt", there[0]) if there else ("--none",)))
        world.advance(3 * 3600)
        world.run()
    if world.ended[-1].code != 0:
        world.bad(f"P8: it does not end well: {world.ended[-1].code} {world.ended[-1].err[-600:]}")
        return
    world.check_money()
    made, standing = world.server.made_deployments, len(world.server.deployments)
    # What is removed and then asked for again, because the record of its last use was lost, is no second one.
    if not cleanup and standing != 1:
        world.bad(f"P12: {standing} deployments stand, {made} were made")
    if cleanup and standing and not may_stay:
        world.bad(f"P12: {standing} deployments are left after the cleanup")
    if any(ARM_TOKEN.encode() in path.read_bytes() for path in (world.folder / "work").rglob("*") if path.is_file()):
        world.bad("P9: the token was written down")
    if world.server.keys.get("management", {ARM_TOKEN}) != {ARM_TOKEN} or ARM_TOKEN in world.server.keys["training"]:
        world.bad("P9: a key went to another's API")
    if may_stay:
        return
    before = world.server.requests.total()
    world.check_rest()
    if world.server.requests.total() != before:
        world.bad("P10: a finished run sends something")
