"""The commands of the way in, as cli.py offers them."""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import InputError
from pipeline.invocation import Invocation
from pipeline.signals import SignalStop
from pipeline.terminal import show_in_place
from pipeline.visible import visible
from pipeline.workplace import say


def complete_step(incomplete: str) -> list[str]:
    """The steps, for the shell's completion."""
    from pipeline.steps import STEPS

    return [step.name for step in STEPS if step.name.startswith(incomplete)]


def complete_key(incomplete: str) -> list[str]:
    """The config's keys with their =, for the shell's completion."""
    from pydantic import BaseModel

    from pipeline.config import Config

    def keys(model: type[BaseModel], before: str) -> Iterator[str]:
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from keys(field.annotation, f"{before}{name}.")
            else:
                yield f"{before}{name}="

    return [key for key in keys(Config, "") if key.startswith(incomplete)]


Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key: --set create_job.seed=7.", autocompletion=complete_key
    ),
]


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
    from pipeline.lines import Lines
    from pipeline.start.init import Given, write_config
    from pipeline.start.next import what_next
    from pipeline.start.questions import Questions

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


def doctor(
    config_path: Annotated[Path | None, typer.Argument(metavar="CONFIG", help="Check what this run needs.")] = None,
    overrides: Overrides = None,
) -> None:
    """Check that all that a run needs is there: each thing, and what mends it."""
    from pipeline.lines import Lines
    from pipeline.start.doctor import examine

    lines, styles = Lines(sys.stdout), {"ok": "green", "warn": "yellow", "fail": "red"}
    called = Invocation(config_path, tuple(overrides or ()))
    counts = Counter[str]()
    for finding in examine(config_path, overrides or ()):
        if lines.is_terminal:
            waiting = f"      {finding.what:<10}  {finding.said}" if finding.level == "wait" else ""
            show_in_place(waiting, lines.width)
        if finding.level == "wait":
            continue
        counts[finding.level] += 1
        level = (f"{finding.level:<4}  ", styles[finding.level])
        say(lines.line(level, (f"{finding.what:<10}  ", ""), text=called.typable(finding.said)))
        if finding.fix:
            say(lines.line((" " * 18, ""), text=called.typable(finding.fix)))
    if not counts["fail"]:
        say("Ready." if not counts["warn"] else "Ready, with a warning.")
        return
    say(f"{counts['fail']} to mend first.")
    raise typer.Exit(InputError.exit_code)


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
