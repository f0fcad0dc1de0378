"""A finished run of ten steps, run again: ours, doit's and dvc's, taking turns. Only processor time counts.

doit and dvc come into a virtual environment that is thrown away: dvc's dependencies are no business of ours.
"""

import os
import statistics
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PEERS = ("doit", "dvc")
STEPS = [f"s{number:02}" for number in range(1, 11)]
IMPORTS = "import typer, pydantic, yaml, msgspec; pydantic.TypeAdapter(int)"


class Call(NamedTuple):
    """A command, and the folder it is called in."""

    command: Sequence[str]
    folder: Path
    env: Mapping[str, str] = os.environ

    def seconds(self) -> float:
        """Of processor time that one call takes, its own and the system's."""
        process = subprocess.Popen(
            self.command, cwd=self.folder, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, list(self.command))
        return used.ru_utime + used.ru_stime


def no_op_seconds(folder: Path, runs: int) -> dict[str, float]:
    """Medians by name: "run", "status", "imports" (of the libraries that ours cannot do without), "doit" and "dvc".

    A peer that cannot be installed is left out.
    """
    calls = {**_ours(folder / "ours"), **_peers(folder)}
    for call in calls.values():
        call.seconds()  # makes what there is to make, and compiles what is imported
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(runs):
        for name, call in calls.items():
            taken[name].append(call.seconds())
    return {name: statistics.median(found) for name, found in taken.items()}


def _ours(folder: Path) -> dict[str, Call]:
    folder.mkdir()
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    finetune, config = str(Path(sys.executable).with_name("finetune")), str(ROOT / "configs" / "ci.yaml")
    return {
        "run": Call([finetune, "run", config], folder, env),
        "status": Call([finetune, "status", config], folder, env),
        "imports": Call([sys.executable, "-c", IMPORTS], folder, env),
    }


def _peers(folder: Path) -> dict[str, Call]:
    bin_ = folder / "peers" / "bin"
    try:
        subprocess.run([sys.executable, "-m", "venv", bin_.parent], check=True, capture_output=True)
        install = [str(bin_ / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS]
        subprocess.run(install, check=True, capture_output=True)
    except subprocess.CalledProcessError:
        return {}
    for name in PEERS:
        (folder / name).mkdir()
        (folder / name / "archive").write_text("x")
    (folder / "doit" / "dodo.py").write_text(_dodo())
    (folder / "dvc" / "dvc.yaml").write_text(_stages())
    subprocess.run(["git", "init", "--quiet"], cwd=folder / "dvc", check=True)
    subprocess.run([bin_ / "dvc", "init", "--quiet"], cwd=folder / "dvc", check=True)
    return {
        "doit": Call([str(bin_ / "doit")], folder / "doit"),
        # Its analytics would go on in the background, beside whoever is measured next.
        "dvc": Call([str(bin_ / "dvc"), "repro"], folder / "dvc", {**os.environ, "DVC_NO_ANALYTICS": "1"}),
    }


def _needs() -> list[tuple[str, str]]:
    """Each step with the file that it is made of."""
    return list(zip(STEPS, ["archive", *(f"{step}.out" for step in STEPS)], strict=False))


def _dodo() -> str:
    return textwrap.dedent(
        f"""\
        def task_all():
            for step, need in {_needs()!r}:
                made = step + ".out"
                actions = ["echo " + step + " > " + made]
                yield {{"name": step, "file_dep": [need], "targets": [made], "actions": actions}}
        """
    )


def _stages() -> str:
    stages = [
        f"  {step}: {{cmd: 'echo {step} > {step}.out', deps: [{need}], outs: [{step}.out]}}" for step, need in _needs()
    ]
    return "\n".join(["stages:", *stages, ""])
