"""T6 and T7: a disk that loses power, and one that refuses."""

import itertools
import pickle
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import StateDamaged
from pipeline.state.file import State
from tests.chaos.harness import Lab, World
from tests.chaos.order import Disk
from tests.chaos.rows import Case, resume

Step = tuple[Any, ...]
"""("create", path) | ("fsync", path, content) | ("rename", source, target, content) | ("link", …) | ("dirsync", dir)"""


class Inode(NamedTuple):
    """A file as the disk has it: what it holds in memory, and what is surely on the platter (None: nothing)."""

    content: bytes
    synced: bool


def recorded(path: Path) -> list[Step]:
    """What `sabotage.record_disk` wrote down."""
    steps = []
    with path.open("rb") as file:
        while True:
            try:
                steps.append(pickle.load(file))
            except EOFError:
                return steps


def after_power_loss(steps: Sequence[Step]) -> Iterator[dict[str, bytes]]:
    """Every directory that a legal file system may show after losing power at the end of `steps`.

    What is legal: names are on the platter once their directory has been synced; those given since may be there or
    not, in any combination. Content is there once it has been synced; before that the file may be empty, cut, full of
    zeros, or whole.
    """
    names: dict[str, Inode] = {}
    pending: list[tuple[str, Inode | None]] = []
    written: dict[str, Inode] = {}
    for step in steps:
        kind = step[0]
        if kind == "create":
            written[step[1]] = Inode(b"", False)
            pending.append((step[1], written[step[1]]))
        elif kind == "fsync":
            written[step[1]] = Inode(step[2], True)
            pending = [(name, written[step[1]] if name == step[1] else inode) for name, inode in pending]
            names = {name: written[step[1]] if name == step[1] else inode for name, inode in names.items()}
        elif kind in ("rename", "link"):
            source, target, content = step[1:]
            inode = written.get(source) or Inode(content, source in names and names[source].synced)
            if kind == "rename":
                inode = inode if inode.synced else Inode(content, False)
                pending.append((source, None))
            written[target] = inode
            pending.append((target, inode))
        elif kind == "dirsync":
            names = _apply(names, pending)
            pending = []
    # A rename is one change: its two names go together.
    changes = _grouped(pending)
    for chosen in _choices(len(changes)):
        found = names
        for change, taken in zip(changes, chosen, strict=True):
            found = _apply(found, change) if taken else found
        yield from _contents(found)


def _apply(names: dict[str, Inode], changes: Iterable[tuple[str, Inode | None]]) -> dict[str, Inode]:
    found = dict(names)
    for name, inode in changes:
        if inode is None:
            found.pop(name, None)
        else:
            found[name] = inode
    return found


def _grouped(pending: Sequence[tuple[str, Inode | None]]) -> list[list[tuple[str, Inode | None]]]:
    groups: list[list[tuple[str, Inode | None]]] = []
    for name, inode in pending:
        if groups and groups[-1][-1][1] is None:
            groups[-1].append((name, inode))
        else:
            groups.append([(name, inode)])
    return groups


def _choices(changes: int) -> Iterator[tuple[bool, ...]]:
    """Which changes are on the platter: every subset of a few; of many, each beginning and all but one."""
    if changes <= 4:
        yield from itertools.product((False, True), repeat=changes)
        return
    for kept in range(changes + 1):
        yield (True,) * kept + (False,) * (changes - kept)
    for lost in range(changes):
        yield tuple(at != lost for at in range(changes))


def _contents(names: dict[str, Inode]) -> Iterator[dict[str, bytes]]:
    """One unsure file after the other as it may be, the others whole."""
    whole = {name: inode.content for name, inode in names.items()}
    yield whole
    for name, inode in names.items():
        if not inode.synced:
            yield from ({**whole, name: version} for version in _versions(inode.content))


def _versions(content: bytes) -> list[bytes]:
    return list(dict.fromkeys((b"", content[: len(content) // 2], b"\0" * len(content), content)))


def power_losses(lab: Lab) -> Iterator[Case]:
    """T6: power is lost after each call to the disk in a whole run; what is there then is read."""

    def happens(world: World) -> None:
        log = world.folder / "disk"
        world.run(record=log)
        steps = [step for step in recorded(log) if str(world.run_dir) in step[1]]
        seen: set[frozenset[tuple[str, bytes]]] = set()
        for length in range(len(steps) + 1):
            for shown in after_power_loss(steps[:length]):
                kept = {n: c for n, c in shown.items() if not Path(n).name.startswith(".")}
                key = frozenset((name, content) for name, content in kept.items())
                if key not in seen:
                    seen.add(key)
                    _judge(world, kept, length, steps)
        world.states = len(seen)
        if len(seen) < len(lab.reference.trace) / 10:
            world.bad(f"T6: only {len(seen)} states of the disk")

    yield Case("T6 power lost after each call to the disk", happens)


def _judge(world: World, shown: dict[str, bytes], length: int, steps: Sequence[Step]) -> None:
    """What the next run would find: a state that is whole and names nothing that is missing or torn."""
    folder = world.folder / "after-power-loss"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for name, content in shown.items():
        (folder / Path(name).name).write_bytes(content)
    last = f" ({steps[length - 1][0]} {Path(steps[length - 1][1]).name})" if length else ""
    at = f"power lost after call {length}{last}"
    if not (folder / "state.json").exists():
        # Until the first state is durable there is nothing to lose.
        return
    try:
        state = State.load(folder)
    except StateDamaged as error:
        world.bad(f"T6: {at}: {error}")
        return
    for name, record in state.body.steps.items():
        record.stats.clear()
        if record.status == "done" and (wrong := state.intact(record)):
            world.bad(f"T6: {at}: {name} is done, but {wrong}")


ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EROFS")
DISK_CALLS = ("open", "write", "fsync", "replace", "dirsync")


def refusals(lab: Lab, errors: Sequence[str] = ERRORS, every: int = 1) -> Iterator[Case]:
    """T7: the n-th call of each kind fails, n = 1, 2, … until a run gets through; then the disk is well again."""
    for error in errors:
        for call in DISK_CALLS:
            for at in range(1, _calls(lab, call) + 2, every):

                def happens(world: World, disk: Disk = Disk(call, error, at, 1)) -> None:  # noqa: B008 - frozen
                    _refused(world, disk)

                yield Case(f"T7 {error} at {call} {at}", happens)

                def stays_full(world: World, disk: Disk = Disk(call, error, at, 10_000)) -> None:  # noqa: B008
                    _refused(world, disk)

                if error == "ENOSPC":
                    yield Case(f"T7 {error} from {call} {at} on", stays_full)

    def interrupted(world: World) -> None:
        if world.run(interrupts=True).code != 0:
            world.bad("T7: signals that mean nothing stop the run")
        world.check_end(job_posts=1)

    yield Case("T7 EINTR all the time", interrupted)


def _calls(lab: Lab, call: str) -> int:
    points = {"open": "write.created", "write": "write.written", "fsync": "write.synced", "replace": "write.renamed"}
    return lab.reference.trace.count(points.get(call, "write.done"))


def _refused(world: World, disk: Disk) -> None:
    ended = world.run(disk=disk)
    if ended.code not in (0, 5):
        world.bad(f"T7: exit {ended.code}: {ended.err[-300:]}")
    if ended.code == 5:
        made = [row["id"] for row in (*world.server.files, *world.server.jobs)]
        recorded = str((world.state() or {}).get("remote", ""))
        lost = [each for each in made if each not in ended.err and each not in recorded]
        if lost:
            world.bad(f"T7: made, but neither recorded nor named: {lost}")
    resume(world)


def real_refusals(lab: Lab) -> Iterator[Case]:
    """T7: a real limit on the size of files: the kernel itself says EFBIG."""
    for limit in (2000, 4000, 6000, 100_000):

        def happens(world: World, limit: int = limit) -> None:
            ended = world.run(file_limit=limit)
            if ended.code not in (0, 2, 5):
                world.bad(f"T7: exit {ended.code}: {ended.err[-300:]}")
            resume(world)

        yield Case(f"T7 no file may be larger than {limit}", happens)
