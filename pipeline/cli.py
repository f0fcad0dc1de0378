"""The `finetune` command: parse, print, exit code. Nothing heavy is imported until a command needs it."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pipeline import failpoints
from pipeline.errors import FinetuneError, InputError
from pipeline.invocation import Invocation
from pipeline.terminal import prepare_streams, say_aside, speak_to_nobody

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.runner import Progress
    from pipeline.state import State
    from pipeline.steps.step import Work

app = typer.Typer(
    help="A chat archive goes in, a model that talks like one of the people in it comes out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file, such as configs/tortoise.yaml.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key: --set create_job.seed=7.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


def main() -> None:
    """Run the command; every foreseeable failure becomes one message and its exit code."""
    os.umask(0o077)
    prepare_streams()
    failpoints.arm_from_environment()
    try:
        with _in_words_of(Invocation()):
            app()
    except KeyboardInterrupt:  # before the handlers of a run are there
        sys.exit(130)


def _fail(message: str, code: int) -> NoReturn:
    for line in message.splitlines():
        say_aside(f"error: {line}")
    try:
        sys.stdout.flush()
    except OSError:
        speak_to_nobody()
    sys.exit(code)


def _say(text: str) -> None:
    """A line on standard output; a reader that has gone away has read enough."""
    try:
        typer.echo(text)
    except OSError as error:
        from pipeline.durable import unusable

        speak_to_nobody()
        if not isinstance(error, BrokenPipeError):
            raise unusable(error, "standard output") from None


@app.command()
def run(
    config_path: ConfigPath,
    overrides: Overrides = None,
    first: Annotated[str | None, typer.Option("--from", metavar="STEP", help="Run STEP again, then go on.")] = None,
    last: Annotated[str | None, typer.Option("--until", metavar="STEP", help="Stop after STEP.")] = None,
    only: Annotated[str | None, typer.Option("--only", metavar="STEP", help="Run STEP again and nothing else.")] = None,
    new_job: Annotated[bool, typer.Option("--new-job", help="Buy another training, though one is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the ten steps; what is done and intact is skipped."""
    from pipeline import runner
    from pipeline.steps import STEPS

    steps = runner.Range.parse(first, last, only, new_job)
    with _at_work(config_path, overrides, as_json=as_json, runs=True) as (config, state, work):
        names = [step.name for step in STEPS]
        work.display.begin(config.name, work.connection.profile.title, work.run_dir, names)
        runner.run(config, state, work, steps)
        work.display.end(
            f"Talk to it: {_called(config_path, overrides).command('chat')}" if last is None and only is None else ""
        )


@app.command()
def status(config_path: ConfigPath, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Show every step: state, when, how long, what it made, why it would run again."""
    import msgspec

    from pipeline import runner
    from pipeline.lock import holder

    config, state, progress = _read_only(config_path, overrides)
    at_work = holder(state.run_dir)
    rows = runner.status_rows(state, progress, at_work is not None)
    if as_json:
        for row in rows:
            _say(msgspec.json.encode(row).decode())
        return
    _say(f"{config.name}, in {state.run_dir}/{f', running now ({at_work})' if at_work else ''}")
    for number, row in enumerate(rows, start=1):
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f} s"
        head = f"{number:>2}/{len(rows)} {row['step']:<11} {row['state']:<8} {seconds:>9}"
        _say(f"{head}  {row['finished_at'] or '':<20}  {row['made'] or ''}".rstrip())
        if row["error"]:
            _say(f"      {row['error']}")
        if row["would_run"] and row["state"] != "pending":
            _say(f"      would run again: {row['would_run']}")


@app.command()
def logs(
    config_path: ConfigPath,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows, until Ctrl-C.")] = False,
    overrides: Overrides = None,
) -> None:
    """Print what the runs said, with times."""
    from pipeline.clock import SystemClock
    from pipeline.config_file import load_config
    from pipeline.logs import log_lines
    from pipeline.runner import run_directory

    called = _called(config_path, overrides)
    with _in_words_of(called):
        log = run_directory(load_config(config_path, called.overrides).name) / "run.log"
        for line in log_lines(log, follow=follow, clock=SystemClock()):
            _say(line)


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

    config, state, progress = _read_only(config_path, overrides)
    if not listing.is_fetched(progress):
        with _at_work(config_path, overrides, aside=True) as (config, state, work):
            runner.run(config, state, work, runner.Range(last="download"))
        config, state, progress = _read_only(config_path, overrides)
    with _in_words_of(_called(config_path, overrides)):
        sessions = listing.sessions_of(config, state.run_dir, progress)
        found = chats_of(sessions) if chats else senders_of(sessions)
    for row in found if as_json else listing.lines_of(found, everybody=everybody):
        _say(msgspec.json.encode(row).decode() if as_json else str(row))


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

    with _in_words_of(_called(config_path, overrides)):
        config, state, progress = _read_only(config_path, overrides)
        target = write_report(config, state, progress, markdown=markdown, with_text=with_text, out=out)
        typer.echo(f"{target}{' holds names and chat text; readable by you alone' if with_text else ''}")


@app.command()
def forget(config_path: ConfigPath, step: str, overrides: Overrides = None) -> None:
    """Make STEP and all after it run again next time."""
    from pipeline import runner

    with _locked_state(config_path, overrides) as (_, state):
        gone = runner.forget(state, step)
        _say(f"Forgot {', '.join(gone)}." if gone else "Nothing to forget: none of these steps has run.")


@app.command()
def cancel(config_path: ConfigPath, overrides: Overrides = None) -> None:
    """Cancel the remote job."""
    from pipeline.job import cancel_job

    with _at_work(config_path, overrides) as (config, state, work):
        _say(cancel_job(config, state, work))


@app.command()
def chat(
    config_path: ConfigPath,
    message: Annotated[str | None, typer.Option("--message", metavar="M", help="Say this and leave.")] = None,
    overrides: Overrides = None,
) -> None:
    """Talk to the tuned model."""
    from pipeline.chat import converse

    if message is not None and not message.strip():
        raise InputError("--message", "says nothing", fix="Say something, or leave it out to talk in turns.")
    with _at_work(config_path, overrides) as (config, state, work):
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
    import tempfile

    from pipeline.durable import unusable
    from pipeline.server import logs
    from pipeline.server.keys import FILE as KEYS
    from pipeline.server.main import run as run_server
    from pipeline.server.settings import ServerSettings

    given = os.environ.pop("FINETUNE_SERVER_KEY", "")
    if script is not None and not mock:
        raise InputError("--script", "only a mocked API follows a script", fix="Add --mock.")
    scratch = contextlib.ExitStack()
    forgotten = data_dir is None and mock
    if forgotten:
        data_dir = Path(scratch.enter_context(tempfile.TemporaryDirectory(prefix="mock-openai-")))
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
        _say(f"export OPENAI_BASE_URL={base_url}")
        if given:
            _say("export OPENAI_API_KEY=$FINETUNE_SERVER_KEY")

    def show_key(key: str) -> None:
        _say(f"export OPENAI_API_KEY={key}")
        if not forgotten:
            keys = settings.data_dir / KEYS
            _say(f"# That key is not shown again. For another one, remove {keys} and start anew.")

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
    step: str,
    adopt: Annotated[str | None, typer.Option("--adopt", metavar="ID", help="It was made; this is its id.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Nothing came of it.")] = False,
    overrides: Overrides = None,
) -> None:
    """Say what became of a request that was never answered."""
    from pipeline import runner

    if (adopt is None) != none or (adopt is not None and not adopt.strip()):
        raise InputError("resolve", "needs either --adopt ID or --none", fix="Look in the provider's dashboard first.")
    with _locked_state(config_path, overrides) as (_, state):
        runner.resolve(state, step, adopt)
        _say(f"{step} is settled. Go on with: {_called(config_path, overrides).command('run')}")


@app.command()
def repair(config_path: ConfigPath, overrides: Overrides = None) -> None:
    """Rebuild a damaged or lost state file."""
    from pipeline import state as state_module
    from pipeline.config_file import load_config
    from pipeline.runner import run_directory

    called = _called(config_path, overrides)
    with _in_words_of(called):
        run_dir = run_directory(load_config(config_path, called.overrides).name)
        if not run_dir.is_dir():
            raise InputError(str(run_dir), "no such run", fix=f"Begin it with: {called.command('run')}")
        with state_module.locked(run_dir):
            for line in state_module.repair(run_dir):
                _say(line)


def _called(config_path: Path, overrides: list[str] | None) -> Invocation:
    return Invocation(config_path, tuple(overrides or ()))


@contextlib.contextmanager
def _in_words_of(called: Invocation) -> Iterator[None]:
    try:
        yield
    except FinetuneError as error:
        _fail(called.typable(str(error)), error.exit_code)
    except OSError as error:
        from pipeline.durable import unusable

        refused = unusable(error)
        _fail(called.typable(str(refused)), refused.exit_code)


@contextlib.contextmanager
def _locked_state(config_path: Path, overrides: list[str] | None) -> "Iterator[tuple[Config, State]]":
    from pipeline.config_file import load_config
    from pipeline.durable import make_private_dir
    from pipeline.runner import run_directory
    from pipeline.state import State, locked

    called = _called(config_path, overrides)
    with _in_words_of(called):
        config = load_config(config_path, called.overrides)
        run_dir = make_private_dir(run_directory(config.name))
        with locked(run_dir):
            yield config, State.load(run_dir)


@contextlib.contextmanager
def _at_work(
    config_path: Path, overrides: list[str] | None, *, as_json: bool = False, runs: bool = False, aside: bool = False
) -> "Iterator[tuple[Config, State, Work]]":
    """The run directory locked, signals handled, the log open; the backend is closed whatever happens.

    Args:
        runs: this is `finetune run`, so that a signal leaves something to go on with.
        aside: show on stderr what is done, where stdout is for something else.
    """
    from rich.console import Console

    from pipeline.backends.client import Connection
    from pipeline.clock import SystemClock, stamp
    from pipeline.display import Display, JsonDisplay, TextDisplay
    from pipeline.job import jobs_of, left_to_do
    from pipeline.remote import Ledger
    from pipeline.run_log import RunLog
    from pipeline.signals import Signals, SignalStop
    from pipeline.steps.step import Work

    called = _called(config_path, overrides)
    command = called.command("run")
    clock, signals = SystemClock(), Signals()
    with (
        _locked_state(config_path, overrides) as (config, state),
        contextlib.closing(RunLog(state.run_dir, say_aside)) as log,
    ):
        jobs = jobs_of(state)
        connection = Connection(config.backend, state.run_dir, clock, config.create_job.model)
        display: Display = TextDisplay(log, clock, called, Console(stderr=True, soft_wrap=True) if aside else None)
        if as_json:
            display = JsonDisplay(log, clock, called)
        ledger = Ledger(state, connection, clock, signals, display.note)
        work = Work(state.run_dir, display, clock, connection, ledger, go_on=f"Go on with: {command}")
        try:
            with signals.handled():
                try:
                    yield config, state, work
                finally:
                    display.end("")
                    connection.close()
        except SignalStop as stop:
            said = f"stopped by {stop}{left_to_do(state, jobs, connection.profile.free) if runs else ''}."
            log.write(f"{stamp(clock)} {said}")
            _fail(f"{said} Go on with: {command}" if runs else said, 128 + stop.signum)
        except FinetuneError as error:
            log.write(f"{stamp(clock)} error: {called.typable(str(error))}")
            raise


def _read_only(config_path: Path, overrides: list[str] | None) -> "tuple[Config, State, Progress]":
    from pipeline.backends.client import Connection
    from pipeline.clock import SystemClock
    from pipeline.config_file import load_config
    from pipeline.runner import Progress, run_directory
    from pipeline.state import State

    called = _called(config_path, overrides)
    with _in_words_of(called):
        config = load_config(config_path, called.overrides)
        state = State.load(run_directory(config.name))
        identity = Connection(config.backend, state.run_dir, SystemClock()).identity
        return config, state, Progress(state, config, identity)
