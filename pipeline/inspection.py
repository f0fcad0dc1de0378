"""`finetune inspect`: what became of every message, and examples of what would be learnt, before anything is."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.text import Text

from pipeline.chats.session import read_sessions
from pipeline.config import Config
from pipeline.dataset.funnel import Listener, Lost, Tally
from pipeline.dataset.notebook import Example, to_example
from pipeline.dataset.preset import texting_of
from pipeline.errors import InputError
from pipeline.runner import Progress
from pipeline.state import State
from pipeline.steps.outputs import Convert, Load, Map
from pipeline.steps.step import Work

_ROLE = 10


def overview(config: Config, state: State, work: Work, examples: int) -> Iterator[Text]:
    """The funnel, and examples from the beginning, the middle and the end of the training file.

    Own turns of weight 0 and what is not the assistant's to learn are dimmed.
    """
    converted = _converted(config, state, work)
    yield Text()
    for line in converted.funnel.lines():
        yield Text(line)
    for number, example in _samples(work.run_dir / converted.train.path, converted.examples, examples):
        yield Text()
        yield Text(f"example {number:,} of {converted.examples:,}", style="bold")
        for message in example["messages"]:
            is_target = message["role"] == "assistant" and message.get("weight") != 0
            label = message["role"] if is_target or message["role"] != "assistant" else "(context)"
            content = message["content"].replace("\n", "\n" + " " * _ROLE)
            head = Text(f"{label:<{_ROLE}}", style="bold green" if is_target else "dim")
            yield head.append(content, style="" if is_target else "dim")


def left_out(config: Config, state: State, work: Work, reason: str, listener: Listener) -> None:
    """Tell `listener` of every message that convert left out, or does not let be learnt, for `reason`.

    Raises:
        InputError: nothing was left out for that reason, or it was by the load step, which keeps no text of it.
    """
    converted = _converted(config, state, work)
    progress = Progress(state, config, work.connection.identity)
    loaded, mapped = progress.output("load"), progress.output("map")
    if not isinstance(loaded, Load) or not isinstance(mapped, Map):
        raise TypeError(f"load made {loaded!r}, map {mapped!r}")
    found = converted.funnel
    counts = {**found.dropped, **{each: n + found.dropped.get(each, 0) for each, n in found.own_context.items()}}
    if reason not in counts:
        listed = ", ".join(f"`{each}` ({count:,})" for each, count in sorted(counts.items(), key=lambda i: -i[1]))
        fix = f"The reasons are: {listed}." if listed else "Every message is in the training file."
        raise InputError("--dropped", "no message was left out for that reason", got=reason, fix=fix)
    if reason in loaded.dropped:
        raise InputError(
            "--dropped",
            f"the load step left these {loaded.dropped[reason]:,} rows out as it read the archive",
            got=reason,
            fix="What convert leaves out can be shown.",
        )

    def tell(why: str, words: str) -> None:
        if why == reason:
            listener(why, words)

    path = work.run_dir / mapped.sessions.path
    if config.convert.preset == "texting":
        texting = texting_of(config, weights=work.connection.profile.weights, listener=tell)
        for _ in texting.examples(lambda: read_sessions(path)):
            pass
        return
    tally = Tally(tell)
    for session in read_sessions(path):
        if to_example(session, None) is None:
            tally.session_left_out(Lost.NO_ASSISTANT, session)


def _converted(config: Config, state: State, work: Work) -> Convert:
    converted = Progress(state, config, work.connection.identity).output("convert")
    if not isinstance(converted, Convert):
        raise TypeError(f"convert made {converted!r}")
    return converted


def _samples(path: Path, there: int, wanted: int) -> Iterator[tuple[int, Example]]:
    """`wanted` examples, evenly spread, with their numbers counted from 1."""
    wanted = min(wanted, there)
    chosen = {1 + (2 * number + 1) * there // (2 * wanted) for number in range(wanted)}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number in chosen:
                yield number, msgspec.json.decode(line, type=Example)
