"""`finetune serve`: the embedded server by itself, or a mocked API."""

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from pipeline.commands.context import say
from pipeline.errors import FinetuneError, InputError


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
        list[str] | None,
        typer.Option(
            "--models", "--model", metavar="MODEL", help="Offer it, too: ORG/NAME[@REVISION], fetched now, or a folder."
        ),
    ] = None,
    alias: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=MODEL", help="Answer NAME by another model: its name, or its run's CONFIG."),
    ] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=1, help="How many each key may make.")] = None,
    embedded: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Serve the OpenAI-compatible API until stopped; its key is FINETUNE_SERVER_KEY, or made and printed once."""
    from pipeline.durable import unusable
    from pipeline.models import hub_cache
    from pipeline.server import logs
    from pipeline.server.keys import FILE as KEYS
    from pipeline.server.main import run as run_server
    from pipeline.server.settings import ServerSettings
    from pipeline.server.storage.scratch import temporary_store

    given = os.environ.pop("FINETUNE_SERVER_KEY", "")
    if script is not None and not mock:
        raise InputError("--script", "only a mocked API follows a script", fix="Add --mock.")
    aliases, own = _aliases(alias or ())
    if own is not None:
        data_dir, model = data_dir or own.data_dir, [*(model or ()), own.base]
    scratch = contextlib.ExitStack()
    forgotten = data_dir is None and mock
    if forgotten:
        data_dir = scratch.enter_context(temporary_store())
    if not embedded:
        _fetch([name for name in model or () if hub_cache.parse(name) is not None])
    settings = ServerSettings(
        data_dir=data_dir or Path("server"),
        key=given,
        host=host,
        port=0 if embedded else port,
        trainer="scripted" if mock else "lora",
        script=script,
        workers=workers,
        models=tuple(model or ()),
        offers_cache=not embedded and not mock,
        aliases=aliases,
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
        said: FinetuneError = error if isinstance(error, FinetuneError) else unusable(error)
        if embedded:  # the parent reads it there even if the disk that its log is on is full
            sys.stdout.write(json.dumps({"error": str(said)}) + "\n")
        elif "`backend.script`" in said.fix:  # there is no config here
            said = InputError(said.where, said.what, got=said.got, fix=said.fix.replace("`backend.script`", "--script"))
        raise said from None


class _Run(NamedTuple):
    """What a run left: its store, and the base model that it was told."""

    data_dir: Path
    base: str


def _aliases(given: Sequence[str]) -> tuple[tuple[tuple[str, str], ...], _Run | None]:
    """Each NAME=MODEL apart, and the run that a CONFIG among them is of.

    Raises:
        InputError: one is no pair, a run has no model yet, or two runs are meant.
    """
    found: dict[str, str] = {}
    run: _Run | None = None
    for each in given:
        name, equals, target = each.rpartition("=")
        if not (name and equals and target):
            raise InputError("--alias", "expected NAME=MODEL or NAME=CONFIG", got=each, fix="Write both names.")
        if target.endswith((".yaml", ".yml")):
            target, other = _of_run(Path(target))
            if run not in (None, other):
                raise InputError(
                    "--alias", "two runs, and a server has one store", got=each, fix="Start a server for each."
                )
            run = other
        found[name] = target
    return tuple(found.items()), run


def _of_run(config_path: Path) -> tuple[str, _Run]:
    """The tuned model of a run on the embedded backend, and its store."""
    from pipeline.backends.client import SERVER_DIR
    from pipeline.commands.context import read_only
    from pipeline.steps.outputs import PollJob

    config, state, progress = read_only(config_path, None)
    if config.backend.kind != "embedded":
        raise InputError(
            f"--alias {config_path}", "its model lives elsewhere", got=config.backend.kind, fix="Ask for it there."
        )
    return progress.last_output(PollJob).model, _Run(state.run_dir / SERVER_DIR, config.create_job.model)


def _fetch(names: Sequence[str]) -> None:
    """Bring models of the Hub into the cache, to be offered: whoever starts a server may, its clients may not."""
    from pipeline.fetch.hub import fetch
    from pipeline.models import hub_cache
    from pipeline.process.clock import SystemClock
    from pipeline.terminal.display import TextDisplay
    from pipeline.terminal.style import Lines
    from pipeline.wording import in_bytes

    display = TextDisplay(None, SystemClock(), lines=Lines(sys.stderr))  # what clients are told is on stdout
    for name in names:
        display.preparing("fetch the model")

        def progress(done: int, total: int, name: str = name) -> None:
            display.progress(done, total, f"{name}: {in_bytes(done)} of {in_bytes(total)}")

        found = fetch(name, progress=progress, note=display.note)
        display.note(f"{name} at commit {found.sha[:7]} is in {hub_cache.cache()}")
        display.end("")
