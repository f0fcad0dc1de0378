"""Who talks in the archive of a config, as `finetune senders` shows it; nothing is written but the archive itself."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.cells import cell_len, set_cell_size

from pipeline.archives.several import read_archives, readings_of
from pipeline.commands.context import at_work, in_words_of, read_only, say
from pipeline.commands.options import AsJson, ConfigPath, Overrides
from pipeline.config.settings import Config
from pipeline.run.progress import Progress
from pipeline.sessions.senders import Chat, Sender
from pipeline.sessions.stream import Stream, read_streams
from pipeline.steps.download import STEP as DOWNLOAD
from pipeline.steps.load import STEP as LOAD
from pipeline.steps.outputs import Download, Load
from pipeline.terminal.invocation import Invocation
from pipeline.wording import visible

SHOWN = 30
_DAY = len("2023-08-28")
_SENDER = ["chats", "sender", "in training data"]
_CHAT = ["people", "kind", "chat", "title"]
_NUMBERS = (0, 3)
_BETWEEN = "  "
_LEAST = 12  # columns that are left of an id or a title where the terminal is narrow


def is_fetched(progress: Progress) -> bool:
    """Whether the archive is there to be read."""
    return progress.why(DOWNLOAD) is None


def sessions_of(config: Config, run_dir: Path, progress: Progress) -> Iterator[Stream]:
    """What the load step made, where that is up to date, else what it would make.

    A filter that names nobody is no mistake here: this is where one looks for the right name.

    Raises:
        InputError: the archive cannot be read.
    """
    if progress.why(LOAD) is None:
        return read_streams(run_dir / progress.output(Load).sessions.path)
    return read_archives(readings_of(config.load, progress.output(Download).originals(run_dir)), strict=False)


def lines_of(found: Sequence[Sender | Chat], *, everybody: bool, width: int | None = None) -> Iterator[str]:
    """A table of people or of conversations, a line at a time; the first SHOWN only, unless `everybody` is wanted.

    Args:
        width: of the terminal, in columns, into which what is long is shortened, ids before names; None for all of it.
    """
    shown = found if everybody else found[:SHOWN]
    rows = [["messages", "since", "until", *(_CHAT if found and isinstance(found[0], Chat) else _SENDER)]]
    rows += [[f"{each.messages:,}", _day(each.since), _day(each.until), *_about(each)] for each in shown]
    yield from _table(rows, width)
    if len(shown) < len(found):
        yield f"… and {len(found) - len(shown):,} more; --all shows them."


def _about(row: Sender | Chat) -> list[str]:
    if isinstance(row, Chat):
        return [f"{len(row.people):,}", row.kind, row.id, row.title or ""]
    name = "" if row.name == row.sender else row.name
    return [f"{row.chats:,}", row.sender, "(the owner)" if row.is_me else name]


def _day(time: str | None) -> str:
    return time[:_DAY] if time else ""


def _table(rows: Sequence[Sequence[str]], room: int | None) -> Iterator[str]:
    clean = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*clean, strict=True)]
    for number in (-2, -1):
        excess = 0 if room is None else sum(widths) + len(_BETWEEN) * (len(widths) - 1) - room
        least = min(widths[number], max(_LEAST, cell_len(rows[0][number])))
        widths[number] = max(least, widths[number] - max(0, excess))
    for row in clean:
        cells = []
        for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
            shown = _shortened(cell, width, is_chat=rows[0][number] == "chat")
            space = " " * (width - cell_len(shown))
            cells.append(space + shown if number in _NUMBERS else shown + space)
        yield _BETWEEN.join(cells).rstrip()


def _shortened(cell: str, width: int, *, is_chat: bool) -> str:
    """Its beginning; of a conversation's id, such as iMessage;-;+15551234567, its end."""
    if cell_len(cell) <= width:
        return cell
    if is_chat:
        return f"…{set_cell_size(cell[::-1], width - 1)[::-1]}"
    return f"{set_cell_size(cell, width - 1)}…"


def senders(
    config_path: ConfigPath,
    everybody: Annotated[bool, typer.Option("--all", help="Not only the thirty most talkative.")] = False,
    chats: Annotated[bool, typer.Option("--chats", help="List conversations instead of people.")] = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Show who talks in the archive: how much, since when, until when."""
    import msgspec

    from pipeline.run import runner
    from pipeline.sessions.senders import chats_of, senders_of
    from pipeline.terminal.style import Lines

    config, state, progress = read_only(config_path, overrides)
    if not is_fetched(progress):
        with at_work(config_path, overrides, aside=True, asks=True) as (config, state, work):
            runner.run(config, state, work, runner.Range(last=DOWNLOAD.name))
        config, state, progress = read_only(config_path, overrides)
    with in_words_of(Invocation.of(config_path, overrides)):
        sessions = sessions_of(config, state.run_dir, progress)
        found = chats_of(sessions) if chats else senders_of(sessions)
    lines = Lines(sys.stdout)
    width = lines.width if lines.is_terminal else None
    for row in found if as_json else lines_of(found, everybody=everybody, width=width):
        say(msgspec.json.encode(row).decode() if as_json else str(row))
