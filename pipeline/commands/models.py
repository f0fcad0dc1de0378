"""`finetune models`: base models worth naming, what each takes on this machine, and the one that suits it best."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import typer

from pipeline.commands.context import read_only, say
from pipeline.commands.options import AsJson, Overrides
from pipeline.config.settings import Config
from pipeline.dataset.expectations import Data, data_of, how_long
from pipeline.dataset.languages import in_words, name_of
from pipeline.models.choice import USUAL, Offer, Task, offers, why_best
from pipeline.models.machine import Machine, this_machine
from pipeline.models.picks import Pick, date_of_picks
from pipeline.run.progress import Progress
from pipeline.state.file import State
from pipeline.steps import STEPS, step_of
from pipeline.steps.outputs import Convert
from pipeline.terminal.invocation import Invocation
from pipeline.terminal.streams import say_aside
from pipeline.terminal.style import Lines, Piece
from pipeline.wording import counted, visible

_NAME, _COLUMN, _TAKES = 37, 9, 15
NEEDED = _NAME + 3 * _COLUMN + _TAKES
"""Columns of a terminal; with fewer, each model is a block."""
_NAMED = 3


class Asked(NamedTuple):
    """What the models are looked at for.

    Attributes:
        said: that, in words.
    """

    task: Task
    said: str


def usual() -> Asked:
    """The chats of nobody in particular."""
    return Asked(USUAL, f"1,500 replies ({USUAL.tokens:,} tokens with every repetition)")


def of_data(data: Data) -> Asked:
    """One person's."""
    about = "about " if data.is_rough else ""
    told = in_words(data.languages) or "a language that could not be told"
    replies = counted(data.replies, "reply", "replies")
    tokens = f"{about}{data.tokens or 0:,} tokens with every repetition"
    return Asked(data.task, f"{about}{replies}, {told} ({tokens})")


def asked_of(config: Config, state: State, progress: Progress) -> Asked | None:
    """What a run's training file holds; None where it has none yet."""
    for step in STEPS[: STEPS.index(step_of(Convert)) + 1]:
        if progress.why(step) is not None:
            return None
    made = progress.output(Convert)
    train = state.run_dir / made.train.path
    trained = config.model_copy(update={"backend": type(config.backend)()})  # here, wherever the run's own would be
    return of_data(
        data_of(
            trained, train, replies=made.funnel.target, examples=made.examples, tokens=made.tokens,
            longest=made.tokens_most,
        )
    )  # fmt: skip


def table(found: list[Offer], asked: Asked, machine: Machine, width: int) -> Iterator[list[Piece]]:
    """The models, and which one suits best. The last piece of a line may be broken."""
    yield [("", ""), (f"On this machine: {machine}.", "")]
    yield [("", ""), (f"For {asked.said}.", "")]
    yield []
    yield from list_of(found, asked.task.language) if width >= NEEDED else blocks_of(found, asked.task.language)
    yield []
    best = next(offer for offer in found if offer.is_best)
    name = name_of(asked.task.language) if asked.task.language else ""
    yield [("* ", ""), (f"suits best: {why_best(best, asked.task, name)}.", "")]
    for line in (
        "Memory and time are estimates, for a machine that does nothing else meanwhile.",
        "Gated: ask for access on the model's page of the Hugging Face Hub first, then set HF_TOKEN.",
        f"As of {date_of_picks()}. Other models of the Hub work by their names, too.",
    ):
        yield [("", ""), (line, "")]


def list_of(found: list[Offer], language: str | None, *, numbered: bool = False) -> Iterator[list[Piece]]:
    """The models two lines each, under a head; with numbers to choose by, without what chatting takes."""
    heads = ["download", "train", *([] if numbered else ["chat"])]
    before = 3 if numbered else 0
    head = f"{'  create_job.model':<{_NAME}}{''.join(f'{each:>{_COLUMN}}' for each in heads)}{'takes':>{_TAKES}}"
    yield [(" " * before, ""), (head, "bold")]
    for number, offer in enumerate(found, start=1):
        sizes = [_download(offer), _gb(offer.train), *([] if numbered else [_gb(offer.chat)])]
        numbers = "".join(f"{size:>{_COLUMN}}" for size in sizes)
        name = f"{'* ' if offer.is_best else '  '}{offer.pick.name}"
        yield [
            (f"{number:>2} " if numbered else "", ""),
            (f"{name:<{_NAME}}{numbers}{_takes(offer):>{_TAKES}}", _style(offer)),
        ]
        yield [(" " * (before + 4), ""), (about(offer, language), "dim")]


def blocks_of(found: list[Offer], language: str | None, *, numbered: bool = False) -> Iterator[list[Piece]]:
    """The models a block each, for a narrow terminal."""
    for number, offer in enumerate(found, start=1):
        before = f"{number:>2} " if numbered else ""
        yield [(before, ""), (f"{'* ' if offer.is_best else '  '}{offer.pick.name}", _style(offer) or "bold")]
        takes = f", takes {_takes(offer)}" if _takes(offer) else ""
        sizes = f"download {_download(offer)}, train {_gb(offer.train)}, chat {_gb(offer.chat)}"
        margin = (" " * (len(before) + 4), "")
        yield [margin, (f"{sizes}{takes}", "")]
        yield [margin, (about(offer, language), "dim")]


def _style(offer: Offer) -> str:
    return "bold green" if offer.is_best else "dim" if offer.fits is False else ""


def _takes(offer: Offer) -> str:
    return "" if offer.seconds is None else how_long(offer.seconds)


def about(offer: Offer, language: str | None = None) -> str:
    """What a model is like, in a line; of its languages the one that is asked for."""
    pick = offer.pick
    notes = [pick.chat, _spoken(pick, language), pick.licence]
    notes += ["gated"] if pick.gated else []
    notes += ["here already"] if offer.is_here and pick.download_gb else []
    notes += ["too large now"] if offer.fits is False else []
    return "; ".join(notes)


def _spoken(pick: Pick, language: str | None) -> str:
    if language is not None:
        name = name_of(language)
        return {True: f"speaks {name}", None: f"{name} with mistakes", False: f"no {name}"}[pick.speaks(language)]
    more = len(pick.languages) - _NAMED
    return ", ".join(map(name_of, pick.languages[:_NAMED])) + (f" and {more} more" if more > 0 else "")


def _download(offer: Offer) -> str:
    return "none" if offer.is_here else f"{offer.pick.download_gb:.1f} GB"


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def _object(offer: Offer) -> dict[str, object]:
    pick = msgspec.to_builtins(offer.pick)
    return {
        **pick,
        "here": offer.is_here,
        "train_bytes": offer.train,
        "chat_bytes": offer.chat,
        "train_seconds": None if offer.seconds is None else round(offer.seconds),
        "fits": offer.fits,
        "best": offer.is_best,
    }


def models(
    config_path: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="Tell of the chats of this run, once they are converted.")
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Show base models: what each takes on this machine, which languages it speaks, and which one suits best."""
    asked = usual()
    lines = Lines(sys.stdout)
    if config_path is not None:
        config, state, progress = read_only(config_path, overrides)
        of_run = asked_of(config, state, progress)
        if of_run is None and not as_json:
            what = f"The chats of {config.name} are not converted yet; `finetune inspect CONFIG` does that."
            say(lines.line(text=Invocation.of(config_path, overrides).typable(what)))
        asked = of_run or asked
    machine = this_machine((lambda _: None) if as_json else say_aside)
    found = offers(machine, asked.task)
    if as_json:
        for offer in found:
            say(visible(msgspec.json.encode(_object(offer)).decode()))
        return
    for *before, (text, style) in (line or [("", "")] for line in table(found, asked, machine, lines.width)):
        say(lines.line(*before, text=text, style=style))
