"""`make chaos`: the whole crash matrix, all mutants and the control; prints the crash table.

`python -m tests.chaos T3 T15` plays those rows only.

Exits with 1 if anything is bad, a mutant survives, or the control comes out clean.
"""

import contextlib
import itertools
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import msgspec

from tests.chaos.harness import ROOT, Lab, laboratory
from tests.chaos.matrix import MATRIX
from tests.chaos.model import search
from tests.chaos.mutants import MUTANTS
from tests.chaos.mutation import catch
from tests.chaos.rows import Case, control, play
from tests.server import crash_points

USUAL = "the script that everybody writes: has to be bad"
MODEL_SEEDS = 8
MODEL_EXAMPLES = 150


class Done(msgspec.Struct):
    """What one worker has to say of one scenario of one row."""

    row: str
    what: str
    bad: list[str] = []
    cases: int = 1


def main(rows: Sequence[str]) -> int:
    """Run everything, or only these rows, in as many processes as there are cores."""
    started = time.monotonic()
    workers = max(1, os.cpu_count() or 1)
    cases: Counter[tuple[str, str]] = Counter()
    bad: dict[tuple[str, str], list[str]] = {}
    for done in itertools.chain(_all_workers(workers, rows), _server(rows)):
        key = (done.row, done.what)
        cases[key] += done.cases
        bad.setdefault(key, []).extend(done.bad)
        for problem in done.bad if done.row != "control" else ():
            _say(f"BAD {problem}")
        if cases.total() // 500 > (cases.total() - done.cases) // 500:
            _say(f"… {cases.total()} cases after {(time.monotonic() - started) / 60:.0f} min")
    _say(f"{'row':<8} {'cases':>6} {'bad':>4}  what")
    for key in _order(cases):
        _say(f"{key[0]:<8} {cases[key]:>6} {len(bad[key]):>4}  {key[1]}")
    failed = sum(len(found) for (row, _), found in bad.items() if row != "control")
    billed = sum("P1" in problem for (row, _), found in bad.items() if row == "control" for problem in found)
    _say(f"{sum(cases.values())} cases in {(time.monotonic() - started) / 60:.0f} min: bad = {failed}")
    if _wanted("control", rows):
        _say(f"The usual script in the same harness: {billed} times billed twice.")
    return 0 if cases and not failed and (billed or not _wanted("control", rows)) else 1


def _wanted(row: str, rows: Sequence[str]) -> bool:
    return not rows or row in rows


def _order(cases: Counter[tuple[str, str]]) -> list[tuple[str, str]]:
    """By the number of the row, and as the matrix has them; what has no number comes last."""
    known = [(row.name, row.what) for row in MATRIX]

    def place(key: tuple[str, str]) -> tuple[int, int, str]:
        row, _ = key
        return int(row[1:]) if row[1:].isdigit() else 99, known.index(key) if key in known else 0, row

    return sorted(cases, key=place)


def _all_workers(workers: int, rows: Sequence[str]) -> Iterator[Done]:
    command = [sys.executable, "-m", "tests.chaos"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, str(number), str(workers), *rows], cwd=ROOT, env=env, stdout=subprocess.PIPE
                )
            )
            for number in range(workers)
        ]
        # All at once: who is not listened to stops as soon as its pipe is full.
        heard: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
        for worker in running:
            threading.Thread(target=_listen, args=(worker, heard)).start()
        for _ in running:
            yield from iter(heard.get, None)


def _listen(worker: "subprocess.Popen[bytes]", heard: "queue.SimpleQueue[Done | None]") -> None:
    assert worker.stdout is not None
    for line in worker.stdout:
        heard.put(msgspec.json.decode(line, type=Done))
    if worker.wait() != 0:
        heard.put(Done("worker", "a worker died", [f"exit {worker.returncode}"], 0))
    heard.put(None)


def _server(rows: Sequence[str]) -> Iterator[Done]:
    """The embedded server's own rows (tests/server/crash_points.py)."""
    if not _wanted("server", rows):
        return
    if crash_points.WHY_NOT is not None:
        _say(f"left out: the embedded server's rows ({crash_points.WHY_NOT})")
        return
    for what, number, bad in crash_points.run_all():
        yield Done("server", what, bad, number)


def work(number: int, workers: int, rows: Sequence[str]) -> None:
    """Every `workers`-th scenario, from the `number`-th; one Done a line."""
    with laboratory() as lab:
        for done in itertools.islice(_everything(lab, rows), number, None, workers):
            sys.stdout.buffer.write(msgspec.json.encode(done()) + b"\n")
            sys.stdout.flush()


def _everything(lab: Lab, rows: Sequence[str]) -> Iterator[Callable[[], Done]]:
    for row in MATRIX:
        if _wanted(row.name, rows):
            yield from (partial(_case, lab, row.name, row.what, case) for case in row.cases(lab))
    if _wanted("T13", rows):
        yield from (partial(_mutant, lab, name) for name in MUTANTS)
    if _wanted("T12", rows):
        yield from (partial(_model, lab, seed) for seed in range(MODEL_SEEDS))
    if _wanted("control", rows):
        yield from (partial(_case, lab, "control", USUAL, case) for case in control(lab))


def _case(lab: Lab, row: str, what: str, case: Case) -> Done:
    return Done(row, what, play(lab, [case]))


def _model(lab: Lab, seed: int) -> Done:
    found = search(lab, seed, MODEL_EXAMPLES)
    return Done("T12", "any of this in any order (Hypothesis)", found, MODEL_EXAMPLES)


def _mutant(lab: Lab, name: str) -> Done:
    caught = catch(lab, name)
    return Done("T13", "mutants of our own code, each caught", [] if caught else [f"T13: {name}: survives"])


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = sys.argv[1:]
    if given and given[0].isdigit():
        work(int(given[0]), int(given[1]), given[2:])
    else:
        sys.exit(main(given))
