"""`finetune run`: the steps."""

from typing import Annotated

import typer

from pipeline.commands.context import at_work, in_words_of
from pipeline.commands.options import AsJson, ConfigPath, Overrides, complete_step
from pipeline.config.settings import listed
from pipeline.terminal.invocation import Invocation


def run(
    config_path: ConfigPath,
    overrides: Overrides = None,
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="Run STEP again, then go on.", autocompletion=complete_step),
    ] = None,
    last: Annotated[
        str | None, typer.Option("--until", metavar="STEP", help="Stop after STEP.", autocompletion=complete_step)
    ] = None,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="STEP", help="Run STEP again and nothing else.", autocompletion=complete_step),
    ] = None,
    new_job: Annotated[
        bool, typer.Option("--new-job", help="Have another training, and pay for it, though one is there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the steps; what is done and intact is skipped."""
    from pipeline.config.file import load_config
    from pipeline.run import runner
    from pipeline.steps import steps_of

    called = Invocation.of(config_path, overrides)
    with in_words_of(called):  # before anything is written
        config = load_config(config_path, called.overrides)
        chosen = runner.Range.parse(config, first, last, only, new_job)
    with at_work(config_path, overrides, as_json=as_json, runs=True) as (config, state, work):
        names = [step.name for step in steps_of(config)]
        work.display.begin(config.name, work.connection.profile.title, work.run_dir, names)
        runner.run(config, state, work, chosen)
        if last is None and only is None:
            work.display.end(f"Talk to it: {called.command('chat')}")
            if all(source.startswith("sample:") for source in listed(config.download.source)):
                work.display.end(f"A model of your own chats: {Invocation().command('init')}")
