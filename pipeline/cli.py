"""The `finetune` command: parse, print, exit code. Nothing heavy is imported until a command needs it."""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline import __version__, failpoints, libraries, privacy
from pipeline.errors import FinetuneError, InputError
from pipeline.invocation import Invocation, require_text
from pipeline.private import settle_process
from pipeline.signals import SignalStop, this_process
from pipeline.start import commands as start
from pipeline.start.commands import Overrides
from pipeline.terminal import prepare_streams
from pipeline.workplace import at_work, in_words_of, leave_stopped, locked_state, read_only, say

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file, such as configs/tortoise.yaml.")]
StepName = Annotated[
    str, typer.Argument(metavar="STEP", help="One of the ten, such as convert.", autocompletion=start.complete_step)
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


def main() -> None:
    """Run the command; every foreseeable failure becomes one message and its exit code."""
    settle_process()
    prepare_streams()
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "1"  # of other packages; even to look for them takes time
    privacy.withhold()
    libraries.quieten_warnings()
    failpoints.arm_from_environment()
    try:
        with this_process.handled(), in_words_of(Invocation()):
            require_text(sys.argv[1:], os.environ)
            app()
    except SignalStop as stop:
        leave_stopped(stop)


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


app.command()(start.init)
app.command()(start.doctor)


@app.command()
def run(
    config_path: ConfigPath,
    overrides: Overrides = None,
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="Run STEP again, then go on.", autocompletion=start.complete_step),
    ] = None,
    last: Annotated[
        str | None, typer.Option("--until", metavar="STEP", help="Stop after STEP.", autocompletion=start.complete_step)
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--only", metavar="STEP", help="Run STEP again and nothing else.", autocompletion=start.complete_step
        ),
    ] = None,
    new_job: Annotated[
        bool, typer.Option("--new-job", help="Have another training, and pay for it, though one is there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the ten steps; what is done and intact is skipped."""
    from pipeline import runner
    from pipeline.steps import STEPS

    steps = runner.Range.parse(first, last, only, new_job)
    with at_work(config_path, overrides, as_json=as_json, runs=True) as (config, state, work):
        names = [step.name for step in STEPS]
        work.display.begin(config.name, work.connection.profile.title, work.run_dir, names)
        runner.run(config, state, work, steps)
        if last is None and only is None:
            work.display.end(f"Talk to it: {Invocation.of(config_path, overrides).command('chat')}")
            if config.download.source.startswith("sample:"):
                work.display.end(f"A model of your own chats: {Invocation().command('init')}")


@app.command()
def status(config_path: ConfigPath, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Show every step: state, when, how long, what it made, why it would run again."""
    import msgspec

    from pipeline.backends.profiles import profile_of
    from pipeline.lines import Lines
    from pipeline.lock import holder
    from pipeline.status import status_lines, status_rows

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


@app.command()
def logs(
    config_path: ConfigPath,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows, until Ctrl-C.")] = False,
    overrides: Overrides = None,
) -> None:
    """Print what the runs said, with times."""
    from pipeline.clock import SystemClock
    from pipeline.config_file import load_config
    from pipeline.lines import Lines
    from pipeline.logs import log_lines, shown
    from pipeline.run_log import NAME as LOG
    from pipeline.runner import run_directory

    called = Invocation.of(config_path, overrides)
    with in_words_of(called):
        log = run_directory(load_config(config_path, called.overrides).name) / LOG
        lines = Lines(sys.stdout)
        try:
            for line in log_lines(log, follow=follow, clock=SystemClock()):
                say(shown(line, lines))
        except SignalStop as stop:
            stop.told = follow and stop.signum == signal.SIGINT  # the only way to end it
            raise


@app.command()
def senders(
    config_path: ConfigPath,
    everybody: Annotated[bool, typer.Option("--all", help="Not only the thirty most talkative.")] = False,
    chats: Annotated[bool, typer.Option("--chats", help="List conversations instead of people.")] = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Show who talks in the archive: how much, since when, until when."""
    import msgspec

    from pipeline import runner
    from pipeline import senders as listing
    from pipeline.chats.senders import chats_of, senders_of
    from pipeline.lines import Lines

    config, state, progress = read_only(config_path, overrides)
    if not listing.is_fetched(progress):
        with at_work(config_path, overrides, aside=True, asks=True) as (config, state, work):
            runner.run(config, state, work, runner.Range(last="download"))
        config, state, progress = read_only(config_path, overrides)
    with in_words_of(Invocation.of(config_path, overrides)):
        sessions = listing.sessions_of(config, state.run_dir, progress)
        found = chats_of(sessions) if chats else senders_of(sessions)
    lines = Lines(sys.stdout)
    width = lines.width if lines.is_terminal else None
    for row in found if as_json else listing.lines_of(found, everybody=everybody, width=width):
        say(msgspec.json.encode(row).decode() if as_json else str(row))


@app.command()
def inspect(
    config_path: ConfigPath,
    dropped: Annotated[
        str | None,
        typer.Option(
            "--dropped", metavar="REASON", help="Show what was left out for that reason; a word of it is enough."
        ),
    ] = None,
    examples: Annotated[int, typer.Option("--examples", metavar="N", min=0, help="How many examples to show.")] = 3,
    overrides: Overrides = None,
) -> None:
    """Show what became of every message, and examples, before anything is trained."""
    from pipeline import inspection, runner
    from pipeline.lines import Lines

    lines = Lines(sys.stdout)
    with at_work(config_path, overrides, aside=True, asks=True, beside=True) as (config, state, work):
        if work.beside is None:
            runner.run(config, state, work, runner.Range(last="convert"))
        else:
            inspection.require_done(config, state, work)
        if dropped is not None:
            inspection.left_out(config, state, work, dropped, lambda _, words: say(words))
            return
        for line in inspection.overview(config, state, work, examples):
            *before, (text, style) = line or [("", "")]
            say(lines.line(*before, text=text, style=style))
        say("")
        say(work.go_on)


@app.command()
def report(
    config_path: ConfigPath,
    overrides: Overrides = None,
    markdown: Annotated[bool, typer.Option("--md", help="Write Markdown, without charts.")] = False,
    with_text: Annotated[
        bool, typer.Option("--with-text", help="Show names, examples, prompts and answers: it is chat text.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there, not to runs/<name>/report.html.")
    ] = None,
) -> None:
    """Write what went into a run, what training did and what came out, as one HTML file."""
    from pipeline.report.writing import write_report

    with in_words_of(Invocation.of(config_path, overrides)):
        config, state, progress = read_only(config_path, overrides)
        target = write_report(config, state, progress, markdown=markdown, with_text=with_text, out=out)
        say(f"{target}{' holds names and chat text; readable by you alone' if with_text else ''}")


@app.command()
def forget(config_path: ConfigPath, step: StepName, overrides: Overrides = None) -> None:
    """Make STEP and all after it run again next time."""
    from pipeline import runner

    with locked_state(config_path, overrides) as (_, state):
        gone = runner.forget(state, step)
        say(f"Forgot {', '.join(gone)}." if gone else "Nothing to forget: none of these steps has run.")


@app.command()
def cancel(config_path: ConfigPath, overrides: Overrides = None) -> None:
    """Cancel the training job."""
    from pipeline.job import cancel_job

    with at_work(config_path, overrides, beside=True) as (config, state, work):
        say(cancel_job(config, state, work))


@app.command()
def chat(
    config_path: ConfigPath,
    message: Annotated[str | None, typer.Option("--message", metavar="M", help="Say this and leave.")] = None,
    overrides: Overrides = None,
) -> None:
    """Talk to the tuned model, until Ctrl-D."""
    from pipeline.chat import converse

    if message is not None and not message.strip():
        raise InputError("--message", "says nothing", fix="Say something, or leave it out to talk in turns.")
    with at_work(config_path, overrides, asks=True, beside=True) as (config, state, work):
        converse(config, state, work, message)


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8642,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where files, jobs and models live: ./server; a mocked API forgets them.")
    ] = None,
    host: Annotated[str, typer.Option(help="Beyond loopback, keys need 16 characters.")] = "127.0.0.1",
    mock: Annotated[bool, typer.Option("--mock", help="Train nothing: a mocked API, for tests.")] = False,
    script: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --mock: how jobs go, what models say, which requests fail."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many jobs may train at once.")] = 1,
    model: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="A local Hugging Face model directory to offer too.")
    ] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=1, help="How many each key may make.")] = None,
    embedded: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Serve the OpenAI-compatible API until stopped; its key is FINETUNE_SERVER_KEY, or made and printed once."""
    from pipeline.durable import unusable
    from pipeline.server import logs
    from pipeline.server.keys import FILE as KEYS
    from pipeline.server.main import run as run_server
    from pipeline.server.scratch import temporary_store
    from pipeline.server.settings import ServerSettings

    given = os.environ.pop("FINETUNE_SERVER_KEY", "")
    if script is not None and not mock:
        raise InputError("--script", "only a mocked API follows a script", fix="Add --mock.")
    scratch = contextlib.ExitStack()
    forgotten = data_dir is None and mock
    if forgotten:
        data_dir = scratch.enter_context(temporary_store())
    settings = ServerSettings(
        data_dir=data_dir or Path("server"),
        key=given,
        host=host,
        port=0 if embedded else port,
        trainer="scripted" if mock else "lora",
        script=script,
        workers=workers,
        models=tuple(model or ()),
        requests_per_minute=requests_per_minute,
    )
    logs.write_to_stderr(requests=not embedded)

    def announce(base_url: str) -> None:
        if embedded:
            sys.stdout.write(f'{{"base_url": "{base_url}"}}\n')
            sys.stdout.flush()
            return
        say(f"export OPENAI_BASE_URL={base_url}")
        if given:
            say("export OPENAI_API_KEY=$FINETUNE_SERVER_KEY")

    def show_key(key: str) -> None:
        say(f"export OPENAI_API_KEY={key}")
        if not forgotten:
            keys = settings.data_dir / KEYS
            say(f"# That key is not shown again. For another one, remove {keys} and start anew.")

    try:
        with scratch:
            run_server(
                settings,
                announce=announce,
                show_key=None if embedded else show_key,
                parent_fd=sys.stdin.fileno() if embedded else None,
            )
    except (FinetuneError, OSError) as error:
        said = error if isinstance(error, FinetuneError) else unusable(error)
        if embedded:  # the parent reads it there even if the disk that its log is on is full
            sys.stdout.write(json.dumps({"error": str(said)}) + "\n")
        raise said from None


@app.command()
def resolve(
    config_path: ConfigPath,
    step: StepName,
    adopt: Annotated[str | None, typer.Option("--adopt", metavar="ID", help="It was made; this is its id.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Nothing came of it.")] = False,
    overrides: Overrides = None,
) -> None:
    """Say what became of a request that was never answered."""
    from pipeline import runner

    if (adopt is None) != none or (adopt is not None and not adopt.strip()):
        raise InputError("resolve", "needs either --adopt ID or --none", fix="Look in the provider's dashboard first.")
    with locked_state(config_path, overrides) as (_, state):
        runner.resolve(state, step, adopt)
        say(f"{step} is settled. Go on with: {Invocation.of(config_path, overrides).command('run')}")


@app.command()
def repair(config_path: ConfigPath, overrides: Overrides = None) -> None:
    """Rebuild a damaged or lost state file."""
    from pipeline import state as state_module
    from pipeline.config_file import load_config
    from pipeline.runner import run_directory

    called = Invocation.of(config_path, overrides)
    with in_words_of(called):
        run_dir = run_directory(load_config(config_path, called.overrides).name)
        if not run_dir.is_dir():
            raise InputError(str(run_dir), "no such run", fix=f"Begin it with: {called.command('run')}")
        with state_module.locked(run_dir):
            for line in state_module.repair(run_dir):
                say(line)
