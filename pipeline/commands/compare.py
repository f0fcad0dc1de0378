"""`finetune compare`: which answer is the person's, the model's, the other model's; told apart blind, and counted."""

import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
import typer

from pipeline.commands.chat import checkpoints
from pipeline.commands.context import at_work, in_words_of, read_only, say
from pipeline.commands.options import ConfigPath, Overrides
from pipeline.errors import InputError
from pipeline.evaluation import votes
from pipeline.run.base_model import bring_back
from pipeline.run.progress import Progress
from pipeline.steps.outputs import Convert, PollJob
from pipeline.terminal.invocation import Invocation
from pipeline.terminal.streams import show as put
from pipeline.terminal.streams import show_in_place
from pipeline.terminal.style import INDENT, Lines
from pipeline.wording import counted

if TYPE_CHECKING:
    from pipeline.evaluation.replies import Reply
    from pipeline.evaluation.votes import Item, Side, Standing

COUNT = 20
_LETTERS = "abcdefgh"
_LABEL = 11
_NAMES = "It takes base, epoch:N, or the name of a model that the backend serves."


class Compared(NamedTuple):
    """What there is to compare with in a run.

    Attributes:
        held_out, trained: its person's replies, not learnt and learnt.
    """

    directory: Path
    who: str
    held_out: "list[Reply]"
    trained: "list[Reply]"


def compare(
    config_path: ConfigPath,
    other: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG2]", help="Another run, whose model stands against this one's.")
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="MODEL", help="base (the default), epoch:N, or a model by its name; repeatable."
        ),
    ] = None,
    count: Annotated[
        int, typer.Option("--count", metavar="N", min=1, max=1000, help="So many held-out talks.")
    ] = COUNT,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was counted so far, and ask nothing.")] = False,
) -> None:
    """Vote blind: which of these answers is really theirs?"""
    called = Invocation.of(config_path, overrides)
    with in_words_of(called):
        run = run_of(config_path, overrides)
        if as_json:
            _print(votes.tally(votes.read(run.directory)))
            return
        if not sys.stdin.isatty():
            raise InputError(
                "compare",
                "votes are given in a terminal, and this is none",
                fix="Call it in one; `finetune compare CONFIG --json` prints what was counted so far.",
            )
        items = items_of(run, config_path, other, against, count, overrides)
    _vote(run, items)


def items_of(
    run: Compared,
    config_path: Path,
    other: Path | None = None,
    against: list[str] | None = None,
    count: int = COUNT,
    overrides: list[str] | None = None,
) -> "list[Item]":
    """What there is to vote on; the models are asked for what was not asked before. The arguments are `compare`'s.

    Raises:
        InputError: nothing is held out, or a model is not there.
    """
    second = None if other is None else run_of(other, None)
    chosen = votes.contexts(run.held_out, count, () if second is None else second.trained)
    if not chosen:
        raise InputError(
            "compare",
            "no reply is held out of training",
            fix="Set `convert.validation_fraction: auto` and call `finetune run CONFIG`.",
        )
    said: dict[Side, Sequence[str]] = {votes.Side(votes.TRUE, ""): [reply.text for reply in chosen]}
    wanted = against or (["base"] if other is None else [])
    said |= _ask(config_path, overrides, wanted, chosen, "tuned", run.directory)
    if other is not None:
        said |= _ask(other, None, [], chosen, f"tuned by {other.name}", run.directory)
    return votes.pairs(chosen, said)


def run_of(config_path: Path, overrides: list[str] | None) -> Compared:
    """Raises InputError where the run has no examples yet."""
    from pipeline.evaluation.replies import own_replies
    from pipeline.sessions.session import OWNER

    config, state, progress = read_only(config_path, overrides)
    made = progress.last_output(Convert)
    assistant = config.map.assistant
    who = config.convert.me or (assistant if isinstance(assistant, str) and assistant != OWNER else None) or "you"
    directory = state.run_dir
    held_out = [] if made.valid is None else own_replies(directory / made.valid.path, weights=made.weights)
    return Compared(directory, who, held_out, own_replies(directory / made.train.path, weights=made.weights))


def _ask(
    config_path: Path,
    overrides: list[str] | None,
    against: Sequence[str],
    chosen: "Sequence[Reply]",
    label: str,
    keep_in: Path,
) -> "dict[Side, Sequence[str]]":
    """What a run's tuned model and others on its backend say; all of it before the first vote, so that nobody waits."""
    from pipeline.config.settings import Evaluate
    from pipeline.dataset.preset import inference_prompt
    from pipeline.evaluation.asking import Backend
    from pipeline.evaluation.journal import Journal

    with at_work(config_path, overrides, asks=True, aside=True) as (config, state, work):
        progress = Progress(state, config, work.connection.identity)
        tuned = progress.output_here(PollJob, "compare").model
        bring_back(config, state, work)
        sides = [votes.Side(label, tuned)]
        sides += [_side(name, config.create_job.model, lambda: checkpoints(progress, work)) for name in against]
        system = inference_prompt(config, progress.last_output(Convert).system_prompt)
        temperature = (config.evaluate or Evaluate()).temperature
        models = Backend(work.connection, None)
        found: dict[Side, Sequence[str]] = {}
        with Journal(keep_in / votes.ANSWERS, "1") as journal:
            for side in sides:
                answered = votes.answers(
                    side, chosen, models, journal, system=system, temperature=temperature, show=_asking
                )
                if answered is None:
                    raise InputError("--with", "the backend does not serve this model", got=side.model, fix=_NAMES)
                found[side] = answered
        if sys.stdout.isatty():
            show_in_place("", Lines(sys.stdout).width)
        return found


def _asking(done: int, of: int, what: str) -> None:
    """How far it is, in place; the studio, which asks without a terminal, shows it itself."""
    if sys.stdout.isatty():
        show_in_place(f"{INDENT}{what}, {done} of {of}", Lines(sys.stdout).width)


def _side(name: str, base: str, epochs: Callable[[], list[str]]) -> "Side":
    """What --with names."""
    if name == "base":
        return votes.Side("base", base)
    word, _, number = name.partition(":")
    if word != "epoch":
        return votes.Side(name, name)
    models = epochs()
    if not (number.isdecimal() and 1 <= int(number) <= len(models)):
        kept = f"epochs 1 to {len(models)} are kept" if models else "the backend keeps no models of single epochs"
        raise InputError("--with", kept, got=name, fix=_NAMES)
    return votes.Side(f"epoch {int(number)}", models[int(number) - 1])


def _vote(run: Compared, items: "Sequence[Item]") -> None:
    """Show what is not voted on yet, one item after the other, then the count."""
    lines = Lines(sys.stdout)
    waiting = votes.open_items(items, votes.read(run.directory))
    if waiting:
        whose = "you" if run.who == "you" else run.who
        say(lines.line(text=f"One of the answers to each is what {whose} really wrote. Which? ({len(waiting)} to go)"))
        say(lines.line((INDENT, ""), text=_keys(len(waiting[0].answers))))
    for number, item in enumerate(waiting, start=1):
        _show(lines, run.who, item, f"{number}/{len(waiting)}")
        chosen = _choice(len(item.answers), lines)
        if chosen is None:
            break
        votes.record(run.directory, given := votes.vote(item, chosen if chosen >= 0 else None))
        real = next(at for at, side in enumerate(item.sides) if side.label == votes.TRUE)
        told = ", ".join(f"{_LETTERS[at]} {side.label}" for at, side in enumerate(item.sides))
        right = "Not counted" if given.chosen is None else "Right" if chosen == real else "No"
        say(lines.line((INDENT, ""), text=f"{right}: {told}.", style="dim"))
    among = {side for item in items for side in item.sides} or None
    say("")
    for line in in_words(run.who, votes.tally(votes.read(run.directory), among)):
        say(lines.line(text=line))
    if votes.open_items(items, votes.read(run.directory)):
        say(lines.line(text="The same command goes on with the rest."))
    elif items:
        say(lines.line(text="All of these are voted on; more with --count."))


def in_words(who: str, standings: "Sequence[Standing]") -> list[str]:
    """The count, a line a side."""
    if not standings or not standings[0].votes:
        return ["No votes yet."]
    by_chance = 100 / len(standings)
    whose = "yours" if who == "you" else f"{who}'s"
    found = [f"{counted(standings[0].votes, 'vote')}; taken for {whose} (by chance each {by_chance:.0f} %):"]
    for standing in standings:
        if standing.share is not None:
            value, low, high = (100 * each for each in (standing.share.value, standing.share.low, standing.share.high))
            found.append(f"{INDENT}{standing.label}: {standing.chosen}, {value:.0f} % ({low:.0f} to {high:.0f})")
    return found


def _show(lines: Lines, who: str, item: "Item", number: str) -> None:
    say("")
    say(lines.line((number.ljust(len(INDENT)), "bold")))
    for message in item.context:
        name = textwrap.shorten(who, _LABEL - 1, placeholder="…") if message.role == "assistant" else "other"
        _speak(lines, name, message.content)
    say("")
    for letter, text in zip(_LETTERS, item.answers, strict=False):
        _speak(lines, letter, text or "(nothing)")


def _speak(lines: Lines, label: str, text: str) -> None:
    for at, line in enumerate(text.split("\n")):
        say(lines.line((f"{INDENT}{'' if at else label}".ljust(len(INDENT) + _LABEL), "bold"), text=line))


def _choice(answers: int, lines: Lines) -> int | None:
    """The place of the answer that was chosen, -1 for none of them; None to stop."""
    while True:
        put(f"{INDENT}which? ")
        try:
            typed = input().strip().lower()
        except EOFError:
            say("")
            return None
        if typed in ("q", "quit"):
            return None
        if typed == "0":
            return -1
        if len(typed) == 1 and typed in _LETTERS[:answers]:
            return _LETTERS.index(typed)
        say(lines.line((INDENT, ""), text=_keys(answers)))


def _keys(answers: int) -> str:
    return (
        f"{', '.join(_LETTERS[:answers])}: this one is theirs; 0: I cannot tell; q: stop, votes are kept; ?: these keys"
    )


def _print(standings: "Sequence[Standing]") -> None:
    """A JSON object a line."""
    for standing in standings:
        say(msgspec.json.encode(standing).decode())
