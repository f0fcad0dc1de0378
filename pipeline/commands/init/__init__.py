"""`finetune init`: a config for your own chats, after a few questions (interview.py)."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.context import say
from pipeline.errors import InputError
from pipeline.process.signals import SignalStop
from pipeline.terminal.invocation import Invocation
from pipeline.wording import visible


def init(
    source: Annotated[
        str | None, typer.Option(metavar="PATH", help="The archive: a file, a folder, a URL or sample:tortoise-hare.")
    ] = None,
    me: Annotated[str | None, typer.Option(metavar="NAME", help="Whom the model shall text like.")] = None,
    backend: Annotated[
        str | None, typer.Option(metavar="KIND", help="embedded (default), openai, azure, nebius or compatible.")
    ] = None,
    base_url: Annotated[str | None, typer.Option(metavar="URL", help="Where an azure or compatible one is.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="The base model.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write the config.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: take the defaults.")] = False,
) -> None:
    """Write a config for your own chats, after a few questions."""
    from pipeline.commands.init.interview import Given, write_config
    from pipeline.commands.init.next_steps import what_next
    from pipeline.commands.init.questions import Questions
    from pipeline.terminal.style import Lines

    lines = Lines(sys.stdout)

    def tell(text: str) -> None:
        say(lines.flow(text))

    def ask(prompt: str) -> str:
        return input(visible(prompt))

    asks = sys.stdin.isatty() and sys.stdout.isatty() and not yes
    missing = [flag for flag, value in (("--source PATH", source), ("--me NAME", me)) if value is None]
    if not asks and not yes and missing:
        raise InputError(
            "finetune init",
            "there is no terminal to ask on",
            fix=f"Give {' and '.join(missing)}, or --yes to take the defaults.",
        )
    if asks:
        _complete_paths()
        tell("A few questions, then a config is written. Nothing else happens, and nothing leaves this machine.")
        tell("")
    given = Given(source, me, backend, base_url, model, out)
    try:
        made = write_config(given, Questions(ask if asks else None, tell))
    except EOFError:
        raise InputError("finetune init", "the answers ended", fix="Nothing was written; begin again.") from None
    except SignalStop:
        say("")  # the cursor was left behind a question
        raise
    for line in what_next(made, Invocation(made.path), lines):
        say(line)


def _complete_paths() -> None:
    """Let the Tab key complete file names, and the arrow keys edit."""
    try:
        import readline
    except ImportError:  # a Python built without it
        return

    def complete(begun: str, number: int) -> str | None:
        folder, slash, start = begun.rpartition("/")
        there = Path(f"{folder}{slash}").expanduser()
        found = sorted(each for each in there.iterdir() if each.name.startswith(start)) if there.is_dir() else []
        names = [f"{folder}{slash}{each.name}{'/' if each.is_dir() else ''}" for each in found]
        return names[number] if number < len(names) else None

    readline.set_completer_delims("")
    readline.set_completer(complete)
    readline.parse_and_bind("bind ^I rl_complete" if "libedit" in (readline.__doc__ or "") else "tab: complete")
