"""`finetune rescue`: tuned models of a provider that ends them, taken home before they go dark."""

import contextlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from pipeline.commands.context import at_work, in_words_of, say
from pipeline.commands.options import AsJson, ConfigPath, Overrides
from pipeline.errors import DecisionNeeded, FinetuneError, InputError
from pipeline.terminal.invocation import Invocation, quoted
from pipeline.terminal.streams import say_aside
from pipeline.terminal.style import Lines
from pipeline.wording import counted, in_bytes, visible

if TYPE_CHECKING:
    from pipeline.config.settings import Backend
    from pipeline.rescue.accounts import Account
    from pipeline.rescue.inventory import Inventory, Tune
    from pipeline.rescue.record import Ask, Terms

rescue = typer.Typer(no_args_is_help=True, help="Take home what can be had of tuned models before they go dark.")

Into = Annotated[Path, typer.Option("--into", metavar="FOLDER", help="Where everything is kept, for you alone.")]
KeyEnv = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="A variable that holds a key; repeat it. Default: OPENAI_API_KEY, OPENAI_API_KEY_…."
    ),
]
BaseUrl = Annotated[str | None, typer.Option(metavar="URL", help="The API, if it is not OpenAI's; needs --key-env.")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="A tuned model's name, or a part that no other has.")]
Models = Annotated[list[str] | None, typer.Argument(metavar="[MODEL]…", help="Only these; see `record`.")]
_ROOT = Path("rescue")
_OFTEN = 100  # requests between two signs of life


@contextlib.contextmanager
def at_rescue(into: Path, key_env: list[str] | None, base_url: str | None) -> "Iterator[list[Account]]":
    """The folder made and locked, the accounts of the keys open; messages name options in the place of config keys."""
    from pipeline.durable import make_private_dir
    from pipeline.process.clock import SystemClock
    from pipeline.process.signals import this_process
    from pipeline.rescue.accounts import accounts
    from pipeline.state.file import locked

    with in_words_of(Invocation()), _options_named(), this_process.handled():
        found = accounts(key_env or [], base_url, into, SystemClock(), say_aside)
        with locked(make_private_dir(into)):
            try:
                yield found
            finally:
                for account in found:
                    account.connection.close()


@contextlib.contextmanager
def at_folder(into: Path) -> Iterator[None]:
    """The folder of a rescue locked, for what asks no provider."""
    from pipeline.process.signals import this_process
    from pipeline.state.file import locked

    with in_words_of(Invocation()), this_process.handled():
        if not into.is_dir():
            raise InputError(f"--into {into}", "no such folder", fix="Run `finetune rescue inventory` first.")
        with locked(into):
            yield


@contextlib.contextmanager
def _options_named() -> Iterator[None]:
    try:
        yield
    except FinetuneError as error:
        if "backend.base_url" not in error.fix:
            raise
        fix = error.fix.replace("backend.base_url", "--base-url")
        raise type(error)(error.where, error.what, got=error.got, fix=fix) from None


@rescue.command()
def inventory(into: Into = _ROOT, key_env: KeyEnv = None, base_url: BaseUrl = None, as_json: AsJson = False) -> None:
    """List every tuned model that the keys see, what is left of its data, and for how long. Spends nothing."""
    from pipeline.rescue.pages import write_page

    with at_rescue(into, key_env, base_url) as accounts:
        found = _taken(accounts, into)
        page = write_page(into / "inventory.html", "inventory.html.j2", inventory=found)
        if as_json:
            for tune in found.tunes:
                say(visible(msgspec.json.encode(tune).decode()))
            return
        _show(found)
        _say(f"Written down: {page}. Next: `finetune rescue fetch` takes the data home; it spends nothing either.")


@rescue.command()
def fetch(models: Models = None, into: Into = _ROOT, key_env: KeyEnv = None, base_url: BaseUrl = None) -> None:
    """Take training, validation and result files, events, checkpoints and stored completions home. Spends nothing."""
    from pipeline.rescue.fetch import fetch as fetch_one
    from pipeline.rescue.folders import folder_of
    from pipeline.rescue.inventory import chosen

    with at_rescue(into, key_env, base_url) as accounts:
        found = _taken(accounts, into)
        by_name = {account.name: account for account in accounts}
        for tune in chosen(found, models or []):
            manifest = fetch_one(by_name[tune.key], tune, into, say_aside)
            size = in_bytes(sum(each.size for each in manifest.files.values()))
            say(f"{tune.model}: {counted(len(manifest.files), 'file')}, {size}, in {folder_of(into, tune.model)}")


@rescue.command()
def record(
    model: Model,
    into: Into = _ROOT,
    prompts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Ask these, too: a JSON line each, with `messages` or a text.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(min=0, metavar="USD", help="What it may cost at most, in all.")
    ] = None,
    samples: Annotated[
        int, typer.Option(min=0, max=128, help="Answers to each at --temperature, beside a greedy one.")
    ] = 2,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="As your program asks the model.")] = 1.0,
    most_tokens: Annotated[int, typer.Option(min=1, help="Tokens of an answer at most.")] = 1024,
    price: Annotated[
        str | None, typer.Option(metavar="READS,WRITES", help="US dollars per million tokens, if not known here.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Ask again what was lost; it may have been paid for.")] = False,
    key_env: KeyEnv = None,
    base_url: BaseUrl = None,
) -> None:
    """Ask a dying model what it was trained and tested on, and keep its answers. Costs money: --max-cost allows it."""
    from pipeline.process.clock import SystemClock
    from pipeline.process.signals import this_process
    from pipeline.rescue import record as recording
    from pipeline.rescue.asking import Way
    from pipeline.rescue.folders import ANSWERS, open_folder
    from pipeline.rescue.inventory import chosen, read_inventory
    from pipeline.rescue.ledger import opened
    from pipeline.rescue.prompts import prompts as prompts_of

    ways = [Way("greedy", 0.0, 1, most_tokens)]
    ways += [Way("sampled", temperature, samples, most_tokens)] if samples else []
    with at_rescue(into, key_env, base_url) as accounts:
        (tune,) = chosen(read_inventory(into), [model])
        connection = _account_of(tune, accounts).connection
        folder = open_folder(into, tune.model)
        wanted = recording.asks(prompts_of(folder, prompts), ways)
        _require_prompts(wanted, prompts)
        terms = _terms(tune.model, price, max_cost, again)
        with opened(folder / ANSWERS, tune.model) as ledger:
            recorder = recording.Recorder(connection, ledger, terms, SystemClock(), this_process, say_aside)
            left = list(recorder.left(wanted))
            _tell_cost(left, terms, max_cost)
            try:
                recorder.record(tune.model, wanted, _progress)
            finally:
                say_aside(f"{recording.told(ledger, folder / ANSWERS)}.")


@rescue.command()
def retrain(
    model: Model,
    into: Into = _ROOT,
    backend: Annotated[str, typer.Option(metavar="KIND", help="Where it is trained; docs/backends.md.")] = "embedded",
    backend_url: Annotated[str | None, typer.Option(metavar="URL", help="Its address, where it needs one.")] = None,
    base_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="What it is made of; `finetune models` shows some.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the run; from the model's name unless given.")] = None,
    distill: Annotated[
        bool, typer.Option("--distill", help="Learn from recorded answers, too, not from your own file alone.")
    ] = False,
) -> None:
    """Write a config that trains a successor of what was fetched, in the ordinary steps. Spends nothing."""
    from pipeline.rescue import retrain as retraining
    from pipeline.rescue.folders import open_folder
    from pipeline.rescue.inventory import chosen, read_inventory

    with at_folder(into):
        (tune,) = chosen(read_inventory(into), [model])
        folder = open_folder(into, tune.model)
        wanted = retraining.Wanted(
            name or retraining.name_for(tune.model), _backend(backend, backend_url), base_model, distill
        )
        learnt = retraining.retrain(folder, tune.model, wanted)
        for why, count in learnt.left_out.most_common():
            say_aside(f"Left out: {counted(count, 'example')}, {why}.")
        more = f" and {counted(learnt.recorded, 'recorded answer')}" if distill else ""
        say(f"It learns from {counted(learnt.own, 'example')} of your own training file{more}.")
        if distill:
            say(
                f"The provider's terms limit what its models' answers may be used for: read {retraining.TERMS} before "
                "you train on them."
            )
        _say(f"Next: `finetune run {quoted(str(learnt.config))}`")


@rescue.command()
def parity(
    model: Model,
    config_path: ConfigPath,
    into: Into = _ROOT,
    most_tokens: Annotated[int, typer.Option(min=1, help="Tokens of an answer at most.")] = 1024,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Ask a successor what the old model was asked, and show how near it comes, the worst first."""
    from pipeline.commands.parity import compare, show

    with at_folder(into), at_work(config_path, overrides, asks=True, aside=True) as (config, state, work):
        found, page = compare(model, into, config, state, work, most_tokens)
        if as_json:
            say(visible(msgspec.json.encode(found).decode()))
        else:
            show(found)
            say(f"Side by side: {page}")


def _say(text: str) -> None:
    """A line with a command in it, as it can be typed here."""
    say(Invocation().typable(text))


def _backend(kind: str, url: str | None) -> "Backend":
    from pydantic import ValidationError

    from pipeline.config.settings import Backend

    try:
        return Backend.model_validate({"kind": kind, "base_url": url})
    except ValidationError as error:
        what = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise InputError("--backend", what, got=kind, fix="Correct it; docs/backends.md lists them.") from None


def _progress(done: int, total: int) -> None:
    if done and done % _OFTEN == 0:
        say_aside(f"{done} of {total}")


def _account_of(tune: "Tune", accounts: "list[Account]") -> "Account":
    for account in accounts:
        if account.name == tune.key:
            return account
    raise InputError(
        "rescue", f"{tune.model} was seen with the key in {tune.key}, which is not given", fix=f"--key-env {tune.key}."
    )


def _require_prompts(wanted: "list[Ask]", own: Path | None) -> None:
    if not wanted:
        what = "nothing to ask" if own is None else f"nothing to ask in {own}"
        raise InputError("record", what, fix="Run `finetune rescue fetch` first, or give --prompts FILE.")


def _terms(model: str, price: str | None, max_cost: float | None, again: bool) -> "Terms":
    from pipeline.rescue.lifetimes import prices_of
    from pipeline.rescue.record import Terms

    known = prices_of(model) if price is None else _price(price)
    if known is None:
        raise InputError(
            "record",
            f"what {model} costs is not known here, so no limit could be kept",
            fix="Give its price in US dollars per million tokens, such as --price 0.30,1.20.",
        )
    return Terms(*known, max_usd=max_cost or 0.0, again=again)


def _price(text: str) -> tuple[float, float]:
    try:
        reads, writes = map(float, text.split(","))
        if not (0 <= reads < math.inf and 0 <= writes < math.inf):
            raise ValueError
    except ValueError:
        raise InputError("--price", "expected two prices", got=text, fix="Write them as --price 0.30,1.20.") from None
    return reads, writes


def _tell_cost(left: "list[Ask]", terms: "Terms", max_cost: float | None) -> None:
    """Say what is to come.

    Raises:
        DecisionNeeded: nobody has said what it may cost.
    """
    from pipeline.rescue.record import about_usd

    if not left:
        return
    about = about_usd(left, terms)
    most = sum(terms.most_usd(prompt, way) for prompt, way in left)
    said = f"{counted(len(left), 'request')} would cost about ${about:,.4f}, and never more than ${most:,.4f}"
    if max_cost is None:
        raise DecisionNeeded("record", said, fix="Say what it may cost with --max-cost USD. Nothing was asked.")
    say_aside(f"{said}; no more than ${max_cost:,.4f} is spent.")


def _taken(accounts: "list[Account]", into: Path) -> "Inventory":
    from pipeline.process.clock import SystemClock
    from pipeline.rescue.inventory import take_inventory, write_inventory

    found = take_inventory(accounts, SystemClock(), lambda _: None)
    write_inventory(found, into)
    return found


_HEAD = (
    f"{'days left':>9}  {'last day':<10}  {'answers':<7}  {'training':<9}  {'valid.':<9}  {'size':>6}  {'to ask':>8}"
)


def _show(found: "Inventory") -> None:
    lines = Lines(sys.stdout)
    for seen in found.accounts:
        told = seen.trouble or f"{counted(seen.jobs, 'job')}, {seen.without_model} of them without a model"
        say(lines.line(text=f"{seen.key}: {told}"))
    if not found.tunes:
        say("No tuned model is to be seen.")
        return
    say(lines.line(text=_HEAD, style="bold"))
    for tune in found.tunes:
        say(lines.line(text=tune.model))
        say(lines.line(text=_row(tune), style="dim"))


def _row(tune: "Tune") -> str:
    from pipeline.rescue.pages import usd

    training, validation = tune.file("training"), tune.file("validation")
    size = in_bytes(training.size) if training is not None and training.size is not None else ""
    row = (
        f"{'?' if tune.days_left is None else tune.days_left:>9}  {tune.dark_on or 'not known':<10}  "
        f"{'yes' if tune.answers else 'no':<7}  {training.state if training else 'none':<9}  "
        f"{validation.state if validation else 'none':<9}  {size:>6}  {usd(tune.about_usd):>8}"
    )
    return row + (f"  {counted(len(tune.checkpoints), 'checkpoint')}" if tune.checkpoints else "")
