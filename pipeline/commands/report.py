"""`finetune report`: the whole run on one page."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.context import in_words_of, read_only, say
from pipeline.commands.options import ConfigPath, Overrides
from pipeline.terminal.invocation import Invocation


def report(
    config_path: ConfigPath,
    overrides: Overrides = None,
    markdown: Annotated[bool, typer.Option("--md", help="Write Markdown, without charts.")] = False,
    with_text: Annotated[
        bool, typer.Option("--with-text", help="Show names, examples, prompts and answers: it is chat text.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there, not to runs/<name>/report.html; - prints it.")
    ] = None,
) -> None:
    """Write what went into a run, what training did and what came out, as one HTML file."""
    from pipeline.report.writing import report_text, write_report

    with in_words_of(Invocation.of(config_path, overrides)):
        config, state, progress = read_only(config_path, overrides)
        if out == Path("-"):
            for line in report_text(config, state, progress, markdown=markdown, with_text=with_text).split("\n"):
                say(line)
            return
        target = write_report(config, state, progress, markdown=markdown, with_text=with_text, out=out)
        say(f"{target}{' holds names and chat text; readable by you alone' if with_text else ''}")
