"""`finetune inspect`: what became of every message, and examples of what would be learnt, before anything is."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from pipeline.archives.several import read_archives, readings_of
from pipeline.commands.context import at_work, say
from pipeline.commands.options import ConfigPath, Overrides
from pipeline.config.settings import Config
from pipeline.dataset.checks import too_few_to_learn, too_long_to_learn
from pipeline.dataset.example import Example, as_text
from pipeline.dataset.expectations import before_training, data_of
from pipeline.dataset.funnel import Listener, Lost, Tally
from pipeline.dataset.notebook import to_example
from pipeline.dataset.preset import most_tokens, redactor_of, texting_of
from pipeline.dataset.ready import count_messages, examples
from pipeline.durable import reading
from pipeline.errors import InputError, Locked
from pipeline.run.progress import Progress
from pipeline.sessions.senders import names_in
from pipeline.sessions.session import Message, read_sessions
from pipeline.sessions.stream import read_streams
from pipeline.state.file import State
from pipeline.steps import STEPS, step_of
from pipeline.steps.outputs import Convert, Download, Load, Map, replaced
from pipeline.steps.step import Work
from pipeline.terminal.style import INDENT, Piece

_ROLE, _LABEL = 10, 12


def require_done(config: Config, state: State, work: Work) -> None:
    """Make sure that nothing has to run before there is something to show, for another run is at work.

    Raises:
        Locked: something has.
    """
    progress = Progress(state, config, work.connection.identity)
    for step in STEPS[: STEPS.index(step_of(Convert)) + 1]:
        why = progress.why(step)
        if why is not None:
            record = state.body.steps.get(step.name)
            what = "is not done yet" if record and record.status == "running" else f"has to run first ({why})"
            raise Locked(
                str(state.run_dir),
                f"another run is at work here, and {step.name} {what}",
                got=work.beside,
                fix="Wait for it or stop it, then try again.",
            )


def overview(config: Config, state: State, work: Work, examples: int) -> Iterator[list[Piece]]:
    """The funnel, and examples from the beginning, the middle and the end of the training file.

    Own turns of weight 0 and what is not the assistant's to learn are dimmed. The last piece of a line may be broken.
    """
    converted = _converted(config, state, work)
    for line in converted.funnel.lines():
        yield [(line, "")]
    if converted.redacted:
        yield [(f"replaced in texts: {replaced(converted.redacted)}", "")]
    for warning in (
        too_few_to_learn(converted.examples, converted.funnel.target),
        too_long_to_learn(
            converted.too_long, converted.beyond, converted.funnel.target, most_tokens(config), config.convert.preset
        ),
    ):
        if warning is not None:
            yield [(warning, "bold yellow")]
    yield from expectations(config, converted, work.run_dir)
    for number, example in _samples(work.run_dir / converted.train.path, converted.examples, examples):
        yield []
        yield [(f"example {number:,} of {converted.examples:,}", "bold")]
        for message in example["messages"]:
            is_target = message["role"] == "assistant" and message.get("weight") != 0
            label: str = message["role"] if is_target or message["role"] != "assistant" else "(context)"
            for words in message["content"].split("\n"):
                yield [(f"{label:<{_ROLE}}", "bold green" if is_target else "dim"), (words, "" if is_target else "dim")]
                label = ""


def expectations(config: Config, converted: Convert, run_dir: Path) -> Iterator[list[Piece]]:
    """What to expect of training on it, a part a line; nothing of the scripted trainer, which learns nothing."""
    if config.backend.trainer == "scripted":
        return
    data = data_of(
        config,
        run_dir / converted.train.path,
        replies=converted.funnel.target,
        examples=converted.examples,
        tokens=converted.tokens,
        longest=converted.tokens_most,
    )
    yield []
    yield [("what to expect", "bold")]
    expected = before_training(config, data)
    refused = [("memory", f"WARNING: {expected.refusal}")] if expected.refusal else []
    for label, said in [*expected.long(), *refused]:
        yield [(f"{label:<{_LABEL}}", "dim"), (said, "bold yellow" if said.startswith("WARNING") else "")]


def left_out(config: Config, state: State, work: Work, reason: str, listener: Listener) -> None:
    """Tell `listener` of every message that was left out, or must not be learnt, for `reason`.

    Of those that load left out, the archive is read once more; it is told when they were sent and by whom.

    Raises:
        InputError: nothing was left out for that reason.
    """
    progress = Progress(state, config, work.connection.identity)
    download, loaded, mapped = progress.output(Download), progress.output(Load), progress.output(Map)
    found = _converted(config, state, work).funnel
    counts = Counter(found.dropped) + Counter(found.own_context)
    reason = _meant(reason, counts)

    def tell(why: str, words: str) -> None:
        if why == reason:
            listener(why, words)

    def tell_of_row(why: str, message: Message) -> None:
        tell(why, f"{message.time or 'no date'} {message.sender}: {message.content or '(no text)'}")

    if reason in loaded.dropped:
        readings = readings_of(config.load, download.originals(work.run_dir))
        for _, blocks in read_archives(readings, listener=tell_of_row):
            for _ in blocks:
                pass
    if counts[reason] > loaded.dropped.get(reason, 0):
        _tell_of_conversion(config, work, loaded, work.run_dir / mapped.sessions.path, tell)


def _meant(words: str, counts: Mapping[str, int]) -> str:
    """The reason that is called so, or the only one that has these words in it."""
    if words in counts:
        return words
    near = [reason for reason in counts if words.lower() in reason.lower()]
    if len(near) == 1:
        return near[0]
    listed = ", ".join(f"`{each}` ({count:,})" for each, count in sorted(counts.items(), key=lambda i: -i[1]))
    fix = f"The reasons are: {listed}." if listed else "Every message is in the training file."
    what = "more than one reason has these words in it" if near else "no message was left out for that reason"
    raise InputError("--dropped", what, got=words, fix=fix)


def _tell_of_conversion(config: Config, work: Work, load: Load, path: Path, tell: Listener) -> None:
    if config.convert.preset == "texting":
        redactor = redactor_of(config, load.region, lambda: names_in(path))
        weights = work.connection.profile.weights
        texting = texting_of(config, weights=weights, redactor=redactor, listener=tell)
        for _ in texting.examples(lambda: read_streams(path)):
            pass
        return
    tally = Tally(tell)
    if config.convert.preset == "ready":
        for _, line in examples(path):
            count_messages(as_text(line)["messages"], tally)
        return
    for session in read_sessions(path):
        if to_example(session, None) is None:
            tally.session_left_out(Lost.NO_ASSISTANT, session)


def _converted(config: Config, state: State, work: Work) -> Convert:
    return Progress(state, config, work.connection.identity).output(Convert)


def _samples(path: Path, there: int, wanted: int) -> Iterator[tuple[int, Example]]:
    """`wanted` examples, evenly spread, with their numbers counted from 1."""
    wanted = min(wanted, there)
    chosen = {1 + (2 * number + 1) * there // (2 * wanted) for number in range(wanted)}
    with reading(path) as file:
        for number, line in enumerate(file, start=1):
            if number in chosen:
                yield number, as_text(line)


def _say_message(_: str, words: str) -> None:
    first, *more = words.split("\n")
    for line in (first, *(f"{INDENT}{each}" for each in more)):
        say(line)


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
    from pipeline.run import runner
    from pipeline.terminal.style import Lines

    lines = Lines(sys.stdout)
    with at_work(config_path, overrides, aside=True, asks=True, beside=True) as (config, state, work):
        if work.beside is None:
            runner.run(config, state, work, runner.Range(last=step_of(Convert).name))
        else:
            require_done(config, state, work)
        if dropped is not None:
            left_out(config, state, work, dropped, _say_message)
            return
        for line in overview(config, state, work, examples):
            *before, (text, style) = line or [("", "")]
            say(lines.line(*before, text=text, style=style))
        say("")
        say(work.go_on)
