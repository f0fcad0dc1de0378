"""Names for a new config and its run: two configs with one name would share a run directory, and redo each other's."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

from pipeline.config.file import name_in
from pipeline.config.settings import run_directory

_SHIPPED = Path(__file__).parents[3] / "configs"
_LONGEST = 60  # of the 64 characters that a name may have, with room for a number


def free_path(kind: str) -> Path:
    """A config in this folder that is not there yet, such as my-imessage.yaml, whose name no other run has."""
    taken = _taken_beside(Path())
    return Path(f"{_first(f'my-{kind}', lambda name: not taken(name) and not Path(f'{name}.yaml').exists())}.yaml")


def run_name(path: Path) -> str:
    """The name of the run of a new config at `path`: the file's own, with a number where that is taken."""
    taken = _taken_beside(path.parent)
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).lstrip("._-")[:_LONGEST]
    return _first(stem or "chat", lambda name: not taken(name))


def _first(wanted: str, is_free: Callable[[str], bool]) -> str:
    numbered = (f"{wanted}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([wanted], numbered) if is_free(name))


def _taken_beside(folder: Path) -> Callable[[str], bool]:
    """Whether a name is that of a run, or of a config that comes with this package, lies here or in `folder`."""
    folders = {each.resolve() for each in (folder, Path(), Path("configs"), Path("../configs"), _SHIPPED)}
    names = {name_in(path) for each in folders for path in each.glob("*.y*ml")}
    return lambda name: name in names or run_directory(name).exists()
