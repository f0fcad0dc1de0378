"""The `finetune` command: parse, print, exit code. Nothing heavy is imported until a command needs it."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer
import typer.core

from pipeline import __version__, failpoints
from pipeline.commands.context import in_words_of, leave_stopped, say
from pipeline.process import privacy
from pipeline.process.privacy import settle_process
from pipeline.process.signals import SignalStop, this_process
from pipeline.terminal import libraries
from pipeline.terminal.invocation import Invocation, require_text
from pipeline.terminal.streams import prepare_streams, printed_by
from pipeline.terminal.style import Shown
from pipeline.wording import visible

VERBS = {
    "init": "pipeline.commands.init",
    "models": "pipeline.commands.models",
    "doctor": "pipeline.commands.doctor",
    "backends": "pipeline.commands.backends",
    "probe": "pipeline.commands.probe",
    "run": "pipeline.commands.run",
    "status": "pipeline.commands.status",
    "logs": "pipeline.commands.logs",
    "senders": "pipeline.commands.senders",
    "inspect": "pipeline.commands.inspect",
    "report": "pipeline.commands.report",
    "evaluate": "pipeline.commands.evaluate",
    "compare": "pipeline.commands.compare",
    "chat": "pipeline.commands.chat",
    "studio": "pipeline.commands.studio",
    "export": "pipeline.commands.export",
    "cancel": "pipeline.commands.cancel",
    "delete": "pipeline.commands.delete",
    "forget": "pipeline.commands.recovery",
    "resolve": "pipeline.commands.recovery",
    "repair": "pipeline.commands.recovery",
    "serve": "pipeline.commands.serve",
    "rescue": "pipeline.commands.rescue",
}
"""Each command, and the module with the function of its name: imported when it is called, or listed by --help."""


class _Verb(typer.core.TyperCommand):
    """A command whose help is said as all else is: to a reader that goes away, or to a disk that is full."""

    def get_help(self, ctx: Any) -> str:
        """Say it; typer prints it past what this returns."""
        return _say_help(lambda: super(_Verb, self).get_help(ctx))


class Verbs(typer.core.TyperGroup):
    """The commands as VERBS has them.

    Typer has a copy of click of its own: the types of contexts and commands have no public name.
    """

    def get_help(self, ctx: Any) -> str:
        """As that of each command."""
        return _say_help(lambda: super(Verbs, self).get_help(ctx))

    def list_commands(self, _: Any) -> list[str]:
        """All names, in the order of VERBS."""
        return list(VERBS)

    def get_command(self, _: Any, cmd_name: str) -> Any:
        """One command, made of its function's parameters and docstring."""
        if cmd_name not in VERBS:
            return None
        named = getattr(importlib.import_module(VERBS[cmd_name]), cmd_name)
        if isinstance(named, typer.Typer):
            return _group(cmd_name, named)
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings=_SETTINGS)
        single.command(cmd_name, cls=_Verb)(named)
        return typer.main.get_command(single)


class _SubVerbs(typer.core.TyperGroup):
    """A command that has commands of its own."""

    def get_help(self, ctx: Any) -> str:
        """As that of each command."""
        return _say_help(lambda: super(_SubVerbs, self).get_help(ctx))


def _group(name: str, verbs: typer.Typer) -> Any:
    """A command with its own commands, as its module has them."""
    for each in verbs.registered_commands:
        each.cls, each.context_settings = _Verb, _SETTINGS
    verbs.info.name, verbs.info.cls, verbs.info.context_settings = name, _SubVerbs, _SETTINGS
    verbs._add_completion = verbs.pretty_exceptions_enable = False
    return typer.main.get_command(verbs)


def _say_help(ask: Callable[[], str]) -> str:
    say(Shown(printed_by(ask).removesuffix("\n")))
    return ""


_SETTINGS = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
)


def main() -> None:
    """Run the command; every foreseeable failure becomes one message and its exit code."""
    settle_process()
    prepare_streams()
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "1"  # of other packages; even to look for them takes time
    privacy.withhold()
    libraries.quieten_warnings()
    try:
        with this_process.handled(), in_words_of(Invocation()):
            require_text(sys.argv[1:], os.environ)
            failpoints.arm_from_environment()
            sys.exit(app(standalone_mode=False))
    except SignalStop as stop:
        leave_stopped(stop)
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's errors of usage have no public name in common
            raise
        _refuse(error)


def _refuse(error: Any) -> NoReturn:
    """Show an error of usage as typer does, with what was given made visible."""
    from typer.rich_utils import rich_format_error

    said = "\n".join(map(visible, error.format_message().split("\n")))
    error.format_message = lambda: said
    rich_format_error(error)
    sys.exit(error.exit_code)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"finetune {__version__}")
        raise typer.Exit


@app.callback()
def finetune(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """A chat archive goes in, a model that talks like one of the people in it comes out."""
