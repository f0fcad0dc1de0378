"""`finetune status`: the lines of a run as it stands, drawn as the run drew them."""

import datetime
from collections.abc import Iterator, Mapping, Sequence

from pipeline.lines import INDENT, Lines, Piece, head, in_time, mark
from pipeline.state import Json

_STYLES = {"running": "cyan", "interrupted": "yellow", "failed": "red", "pending": "dim"}


def status_lines(rows: Sequence[Mapping[str, Json]], lines: Lines, *, at_work: bool) -> Iterator[str]:
    """A line a step, as `runner.status_rows` has them, and what there is to say of it below; times are local.

    Args:
        at_work: a run is going on.
    """
    for number, row in enumerate(rows, start=1):
        how = str(row["state"])
        if how == "running" and not at_work:
            how = "interrupted"
        style = _STYLES.get(how, "green")
        if how == "done":
            how = in_time(row["seconds"]) if isinstance(row["seconds"], int | float) else ""
        name: Piece = (head(number, len(rows), str(row["step"])), "dim" if how == "pending" else "")
        when: Piece = (f"{_local(row['finished_at'] or row['started_at'])}  ", "dim")
        yield lines.line(name, (mark(how), style), when, text=str(row["made"] or "")).rstrip()
        if row["error"]:
            yield lines.line((INDENT, ""), text=str(row["error"]), style="red")
        elif row["would_run"] and how not in ("pending", "running", "interrupted"):
            yield lines.line((INDENT, ""), text=f"would run again: {row['would_run']}", style="yellow")


def _local(stamp: Json) -> str:
    """A record's time on the clock of this machine, to the minute."""
    if not isinstance(stamp, str):
        return " " * len("2026-11-22 18:15")
    return datetime.datetime.fromisoformat(stamp).astimezone().strftime("%Y-%m-%d %H:%M")
