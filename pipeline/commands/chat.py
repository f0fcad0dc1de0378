"""Talk to the tuned model in the terminal."""

import contextlib
import signal
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.context import at_work, say
from pipeline.commands.options import ConfigPath, Overrides
from pipeline.config.settings import Config
from pipeline.dataset.preset import inference_prompt
from pipeline.errors import InputError
from pipeline.run.base_model import bring_back
from pipeline.run.progress import Progress
from pipeline.signals import SignalStop
from pipeline.state.file import State
from pipeline.steps.outputs import Convert, PollJob
from pipeline.steps.step import Work
from pipeline.terminal.display import SPEECH_INDENT
from pipeline.terminal.streams import say_aside, show
from pipeline.terminal.style import INDENT, Lines

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

_LONGEST_PROMPT = 300


def converse(config: Config, state: State, work: Work, message: str | None) -> None:
    """Say `message` and show the answer, or go on until the end of input.

    Raises:
        FinetuneError: nothing is trained yet, or not on this backend, or the backend refuses.
        SignalStop: Ctrl-C, which ends a conversation as Ctrl-D does.
    """
    progress = Progress(state, config, work.connection.identity)
    model, system = _whom(config, progress, work)
    trained = progress.record(PollJob)
    if trained is not None and trained.status != "done":
        say_aside(f"The training is not done; this is {model}, the model of the one before.")
    history: list[ChatCompletionMessageParam] = [{"role": "system", "content": system}] if system else []
    with _quiet_on_ctrl_c():
        if message is None and sys.stdin.isatty():
            _introduce(model, system)
        for said in filter(None, map(str.strip, _lines() if message is None else [message])):
            history.append({"role": "user", "content": said})
            history.append({"role": "assistant", "content": answer(model, history, config, work)})


def _whom(config: Config, progress: Progress, work: Work) -> tuple[str, str | None]:
    """The tuned model's name, and the system prompt to talk to it with."""
    trained = progress.record(PollJob)
    if trained is None or trained.last_made is None:
        fix = "Train one with `finetune run CONFIG`." if work.beside is None else f"{work.go_on} Wait for it."
        raise InputError("chat", "there is no tuned model yet", fix=fix)
    tuned = progress.output_here(PollJob, "chat")
    return tuned.model, inference_prompt(config, progress.last_output(Convert).system_prompt)


def _introduce(model: str, system: str | None) -> None:
    lines = Lines(sys.stdout)
    say(lines.line(text=f"You talk to {model}. Ctrl-D ends the conversation."))
    if system:
        told = textwrap.shorten(system, _LONGEST_PROMPT, placeholder=" …")
        say(lines.line((INDENT, ""), text=f'It is told: "{told}"'))


@contextlib.contextmanager
def _quiet_on_ctrl_c() -> Iterator[None]:
    try:
        yield
    except SignalStop as stop:
        stop.told = stop.signum == signal.SIGINT
        raise


def _lines() -> Iterable[str]:
    return _typed() if sys.stdin.isatty() else sys.stdin


def _typed() -> Iterator[str]:
    while True:
        try:
            show(f"{INDENT}{'you':<{SPEECH_INDENT}}")
            said = input()  # without its own prompt: a signal that comes as that appears would wait for the next line
        except (EOFError, SignalStop) as end:
            say("")  # the cursor was left behind the prompt
            if isinstance(end, SignalStop):
                raise
            return
        yield said


def answer(model: str, history: "list[ChatCompletionMessageParam]", config: Config, work: Work) -> str:
    """What the model says next, shown as it comes.

    Raises:
        FinetuneError: the backend refuses, or its answer makes no sense.
    """
    work.display.waiting("tuned")
    pieces: list[str] = []
    with work.connection.listening("chat"):
        stream = work.connection.client.chat.completions.create(
            model=model,
            messages=history,
            temperature=config.smoke_test.temperature,
            max_completion_tokens=config.smoke_test.max_tokens,
            stream=True,
        )
        for piece in filter(None, (chunk.choices[0].delta.content for chunk in stream if chunk.choices)):
            if not pieces:
                work.display.speaker("tuned")
            pieces.append(piece)
            work.display.speech(piece)
    if not pieces:
        say_aside(f"{model} answered with nothing.")
    work.display.end("")
    return "".join(pieces)


def chat(
    config_path: ConfigPath,
    message: Annotated[str | None, typer.Option("--message", metavar="M", help="Say this and leave.")] = None,
    overrides: Overrides = None,
) -> None:
    """Talk to the tuned model, until Ctrl-D."""
    if message is not None and not message.strip():
        raise InputError("--message", "says nothing", fix="Say something, or leave it out to talk in turns.")
    with at_work(config_path, overrides, asks=True, beside=True) as (config, state, work):
        if work.beside is None:
            bring_back(config, state, work)
        converse(config, state, work, message)
