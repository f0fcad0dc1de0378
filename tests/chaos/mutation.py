"""T13: which scenarios catch which mutant."""

import re
from collections.abc import Callable, Iterator

from tests.chaos import damage, deploying, disk, faults, losses, recording, rows, stops
from tests.chaos.harness import Lab
from tests.chaos.rows import Case

Row = Callable[[Lab], Iterator[Case]]


def _storm(lab: Lab) -> Iterator[Case]:
    return stops.lock_storm(lab, 3)


CAUGHT_BY: dict[str, tuple[Row, str]] = {
    "no intent": (faults.lags, "lists 3 reads behind, kill at post"),
    "no look": (rows.kills, r"post\.answered"),
    "no settling": (faults.lags, "lists 3 reads behind, kill at post"),
    "no sweep": (faults.answers, "first job.create: duplicate delivery"),
    "twins of others cancelled": (stops.neighbours, "only our own twins"),
    "the SDK's retries": (faults.answers, "first job.create: 500"),
    "the filter is trusted": (faults.servers, "filter ignored: no fault"),
    "the first page only": (faults.servers, "page 2"),
    "the answer lost counts as a no": (faults.lags, "lists 3 reads behind, answer to job.create"),
    "written in place": (rows.kills, r"write\.(created|written)"),
    "no fsync": (disk.power_losses, ""),
    "no fsync of the directory": (disk.power_losses, ""),
    "the state before the artifact": (disk.power_losses, ""),
    "no checksum": (damage.damages, "edited by hand"),
    "the lock is unlinked": (stops.neighbours, "the lock file stays"),
    "no lock": (_storm, ""),
    "empty is fresh": (damage.damages, "that is empty"),
    "missing is fresh": (damage.damages, "that is deleted"),
    "an artifact is not checked": (damage.damages, "is changed"),
    "other writers are overwritten": (stops.neighbours, "changed underneath"),
    "a stale job is bought again": (losses.losses, "config edits"),
    "a lost state asks nobody": (losses.losses, "edited after .* before it"),
    "no canary": (losses.losses, "other data"),
    "a deployment is not looked for": (deploying.deployments, r"Nebius: kill at \d+ \(post.answered"),
    "a deployment's name is made up": (deploying.deployments, r"Azure: kill at \d+ \(post.answered"),
    "a removal is not written down": (deploying.deployments, "Azure and cleanup: kill"),
    "a deployment made twice stays": (deploying.deployments, "Nebius deploy.create: duplicate"),
    "a signal cuts a request short": (stops.signals, r"SIGINT at \d+ \(post.intended\)$"),
    "the chat is logged": (stops.pauses, "nobody reads"),
    "an answer without an intent": (recording.records, r"post\.answered"),
    "a lost answer is asked again": (recording.records, r"post\.answered"),
    "a lost answer counts as a no": (recording.answers, "lost instead"),
    "what was lost costs nothing": (recording.records, r"post\.answered"),
    "the key is written down": (rows.kills, r"at 1\d "),
}


def catch(lab: Lab, name: str) -> str | None:
    """The scenario that shows that the mutant is one; None if it survives."""
    row, pattern = CAUGHT_BY[name]
    cases = [case for case in row(lab) if re.search(pattern, case.name)]
    if not cases:
        raise LookupError(f"no scenario is called {pattern!r}")
    for case in cases:
        with lab.world(*case.overrides) as world:
            world.mutants = (name,)
            try:
                case.happens(world)
            except (OSError, KeyError) as error:  # a mutant may leave too little for the scenario to go on
                world.bad(repr(error))
            if any("in apply" in ended.err for ended in world.ended):
                raise LookupError(f"mutant {name!r} cannot be made: {world.ended[0].err[-300:]}")
            if world.problems:
                return f"{case.name}: {world.problems[0]}"
    return None
