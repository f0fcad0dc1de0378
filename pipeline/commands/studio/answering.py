"""The process behind the playground: it holds the run directory as `finetune chat` does, and answers several at once.

Requests come on standard input and pieces of answers go to standard output, a JSON object a line. The first line that
it says names the models. At the end of its input it ends, and with it the embedded server that it may have started: so
it goes with the studio, however that ends.
"""

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pipeline.commands.chat import called, checkpoints, whom
from pipeline.commands.context import at_work, say
from pipeline.config.settings import Config
from pipeline.dataset.preset import inference_temperature
from pipeline.errors import FinetuneError
from pipeline.run.base_model import bring_back
from pipeline.run.progress import Progress
from pipeline.steps.step import Work
from pipeline.wording import visible

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

_LEAVING_S = 5.0


class Choice(msgspec.Struct, frozen=True):
    """A model to talk to; `label` says in words which one it is."""

    model: str
    label: str


class Hello(msgspec.Struct, frozen=True):
    """The first line: who there is to talk to, and how `finetune chat` would."""

    choices: list[Choice]
    system: str | None
    temperature: float


class Message(msgspec.Struct, frozen=True):
    """One message of a conversation."""

    role: str
    content: str


class Question(msgspec.Struct, frozen=True):
    """A request; with `stop`, the answer of that id is no longer wanted."""

    id: int
    model: str = ""
    messages: list[Message] = []
    temperature: float = 0.0
    stop: bool = False


class Piece(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of an answer; at its end `done`, and `error` where it failed."""

    id: int
    text: str = ""
    error: str = ""
    done: bool = False


def answer_questions(path: Path) -> None:
    """Answer until the end of standard input.

    Raises:
        FinetuneError: there is no model yet, or the run directory is in use in another way.
    """
    with at_work(path, None, asks=True, aside=True, beside=True) as (config, state, work):
        if work.beside is None:
            bring_back(config, state, work)
        progress = Progress(state, config, work.connection.identity)
        tuned, system = whom(config, progress, work)
        epochs = checkpoints(progress, work)
        choices = [Choice(tuned, called(config)), Choice(config.create_job.model, "the base model")]
        choices += [Choice(model, f"after epoch {number}") for number, model in enumerate(epochs, start=1)]
        _tell(Hello(choices, system, inference_temperature(config)))
        _serve(config, work)


def _serve(config: Config, work: Work) -> None:
    stops: dict[int, threading.Event] = {}
    threads: list[threading.Thread] = []
    for line in sys.stdin:
        try:
            question = msgspec.json.decode(line, type=Question)
        except msgspec.DecodeError:
            continue  # of a studio that was cut off in the middle of a line
        if question.stop:
            stops.setdefault(question.id, threading.Event()).set()
            continue
        stop = stops.setdefault(question.id, threading.Event())
        thread = threading.Thread(target=_answer, args=(question, stop, config, work), daemon=True)
        threads = [each for each in threads if each.is_alive()] + [thread]
        thread.start()
    for stop in stops.values():
        stop.set()
    for thread in threads:
        thread.join(_LEAVING_S)


def _answer(question: Question, stop: threading.Event, config: Config, work: Work) -> None:
    error = "The answer broke off; ask again."
    messages: list[ChatCompletionMessageParam] = msgspec.to_builtins(question.messages)
    try:
        with work.connection.listening("chat"):
            stream = work.connection.client.chat.completions.create(
                model=question.model,
                messages=messages,
                temperature=question.temperature,
                max_completion_tokens=config.smoke_test.max_tokens,
                stream=True,
            )
            with stream:
                for chunk in stream:
                    if stop.is_set():
                        break
                    if chunk.choices and chunk.choices[0].delta.content:
                        _tell(Piece(question.id, text=chunk.choices[0].delta.content))
        error = ""
    except FinetuneError as refused:
        error = str(refused)
    finally:
        _tell(Piece(question.id, error=error, done=True))


_telling = threading.Lock()


def _tell(line: Hello | Piece) -> None:
    with _telling:
        say(visible(msgspec.json.encode(line).decode()))
