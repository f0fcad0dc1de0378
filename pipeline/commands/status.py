"""`finetune status`: a run as it stands, in rows, and in lines drawn as the run drew them."""

import datetime
import sys
from collections.abc import Iterator, Mapping, Sequence

from pipeline.commands.context import read_only, say
from pipeline.commands.logs import last_said
from pipeline.commands.options import AsJson, ConfigPath, Overrides
from pipeline.run.progress import IF_BEFORE, Progress
from pipeline.state.file import Json, State
from pipeline.terminal.invocation import Invocation
from pipeline.terminal.run_log import NAME as LOG
from pipeline.terminal.style import INDENT, Lines, Piece, Shown, head, mark
from pipeline.wording import took

_STYLES = {"running": "cyan", "interrupted": "yellow", "failed": "red", "pending": "dim"}

_WHEN_WIDTH = len("22 Nov")


def status_rows(state: State, progress: Progress, *, at_work: bool) -> list[dict[str, Json]]:
    """One row a step: name, state, from when to when, seconds, attempts, made, said last and when, why, error.

    Args:
        at_work: a run is going on.
    """
    rows = []
    stale = False
    for step in progress.steps:
        record = state.body.steps.get(step.name)
        why = progress.why(step)
        if at_work and record is not None and record.status == "running":
            why = None
        elif why is None and stale:
            why = IF_BEFORE
        stale = stale or why is not None
        made = progress.output(step.output).summary() if record and record.output and record.status == "done" else None
        said = last_said(state.run_dir / LOG, record.started_at) if record and record.status == "running" else None
        rows.append(
            {
                "step": step.name,
                "state": "pending" if record is None else record.status,
                "started_at": record.started_at if record else None,
                "finished_at": record.finished_at if record else None,
                "seconds": record.seconds if record else None,
                "attempts": record.attempts if record else 0,
                "made": made,
                "said": said,
                "would_run": why,
                "error": record.error if record else None,
            }
        )
    return rows


def status_lines(
    rows: Sequence[Mapping[str, Json]], lines: Lines, called: Invocation, *, at_work: bool
) -> Iterator[Shown]:
    """A line a step, as `status_rows` has them, and what there is to say of it below; times are local.

    Args:
        at_work: a run is going on.
    """
    for number, row in enumerate(rows, start=1):
        how = str(row["state"])
        if how == "running" and not at_work:
            how = "interrupted"
        style = _STYLES.get(how, "green" if row["would_run"] is None else "yellow")
        if how == "done":
            how = took(row["seconds"]) if isinstance(row["seconds"], int | float) else ""
        name: Piece = (head(number, len(rows), str(row["step"])), "dim" if how == "pending" else "")
        when: Piece = (f"{_local(row['finished_at'] or row['started_at'])}  ", "dim")
        yield Shown(lines.line(name, (mark(how), style), when, text=str(row["made"] or "")).rstrip())
        if row["said"]:
            at, said = row["said"]["at"], row["said"]["text"]
            yield lines.line((INDENT, ""), (f"{_local(at).strip()}  ", "dim"), text=said)
        if row["error"]:
            yield lines.line((INDENT, ""), text=called.typable(str(row["error"])), style="red")
        elif row["would_run"] not in (None, IF_BEFORE) and row["state"] == "done":
            yield lines.line((INDENT, ""), text=f"would run again: {row['would_run']}", style="yellow")


def _local(stamp: Json) -> str:
    """A record's time on the clock of this machine: today to the minute, before that the day, as ls has it."""
    if not isinstance(stamp, str):
        return " " * _WHEN_WIDTH
    time, now = datetime.datetime.fromisoformat(stamp).astimezone(), datetime.datetime.now().astimezone()
    how = "%H:%M" if time.date() == now.date() else "%d %b" if time.year == now.year else "%Y"
    return f"{time.strftime(how):>{_WHEN_WIDTH}}"


def status(config_path: ConfigPath, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Show every step: state, when, how long, what it made, why it would run again."""
    import msgspec

    from pipeline.backends.profiles import profile_of
    from pipeline.state.lock import holder
    from pipeline.terminal.style import Lines

    config, state, progress = read_only(config_path, overrides)
    at_work = holder(state.run_dir)
    rows = status_rows(state, progress, at_work=at_work is not None)
    if as_json:
        for row in rows:
            say(msgspec.json.encode(row).decode())
        return
    lines, called = Lines(sys.stdout), Invocation.of(config_path, overrides)
    where = f" with {profile_of(config.backend).title}, in {state.run_dir}/"
    say(lines.line((config.name, "bold"), text=f"{where}{f', running now ({at_work})' if at_work else ''}"))
    for line in status_lines(rows, lines, called, at_work=at_work is not None):
        say(line)
    if at_work is None:
        is_done = all(row["would_run"] is None for row in rows)
        go_on = f"Talk to it: {called.command('chat')}" if is_done else f"Go on with: {called.command('run')}"
        say(lines.line(text=go_on))
