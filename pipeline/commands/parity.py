"""What `finetune rescue parity` does: asks the successor, which has to be free to ask, and shows the comparison."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.context import say
from pipeline.config.settings import Config
from pipeline.errors import InputError
from pipeline.process.signals import this_process
from pipeline.rescue.asking import Way
from pipeline.rescue.folders import ANSWERS, SUCCESSOR, open_folder
from pipeline.rescue.inventory import chosen, read_inventory
from pipeline.rescue.ledger import opened
from pipeline.rescue.pages import write_page
from pipeline.rescue.parity import Parity
from pipeline.rescue.parity import parity as compared
from pipeline.rescue.record import Recorder, Terms, asks
from pipeline.run.progress import Progress
from pipeline.state.file import State
from pipeline.steps.outputs import PollJob
from pipeline.terminal.streams import say_aside
from pipeline.terminal.style import Lines
from pipeline.wording import counted

if TYPE_CHECKING:
    from pipeline.steps.step import Work

_WHERE = "parity"
_SHOWN, _LONGEST = 3, 160  # pairs on a terminal, and characters of each of their texts
_ON_A_PAGE = 200
_OFTEN = 100  # answers between two signs of life


def compare(
    model: str, into: Path, config: Config, state: State, work: "Work", most_tokens: int
) -> tuple[Parity, Path]:
    """Ask what is not answered yet, compare, and write the page; returns it.

    Raises:
        InputError: nothing is recorded, there is no successor yet, or asking it would cost money.
    """
    if not work.connection.profile.free:
        raise InputError(
            _WHERE,
            f"{work.connection.profile.title} is paid for each answer, and this command keeps no limit",
            fix="Compare a successor on the embedded backend.",
        )
    (tune,) = chosen(read_inventory(into), [model])
    successor = Progress(state, config, work.connection.identity).output_here(PollJob, _WHERE).model
    folder = open_folder(into, tune.model)
    with opened(folder / ANSWERS, tune.model) as old:
        greedy = [each.prompt for each in old.answers.values() if each.kind == "greedy"]
        if not greedy:
            raise InputError(
                _WHERE, f"no answers of {tune.model} are recorded", fix="Run `finetune rescue record` first."
            )
        with opened(_of_successor(folder, successor), successor) as new:
            terms = Terms(0.0, 0.0, max_usd=0.0, again=True)  # it costs nothing, so nothing lost is paid for twice
            recorder = Recorder(work.connection, new, terms, work.clock, this_process, say_aside)
            wanted = asks(greedy, [Way("greedy", 0.0, 1, most_tokens)])
            recorder.record(successor, wanted, _progress)
            found = compared(tune.model, successor, old, new)
    return found, write_page(folder / "parity.html", "parity.html.j2", found=found, most=_ON_A_PAGE)


def _progress(done: int, total: int) -> None:
    if done and done % _OFTEN == 0:
        say_aside(f"{done} of {total}")


def _of_successor(folder: Path, successor: str) -> Path:
    """Each successor's answers have a file of their own: the next training makes another model."""
    return folder / SUCCESSOR.replace(".", f"-{successor.rpartition(':')[2]}.")


def show(found: Parity) -> None:
    """The comparison on a terminal."""
    lines = Lines(sys.stdout)
    say(lines.line(text=f"{found.model}, and {found.successor} in its place:"))
    held_out = f", {found.held_out} of them held out" if found.held_out else ", none of them held out"
    say(lines.line(text=f"{counted(found.compared, 'prompt')} answered by both{held_out}."))
    if found.unanswered:
        say(lines.line(text=f"{counted(found.unanswered, 'prompt')} that the successor does not answer."))
    rows = [
        ("the same", f"{found.exact} of {found.compared}"),
        ("near", f"{found.near} of {found.compared}{_own(found)}"),
        ("words in common", f"{found.alike:.0%}{_of_held_out(found)}"),
        ("words of an answer", f"{found.old.words:g}, now {found.new.words:g}"),
        ("in JSON", f"{found.old.json}, now {found.new.json}"),
        ("refusals", f"{found.old.refusals}, now {found.new.refusals}"),
    ]
    rows += [(habit.what, f"{habit.old:.0%}, now {habit.new:.0%}") for habit in found.habits if habit.old != habit.new]
    for what, value in rows:
        say(lines.line((f"  {what:<32}", ""), text=value))
    for pair in found.pairs[:_SHOWN] if found.exact < found.compared else ():
        say(lines.line((f"  {pair.source} {pair.line}: ", "dim"), text=_short(", ".join(pair.wrong) or pair.prompt)))
        say(lines.line(("      old  ", ""), text=_short(pair.old)))
        say(lines.line(("      now  ", ""), text=_short(pair.new)))


def _own(found: Parity) -> str:
    return f" (the old model to itself: {found.own_near} of {found.own_compared})" if found.own_compared else ""


def _of_held_out(found: Parity) -> str:
    return "" if found.alike_held_out is None else f", held out {found.alike_held_out:.0%}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
