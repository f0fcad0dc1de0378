"""What moves at the bottom of a terminal: the step at work, and those still to come; or who is about to speak.

Lines that are finished scroll away above it, the same ones that a pipe gets.
"""

from collections.abc import Mapping
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Task as Row
from rich.table import Column
from rich.text import Text

from pipeline.terminal.style import INDENT
from pipeline.wording import visible

BAR_WIDTH = 24
ROOM_FOR_A_BAR = 90


class Below:
    """The live region under the lines.

    Args:
        heads: how the line of each step of a run begins, in order.
    """

    def __init__(self, stream: TextIO, heads: Mapping[str, str]) -> None:
        self._console = Console(file=stream, force_terminal=True, highlight=False)
        self._heads = heads
        self._live: Live | None = None
        self._progress: Progress | None = None

    @property
    def is_shown(self) -> bool:
        """Whether it is there now; then all else has to be written through it."""
        return self._live is not None

    def write_above(self, text: str) -> None:
        """Whole lines, with their control codes, that stay."""
        self._console.print(Text.from_ansi(text.removesuffix("\n")), soft_wrap=True)

    def show(self, step: str) -> None:
        """Begin with a step, or with what is done before the first; or go on showing it."""
        if self._live is not None:
            return
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            SpinnerColumn(),
            TimeElapsedColumn(),
            *([_BarOfKnownLength(bar_width=BAR_WIDTH)] if self._console.width >= ROOM_FOR_A_BAR else []),
            TextColumn("{task.fields[text]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            _Left(table_column=Column(no_wrap=True)),
            console=self._console,
            auto_refresh=False,
        )
        self._progress.add_task(self._heads.get(step, f"{INDENT}{step}"), total=None, text="")
        self._live = Live(
            Group(self._progress, *self._to_come(step)), console=self._console, transient=True, refresh_per_second=8
        )
        self._live.start(refresh=True)

    def wait(self, head: str) -> None:
        """Show for how long an answer has been waited for."""
        shown = TextColumn("{task.description}", markup=False)
        waited = Progress(shown, SpinnerColumn(), TimeElapsedColumn(), console=self._console)
        waited.add_task(visible(head), total=None)
        self._live = Live(waited, console=self._console, transient=True, refresh_per_second=8)
        self._live.start(refresh=True)

    def update(self, done: float, total: float | None, text: str) -> None:
        """How far the step is; without a total no bar is shown."""
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], completed=done, total=total, text=visible(text))

    def hide(self) -> None:
        """Leave the terminal to lines or speech."""
        if self._live is not None:
            self._live.stop()
            self._live = self._progress = None

    def _to_come(self, step: str) -> list[Text]:
        steps = list(self._heads)
        after = list(self._heads.values())[steps.index(step) + 1 if step in steps else 0 :]
        room = max(0, self._console.height - 4)
        return [Text(head, style="dim") for head in after[:room]]


class _BarOfKnownLength(BarColumn):
    def render(self, task: Row) -> Text:  # type: ignore[override]  # nothing, or what rich makes of it
        return Text("") if task.total is None else super().render(task)  # type: ignore[return-value]


class _Left(TimeRemainingColumn):
    """The time left, once it can be told."""

    def render(self, task: Row) -> Text:
        if task.total is None or task.finished or task.time_remaining is None:
            return Text("")
        minutes, seconds = divmod(int(task.time_remaining), 60)
        return Text(f"{minutes}:{seconds:02} left", style="cyan")
