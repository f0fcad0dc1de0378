"""The crash matrix: its rows, their scenarios, and which of them every change is tested with."""

import dataclasses
from collections.abc import Callable, Iterator

from tests.chaos import damage, deploying, disk, faults, losses, recording, rows, stops, time_passes
from tests.chaos.harness import Lab
from tests.chaos.rows import Case


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        cases: all of its scenarios.
        every: each how-manieth is run on every change; 0 for none. T3 has a test of its own (`first_answers`).
    """

    name: str
    what: str
    cases: Callable[[Lab], Iterator[Case]]
    every: int = 0


def _storm(lab: Lab) -> Iterator[Case]:
    return stops.lock_storm(lab, 200)


def _slow_days(lab: Lab) -> Iterator[Case]:
    return time_passes.days(lab, slow=True)


MATRIX = (
    Row("T1", "SIGKILL at every failpoint, then the same command (T14: private at each)", rows.kills, 1),
    Row("T1", "the same, and the state deleted before `repair`", rows.forgotten, 12),
    Row("T2", "pairs: a kill where it costs money, one anywhere in the recovery", rows.pairs),
    Row("T3", "each fault of each call, at the first, every and last of them (T16)", faults.answers),
    Row("T4", "lists and requests 0 to 9 reads late", faults.lags, 12),
    Row("T5", "1,000 times one to five kills, half of them where it costs money", rows.at_random),
    Row("T6", "power lost after each call to the disk: all that may be left then", disk.power_losses, 1),
    Row("T7", "ENOSPC, EIO, EDQUOT, EROFS at each call to the disk; EINTR", disk.refusals, 30),
    Row("T7", "a real limit on the size of files", disk.real_refusals, 1),
    Row("T8", "state.json damaged in every way, and artifacts", damage.damages, 2),
    Row("T8", "SIGKILL at every failpoint of `repair`", damage.repairs, 3),
    Row("T9", "200 times eight processes on one directory", _storm),
    Row("T9", "a state changed underneath, two directories with the same data", stops.neighbours, 1),
    Row("T10", "SIGINT, SIGTERM, SIGHUP at every failpoint, and twice", stops.signals, 50),
    Row("T10", "one of them at a random moment of a run, imports and all", stops.any_moment, 50),
    Row("T10", "SIGSTOP for eight hours; a closed pipe", stops.pauses, 6),
    Row("T15", "jobs and outages of days, clocks that are wrong", time_passes.days, 1),
    Row("T15", "the same at a user's pace", _slow_days),
    Row("T17", "servers that page, drop, ignore, or do not list", faults.servers, 6),
    Row("T18", "the deploy hook: SIGKILL in it, each answer of it lost, its cleanup", deploying.deployments, 40),
    Row("T17", "files removed, keys of others, edits, jobs restarted", losses.losses, 1),
    Row("T19", "answers of a dying model: SIGKILL at every failpoint of recording", recording.records, 1),
    Row("T19", "the same twice", recording.pairs, 40),
    Row("T19", "each answer lost, refused or late; the model dark after each", recording.answers, 8),
    Row("T19", "its files: SIGKILL at every failpoint of fetching", recording.fetches, 12),
)
EVERY_CHANGE = tuple(row for row in MATRIX if row.every)


def first_answers(lab: Lab) -> list[Case]:
    """The part of T3 that every change is tested with: each fault of each create call once, half of the others'."""
    cases = list(faults.answers(lab, ("first",)))
    creates = [case for case in cases if ".create: " in case.name]
    return creates + [case for case in cases if ".create: " not in case.name][::2]
