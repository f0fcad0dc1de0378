"""`finetune forget`, `resolve` and `repair`: the ways out of a run that needs a decision."""

from typing import Annotated

import typer

from pipeline.commands.context import in_words_of, locked_state, say
from pipeline.commands.options import ConfigPath, Overrides, StepName
from pipeline.errors import InputError
from pipeline.terminal.invocation import Invocation


def forget(config_path: ConfigPath, step: StepName, overrides: Overrides = None) -> None:
    """Make STEP and all after it run again next time."""
    from pipeline.run import runner

    with locked_state(config_path, overrides) as (config, state):
        gone = runner.forget(config, state, step)
        say(f"Forgot {', '.join(gone)}." if gone else "Nothing to forget: none of these steps has run.")


def resolve(
    config_path: ConfigPath,
    step: StepName,
    adopt: Annotated[str | None, typer.Option("--adopt", metavar="ID", help="It was made; this is its id.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Nothing came of it.")] = False,
    overrides: Overrides = None,
) -> None:
    """Say what became of a request that was never answered."""
    from pipeline.run import runner

    if (adopt is None) != none or (adopt is not None and not adopt.strip()):
        raise InputError("resolve", "needs either --adopt ID or --none", fix="Look in the provider's dashboard first.")
    with locked_state(config_path, overrides) as (_, state):
        runner.resolve(state, step, adopt)
        say(f"{step} is settled. Go on with: {Invocation.of(config_path, overrides).command('run')}")


def repair(config_path: ConfigPath, overrides: Overrides = None) -> None:
    """Rebuild a damaged or lost state file."""
    from pipeline.config.file import load_config
    from pipeline.config.settings import run_directory
    from pipeline.state.file import locked
    from pipeline.state.repair import repair as repair_state

    called = Invocation.of(config_path, overrides)
    with in_words_of(called):
        run_dir = run_directory(load_config(config_path, called.overrides).name)
        if not run_dir.is_dir():
            raise InputError(str(run_dir), "no such run", fix=f"Begin it with: {called.command('run')}")
        with locked(run_dir):
            for line in repair_state(run_dir):
                say(line)
