"""How a run is now, for its page: read from the state, the embedded store and what the run said, by whoever started it.

Each answer is whole, not a difference: a page that was away gets the next one and has missed nothing.
"""

import itertools
import os
from pathlib import Path
from typing import Any

import msgspec

from pipeline.backends.client import SERVER_DIR
from pipeline.commands.context import as_it_is
from pipeline.commands.status import status_rows
from pipeline.commands.studio.children import ERRORS, EVENTS, Runs, refusal
from pipeline.commands.studio.folder import standing, trained_model
from pipeline.config.settings import Config
from pipeline.errors import FinetuneError
from pipeline.report.curves import Curves, Event, read_events, read_metrics, smoothed, thinned, trace
from pipeline.run.progress import Progress
from pipeline.server.storage.history import History, read_history
from pipeline.state.file import State
from pipeline.state.lock import holder, taken_at
from pipeline.steps.outputs import CreateJob, PollFile, PollJob, Upload

MOST_POINTS = 300
_LATELY = 40
_END = 65_536
_NOTES = 6

PLAIN = {
    "download": "Copy the chats",
    "load": "Read the messages",
    "merge": "Join what one person wrote in a row",
    "map": "Tell the person from the others",
    "convert": "Make examples to learn from",
    "upload": "Hand the examples to the trainer",
    "poll_file": "Wait until they are checked",
    "create_job": "Begin the training",
    "poll_job": "Train",
    "smoke_test": "Ask the new model something",
    "evaluate": "Measure the new model",
}
"""What each step does, for somebody who has never seen a terminal."""

_ONLY_IDS = (Upload, PollFile, CreateJob)
"""What these make is a name on the backend, which means nothing to a person."""


class Said(msgspec.Struct, frozen=True):
    """One line of `finetune run --json`; which fields there are depends on the event."""

    event: str
    step: str = ""
    text: str = ""
    what: str = ""
    done: float = 0
    total: float | None = None


def snapshot(path: Path, runs: Runs) -> dict[str, Any]:
    """Everything that a run's page shows; a plain object, for JSON. A config that cannot be read is an error in it."""
    try:
        config, state, progress = as_it_is(path)
        owner = holder(state.run_dir)
        how = standing(state, progress)
        rows = status_rows(state, progress, at_work=owner is not None)
    except FinetuneError as error:
        return {"standing": "broken", "error": str(error), "steps": [], "notes": [], "progress": None, "curve": None}
    is_starting = how != "running" and runs.is_ours(path)
    said = events(state.run_dir)
    at_work = how == "running" or is_starting
    is_current = all(row["would_run"] is None for row in rows)
    if how == "done" and not is_current:
        how = "outdated"
    steps = [
        {
            "name": row["step"], "title": PLAIN[str(row["step"])], "state": row["state"], "seconds": row["seconds"],
            "made": None if step.output in _ONLY_IDS else row["made"], "error": row["error"],
            "why": row["would_run"] if row["state"] == "done" else None,
        }
        for step, row in zip(progress.steps, rows, strict=True)
    ]  # fmt: skip
    curves, polled = curves_of(config, state, progress), progress.record(PollJob)
    return {
        "standing": "running" if is_starting else how,
        "pausing": at_work and runs.is_pausing(path),
        "owner": owner if at_work and not runs.is_ours(path) else None,
        "steps": steps,
        "progress": _progress(said, rows) if at_work else None,
        "notes": _notes(said),
        "error": None if at_work else _error(state, path, runs),
        "curve": None if curves is None else curve_of(curves, _left(config, state, progress)),
        "training": at_work and polled is not None and polled.status == "running",
        "model": trained_model(progress),
    }


def events(run_dir: Path) -> list[Said]:
    """What the run that was started here last said of late; nothing once another command has been at work since."""
    try:
        with (run_dir / EVENTS).open("rb") as file:
            if os.fstat(file.fileno()).st_mtime_ns < taken_at(run_dir):
                return []
            size = file.seek(0, 2)
            file.seek(max(0, size - _END))
            text = file.read()
    except OSError:
        return []
    found = []
    for line in text.split(b"\n")[1 if size > _END else 0 : -1]:
        try:
            found.append(msgspec.json.decode(line, type=Said))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return found


def _progress(said: list[Said], rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """How far the step at work is: in its own words, of a run in a terminal in those of its log."""
    for each in reversed(said):
        if each.event == "progress":
            return {"done": each.done, "total": each.total, "text": each.text}
        if each.event in ("started", "preparing"):
            return {"done": 0, "total": None, "text": each.what}
    row = next((row for row in rows if row["state"] == "running"), None)
    return {"done": 0, "total": None, "text": row["said"]["text"] if row and row["said"] else ""}


def _notes(said: list[Said]) -> list[str]:
    return [each.text for each in said if each.event == "note"][-_NOTES:]


def _error(state: State, path: Path, runs: Runs) -> str | None:
    """Why the last run stopped, in the words of the command."""
    try:
        told = (state.run_dir / ERRORS).read_text(encoding="utf-8", errors="replace")[-4000:]
    except OSError:
        told = ""
    failed = next((each.error for each in state.body.steps.values() if each.status == "failed" and each.error), None)
    if runs.code(path) in (0, None):
        return failed
    return refusal([line for line in told.splitlines() if line]) or failed


def curves_of(config: Config, state: State, progress: Progress) -> Curves | None:
    """The metrics of the training that there is or was; of one that goes on, those so far."""
    polled = progress.record(PollJob)
    if polled is not None and polled.status == "done":
        made = progress.output(PollJob)
        told = read_events(state.run_dir / made.events.path) if made.events else []
        return trace(read_metrics(state.run_dir / made.metrics.path) if made.metrics else [], told)
    history = _history(config, state, progress)
    if history is None:
        return None
    return trace([], msgspec.convert(msgspec.to_builtins(history.events), list[Event]))


def _history(config: Config, state: State, progress: Progress) -> History | None:
    """What the embedded store knows of the job; None for a hosted one, which tells while it is polled."""
    created = progress.record(CreateJob)
    if created is None or created.status != "done" or config.backend.kind != "embedded":
        return None
    return read_history(state.run_dir / SERVER_DIR, progress.output(CreateJob).job)


def _left(config: Config, state: State, progress: Progress) -> float | None:
    """Seconds that the training takes from now on, as fast as it was of late."""
    polled = progress.record(PollJob)
    history = _history(config, state, progress) if polled is not None and polled.status == "running" else None
    told = [] if history is None else [each for each in history.events if each.type == "metrics"]
    steps = [(each.created_at, msgspec.to_builtins(each.data) or {}) for each in told[-_LATELY:]]
    lately = [(at, data["step"], data.get("total_steps")) for at, data in steps if isinstance(data.get("step"), int)]
    # A pause in between is no part of the pace: what took ten times as long as usual is left out.
    spans = [(later[0] - one[0], later[1] - one[1]) for one, later in itertools.pairwise(lately) if later[1] > one[1]]
    if not spans or not lately[-1][2]:
        return None
    usual = sorted(seconds / steps for seconds, steps in spans)[len(spans) // 2]
    kept = [(seconds, steps) for seconds, steps in spans if seconds / steps <= 10 * usual + 1]
    pace = sum(seconds for seconds, _ in kept) / sum(steps for _, steps in kept)
    return float(pace * (lately[-1][2] - lately[-1][1]))


def curve_of(curves: Curves, left: float | None) -> dict[str, Any]:
    """The loss, as a script draws it; `left`: seconds until the training ends, where that is known."""
    return {
        "train": thinned(curves.train_loss, MOST_POINTS),
        "smooth": thinned(smoothed(curves.train_loss), MOST_POINTS) if len(curves.train_loss) >= 30 else [],
        "valid": thinned(curves.valid_loss, MOST_POINTS),
        "steps": curves.steps,
        "total": curves.total_steps,
        "marks": [each.step for each in curves.checkpoints],
        "left": left,
    }
