"""The folder that the studio works in: its configs, and how far the run of each one is."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.commands.context import as_it_is
from pipeline.config.file import name_in
from pipeline.config.settings import run_directory
from pipeline.errors import FinetuneError, InputError
from pipeline.report.made import Made
from pipeline.run.progress import Progress
from pipeline.state.file import State
from pipeline.state.lock import holder
from pipeline.steps.outputs import Convert, PollJob

PLACES = (".", "configs")


class Listed(NamedTuple):
    """A config as a list shows it.

    Attributes:
        path: relative to the folder.
        has_run: there is a run directory.
        standing: in a word, see `standing`; "broken" if the config or the state cannot be read.
        said: about it, a sentence; may be empty.
        model: the tuned model, where there is one.
    """

    path: str
    name: str
    has_run: bool
    standing: str
    said: str
    model: str = ""

    @property
    def is_trained(self) -> bool:
        """Whether there is a model to talk to."""
        return bool(self.model)


def config_paths() -> list[Path]:
    """The configs of this folder, those of a run first."""
    found = [path for place in PLACES for path in sorted(Path(place).glob("*.y*ml"))]
    return [path for path in found if path.suffix in (".yaml", ".yml") and path.is_file()]


def chosen(said: str) -> Path:
    """The config that a page names: one of this folder, and no other file.

    Raises:
        InputError: there is none.
    """
    for path in config_paths():
        if str(path) == said:
            return path
    raise InputError(said or "config", "no such config in this folder", fix="Go back to the list, and choose one.")


def name_of(path: Path) -> str:
    """What the run of a config is called."""
    return name_in(path) or path.stem


def listed() -> list[Listed]:
    """All configs of the folder that are runs, in order; examples that come along and never ran come last."""
    return sorted(map(_listed, config_paths()), key=lambda each: not each.has_run)


def _listed(path: Path) -> Listed:
    name = name_of(path)
    try:
        _, state, progress = as_it_is(path)
    except (FinetuneError, OSError) as error:
        return Listed(str(path), name, run_directory(name).is_dir(), "broken", str(error))
    how = standing(state, progress)
    return Listed(str(path), name, bool(state.body.steps), how, _about(state, progress), trained_model(progress) or "")


def standing(state: State, progress: Progress) -> str:
    """How far a run is: "new", "running", "busy", "failed", "stopped", "begun" or "done"."""
    records = [state.body.steps.get(step.name) for step in progress.steps]
    statuses = {record.status for record in records if record is not None}
    is_held = holder(state.run_dir) is not None
    if is_held:
        return "running" if "running" in statuses else "busy"
    if "failed" in statuses:
        return "failed"
    if "running" in statuses:
        return "stopped"
    if not statuses:
        return "new"
    return "done" if all(record is not None for record in records) else "begun"


def trained_model(progress: Progress) -> str | None:
    """The tuned model that can be talked to; a training of another may be at work."""
    record = progress.record(PollJob)
    if record is None or record.last_made is None:
        return None
    try:
        return progress.last_output(PollJob).model
    except InputError:  # made by another version
        return None


def _about(state: State, progress: Progress) -> str:
    made = Made(state, progress)
    parts = list(_parts(made.get(Convert), made.get(PollJob)))
    return ", ".join(parts)


def _parts(convert: Convert | None, polled: PollJob | None) -> Iterator[str]:
    if convert is not None:
        yield f"{convert.examples:,} examples"
    if polled is not None and polled.trained_tokens:
        yield f"{polled.trained_tokens:,} tokens trained"
