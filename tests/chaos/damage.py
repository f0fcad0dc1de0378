"""T8: what a user finds when state.json, or something beside it, has come to harm; and how it is mended."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.chaos.harness import Lab, World
from tests.chaos.rows import Case, resume

Harm = Callable[[Path], None]


def _flip(path: Path) -> None:
    """One letter of a value: still JSON, still of the right types."""
    path.write_bytes(path.read_bytes().replace(b"02_sessions.jsonl", b"02_sessionz.jsonl", 1))


def _is_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


def _is_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _is_a_link_to_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def _edited_by_hand(path: Path) -> None:
    state = json.loads(path.read_bytes())
    state["body"]["steps"]["merge"]["attempts"] = 99
    path.write_text(json.dumps(state, indent=1))


def _of_another_run(path: Path) -> None:
    """A whole and signed state, but another directory's."""
    shutil.copy(path.parent.parent / "other" / "state.json", path)


def _newer(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"version": 1', b'"version": 99', 1))


def _rewritten(change: Callable[[bytes], bytes]) -> Harm:
    def harm(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return harm


HARMS: dict[str, Harm] = {
    "empty": _rewritten(lambda _: b""),
    "cut": _rewritten(lambda raw: raw[:200]),
    "zeros": _rewritten(lambda raw: b"\0" * len(raw)),
    "white space": _rewritten(lambda _: b" \n"),
    "a byte-order mark": _rewritten(lambda raw: b"\xef\xbb\xbf" + raw),
    "a list": _rewritten(lambda _: b"[]"),
    "one letter": _flip,
    "edited by hand": _edited_by_hand,
    "deleted": Path.unlink,
    "a folder": _is_a_folder,
    "a pipe": _is_a_pipe,
    "a link to nowhere": _is_a_link_to_nowhere,
    "another run's": _of_another_run,
    "newer": _newer,
}


def damages(lab: Lab) -> Iterator[Case]:
    """T8: never taken for a fresh start; `repair` mends it, and nothing is made twice."""
    for name, harm in HARMS.items():
        for until in ("convert", "create_job", None):

            def happens(world: World, name: str = name, harm: Harm = harm, until: str | None = until) -> None:
                world.run("run", "run.yaml", "--set=name=other", "--until", "load")
                world.run("run", "run.yaml", *(("--until", until) if until else ()))
                world.damaged = True
                harm(world.run_dir / "state.json")
                refused = world.run()
                if refused.code != 5:
                    world.bad(f"T8: exit {refused.code} with a state that is {name}: {refused.err[-300:]}")
                if name == "newer":
                    return
                if "Remove it" in refused.err:
                    path = world.run_dir / "state.json"
                    path.rmdir() if path.is_dir() else path.unlink()
                repaired = world.run("repair", "run.yaml")
                world.damaged = False
                if repaired.code != 0:
                    world.bad(f"T8: repair ends with {repaired.code}: {repaired.err[-300:]}")
                resume(world, job_posts=1)

            yield Case(f"T8 a state that is {name}, after {until or 'all'}", happens)
    for artifact in ("01_archive.db", "02_sessions.jsonl", "04_mapped.jsonl", "05_train.jsonl", "10_smoke_test.json"):

        def changed(world: World, artifact: str = artifact) -> None:
            world.run()
            path = world.run_dir / artifact
            path.write_bytes(path.read_bytes()[:-1] + b"?")
            world.run()
            if world.artifacts() != lab.reference.artifacts:
                world.bad(f"T8: {artifact} was changed, and is not made again")
            world.check_money()

        yield Case(f"T8 {artifact} is changed", changed)


def repairs(lab: Lab) -> Iterator[Case]:
    """SIGKILL at every failpoint of `repair` itself, then `repair` again."""
    with lab.world() as world:
        world.run("run", "run.yaml", "--until", "create_job")
        (world.run_dir / "state.json").write_bytes(b"")
        points = len(world.run("repair", "run.yaml").trace)
    for point in range(1, points + 1):

        def happens(world: World, point: int = point) -> None:
            world.run("run", "run.yaml", "--until", "create_job")
            (world.run_dir / "state.json").write_bytes(b"")
            world.damaged = True
            world.run("repair", "run.yaml", kill_at=point)
            world.run("repair", "run.yaml")
            world.damaged = False
            resume(world, job_posts=1)

        yield Case(f"T8 repair killed at {point}", happens)
