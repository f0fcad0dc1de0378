"""Talk to the tuned model in the terminal."""

import contextlib
import signal
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from pipeline.commands.context import at_work, say
from pipeline.commands.conversation import Conversation, Typing
from pipeline.commands.options import ConfigPath, Overrides
from pipeline.config.settings import Config
from pipeline.dataset.preset import inference_prompt, inference_temperature
from pipeline.errors import InputError
from pipeline.process.signals import SignalStop
from pipeline.run.base_model import bring_back
from pipeline.run.progress import Progress
from pipeline.sessions.session import OWNER
from pipeline.state.file import State
from pipeline.steps.outputs import Convert, CreateJob, PollJob
from pipeline.steps.step import Work
from pipeline.terminal.display import SPEECH_INDENT
from pipeline.terminal.streams import say_aside, show
from pipeline.terminal.style import INDENT, Lines

_LONGEST_PROMPT = 300
_LONGEST_NAME = 20


def converse(config: Config, state: State, work: Work, message: str | None, temperature: float | None) -> None:
    """Say `message` and show the answer, or go on until the end of input.

    Args:
        temperature: None leaves it to the config.

    Raises:
        FinetuneError: nothing is trained yet, or not on this backend, or the backend refuses.
        SignalStop: Ctrl-C, which ends a conversation as Ctrl-D does.
    """
    progress = Progress(state, config, work.connection.identity)
    model, system = whom(config, progress, work)
    trained = progress.record(PollJob)
    if trained is not None and trained.status != "done":
        say_aside(f"The training is not done; this is {model}, the model of the one before.")
    talk = Conversation(
        model,
        work.connection.profile.serving_name(config.create_job.model),
        called(config),
        system,
        inference_temperature(config) if temperature is None else temperature,
        lambda: checkpoints(progress, work),
        work.run_dir,
    )
    typing, typed = Typing(), message is None and sys.stdin.isatty()
    with _quiet_on_ctrl_c():
        if typed:
            _introduce(talk)
        for said in filter(None, map(str.strip, _lines(typing) if message is None else [message])):
            if typed and said.startswith("/"):
                for line in talk.command(said).splitlines():
                    say_aside(line)
                continue
            talk.history.append({"role": "user", "content": said})
            answered = answer(talk, config, work, typing)
            talk.history.append({"role": "assistant", "content": answered})


def whom(config: Config, progress: Progress, work: Work) -> tuple[str, str | None]:
    """The tuned model's name, and the system prompt to talk to it with."""
    trained = progress.record(PollJob)
    if trained is None or trained.last_made is None:
        fix = "Train one with `finetune run CONFIG`." if work.beside is None else f"{work.go_on} Wait for it."
        raise InputError("chat", "there is no tuned model yet", fix=fix)
    return progress.asked_as("chat"), inference_prompt(config, progress.last_output(Convert).system_prompt)


def called(config: Config) -> str:
    """Whom the model talks like, where the config says it."""
    assistant = config.map.assistant
    name = config.convert.me or (assistant if isinstance(assistant, str) and assistant != OWNER else None)
    return textwrap.shorten(name, _LONGEST_NAME, placeholder="") or "tuned" if name else "tuned"


def checkpoints(progress: Progress, work: Work) -> list[str]:
    """The models after each epoch, first to last."""
    with work.connection.listening("chat"):
        job = progress.last_output(CreateJob).job
        found = list(work.connection.client.fine_tuning.jobs.checkpoints.list(job))
    return [each.fine_tuned_model_checkpoint for each in sorted(found, key=lambda each: each.step_number)]


def _introduce(talk: Conversation) -> None:
    lines = Lines(sys.stdout)
    say(lines.line(text=f"You talk to {talk.model}. /help lists what else can be typed; Ctrl-D ends the conversation."))
    if talk.system:
        told = textwrap.shorten(talk.system, _LONGEST_PROMPT, placeholder=" …")
        say(lines.line((INDENT, ""), text=f'It is told: "{told}"'))


@contextlib.contextmanager
def _quiet_on_ctrl_c() -> Iterator[None]:
    try:
        yield
    except SignalStop as stop:
        stop.told = stop.signum == signal.SIGINT
        raise


def _lines(typing: Typing) -> Iterable[str]:
    return _typed(typing) if sys.stdin.isatty() else sys.stdin


def _typed(typing: Typing) -> Iterator[str]:
    while True:
        try:
            show(f"{INDENT}{'you':<{SPEECH_INDENT}}")
            said = input()  # without its own prompt: a signal that comes as that appears would wait for the next line
            if typing.was_unseen(said):
                say(said)
        except (EOFError, SignalStop) as end:
            say("")  # the cursor was left behind the prompt
            if isinstance(end, SignalStop):
                raise
            return
        yield said


def answer(talk: Conversation, config: Config, work: Work, typing: Typing) -> str:
    """What the model says next, shown as it comes.

    Raises:
        FinetuneError: the backend refuses, or its answer makes no sense.
    """
    work.display.waiting(talk.label)
    pieces: list[str] = []
    with typing.unseen(), work.connection.listening("chat"):
        stream = work.connection.client.chat.completions.create(
            model=talk.model,
            messages=talk.messages,
            temperature=talk.temperature,
            max_completion_tokens=config.smoke_test.max_tokens,
            stream=True,
        )
        for piece in filter(None, (chunk.choices[0].delta.content for chunk in stream if chunk.choices)):
            if not pieces:
                work.display.speaker(talk.label)
            pieces.append(piece)
            work.display.speech(piece)
    if not pieces:
        say_aside(f"{talk.model} answered with nothing.")
    work.display.end("")
    return "".join(pieces)


def chat(
    config_path: ConfigPath,
    message: Annotated[str | None, typer.Option("--message", metavar="M", help="Say this and leave.")] = None,
    temperature: Annotated[
        float | None, typer.Option(metavar="T", min=0, max=2, help="0: the likeliest words; 0.8: like a person.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Talk to the tuned model, until Ctrl-D."""
    if message is not None and not message.strip():
        raise InputError("--message", "says nothing", fix="Say something, or leave it out to talk in turns.")
    with at_work(config_path, overrides, asks=True, beside=True) as (config, state, work):
        if work.beside is None:
            bring_back(config, state, work)
        converse(config, state, work, message, temperature)
