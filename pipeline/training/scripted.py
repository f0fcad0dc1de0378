"""The scripted trainer: instant, deterministic, torch-free, and able to fail in every way a job can.

It reads the training file like the real one, reports believable steps, and writes an adapter folder that the scripted
engine answers from. What it does besides is told by a script, a JSON file of these keys, all optional:

    {"steps": 20, "seconds_per_step": 0.1,
     "fail": {"code": "server_error", "message": "Out of memory", "param": null, "at_step": 3},
     "crash": {"signal": 9, "at_step": 5, "attempts": 2},
     "hang_at_step": 7,
     "replies": {"tuned": "Slow and steady.", "base": "As an assistant, I have no motto.",
                 "seconds_per_word": 0.05},
     "base_models": ["gpt-4o-mini-2024-07-18"],
     "files": {"status": "error", "status_details": "The file is not readable."},
     "requests": [{"method": "POST", "path": "/v1/fine_tuning/jobs", "skip": 0, "times": 2, "delay_s": 0.5,
                   "status": 503, "message": "Busy.", "code": null, "retry_after_s": 1, "cut": false, "after": true}]}

A trainer's fault happens instead of the step it names, counted from 1; steps before it are done and checkpointed. Of
the faults of requests the first that fits happens; see RequestFault.
"""

import math
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from pipeline.durable import make_private_dir, publish, read_file, write_atomically
from pipeline.errors import InputError
from pipeline.models.base_models import BASE_MODELS
from pipeline.models.messages import ChatMessage
from pipeline.training.examples import FileParam, read_examples, read_preferences
from pipeline.training.protocol import Checkpoint, Failed, JobSpec, Report, Started, Step, Stopped, Succeeded

ADAPTER_FILE = "adapter_config.json"

# What OpenAI fine-tunes or did: the dated names of its fine-tuning guide, and the short ones of the SDK's type
# (JobCreateParams.model).
OPENAI_MODELS = (
    "gpt-4.1-2025-04-14",
    "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano-2025-04-14",
    "gpt-4o-2024-08-06",
    "gpt-4o-mini-2024-07-18",
    "gpt-4o-mini",
    "gpt-4-0613",
    "gpt-3.5-turbo-0125",
    "gpt-3.5-turbo-1106",
    "gpt-3.5-turbo-0613",
    "gpt-3.5-turbo",
    "o4-mini-2025-04-16",
    "davinci-002",
    "babbage-002",
)

_StepNumber = Annotated[int, msgspec.Meta(ge=1)]


class Fail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The job fails for good, with this error; `at_step` 0 is before training begins."""

    code: str
    message: str
    param: str | None = None
    at_step: Annotated[int, msgspec.Meta(ge=0)] = 1


class Crash(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The process dies of this signal, on its first `attempts` starts on the same work_dir."""

    signal: Annotated[int, msgspec.Meta(ge=1, le=64)]
    at_step: _StepNumber
    attempts: _StepNumber = 1


class Files(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of uploaded files; read by the server, not by the trainer."""

    status: Literal["error"]
    status_details: str


class RequestFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong between a client and the server; done by the server, not by the trainer.

    Attributes:
        method, path: the requests it happens to; a path may hold wildcards: ``/v1/fine_tuning/jobs/*``.
        skip: so many of them go well first.
        times: it happens to so many; null: to all from then on.
        delay_s: seconds until the request is looked at.
        status: it is refused with this status, `message` and `code`, and a Retry-After header if `retry_after_s` is
            given. Without it (and without `cut`) the request is only late.
        cut: the connection breaks within the answer.
        after: what was asked is done all the same, and only the answer is lost.
    """

    path: str
    method: str | None = None
    skip: Annotated[int, msgspec.Meta(ge=0)] = 0
    times: Annotated[int, msgspec.Meta(ge=1)] | None = 1
    delay_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    message: str = "This fault was asked for by the script."
    code: str | None = None
    retry_after_s: Annotated[int, msgspec.Meta(ge=0)] | None = None
    cut: bool = False
    after: bool = False


class Replies(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the models answer, whatever they are asked, and how long each word takes them."""

    tuned: str = "Slow and steady, that's my motto."
    base: str = "I am a language model, so I have no motto of my own."
    seconds_per_word: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a script file can say.

    Attributes:
        steps: optimiser steps in all; without it, what the file, epochs and batch size make.
        hang_at_step: wait there until asked to stop.
        base_models: the only ones there are; read by the server. Without it, those of this package and OPENAI_MODELS.
    """

    steps: _StepNumber | None = None
    seconds_per_step: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    fail: Fail | None = None
    crash: Crash | None = None
    hang_at_step: _StepNumber | None = None
    replies: Replies = Replies()
    base_models: tuple[str, ...] = (*BASE_MODELS, *OPENAI_MODELS)
    files: Files | None = None
    requests: tuple[RequestFault, ...] = ()


class Adapter(msgspec.Struct, frozen=True):
    """The tuned model, as the scripted engine reads it from ADAPTER_FILE."""

    base_model: str
    reply: str


class _Progress(msgspec.Struct):
    """The trainer's checkpoint: steps done, and how many times a worker was started on this work_dir."""

    step: int = 0
    attempts: int = 0


def read_script(path: Path | None) -> Script:
    """Read a script file; none is a script that says nothing.

    Raises:
        InputError: there is no such file, or a key in it is wrong; names file and key.
    """
    if path is None:
        return Script()
    try:
        return msgspec.json.decode(read_file(path), type=Script)
    except OSError as error:
        raise InputError(
            str(path), f"the script cannot be read ({error.strerror})", fix="Set `backend.script` to a JSON file."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what, _, key = (
            str(error).replace("`", "").partition(" - at $")
        )  # msgspec's "Expected `int`, ... - at `$.steps`"
        raise InputError(
            f"{path}: {key[1:]}" if key else str(path),
            what[:1].lower() + what[1:],
            fix="Keys: steps, seconds_per_step, fail, crash, hang_at_step, replies, base_models, files, requests.",
        ) from None


def train(spec: JobSpec, report: Callable[[Report], None], stop: threading.Event) -> None:
    """Pretend to train `spec`, resuming where an earlier worker on the same work_dir ended.

    Raises:
        InputError: the script or a data file is wrong.
    """
    script = read_script(spec.script)
    make_private_dir(spec.work_dir / "checkpoints")
    store = spec.work_dir / "checkpoints" / "progress.json"
    progress = msgspec.json.decode(read_file(store), type=_Progress) if store.exists() else _Progress()
    progress.attempts += 1
    write_atomically(store, msgspec.json.encode(progress))
    plan = _plan(spec, script, progress.step)
    if script.fail and script.fail.at_step == 0:
        return report(_failure(script.fail))
    report(plan)
    for number in range(progress.step + 1, plan.total_steps + 1):
        if script.fail and script.fail.at_step == number:
            return report(_failure(script.fail))
        if script.crash and script.crash.at_step == number and progress.attempts <= script.crash.attempts:
            os.kill(os.getpid(), script.crash.signal)
        if stop.wait(None if script.hang_at_step == number else script.seconds_per_step):
            return report(Stopped(progress.step))
        step = _step(spec, plan, number)
        epoch_ended = _epochs(plan, number) > _epochs(plan, number - 1)
        if epoch_ended:
            _write_adapter(spec, script, f"adapters/step-{number}")
        report(step)
        if epoch_ended:
            report(Checkpoint(number, f"adapters/step-{number}"))
        progress.step = number
        write_atomically(store, msgspec.json.encode(progress))
    _write_adapter(spec, script, "adapter")
    return report(Succeeded(plan.tokens * plan.n_epochs))


def _failure(fail: Fail) -> Failed:
    return Failed(fail.code, fail.message, fail.param)


def _plan(spec: JobSpec, script: Script, first_step: int) -> Started:
    counts = _count_words(spec, spec.training_file, "training_file")
    if spec.validation_file:
        _count_words(spec, spec.validation_file, "validation_file")  # read for its errors only
    n_epochs = 3 if spec.n_epochs == "auto" else spec.n_epochs
    batch_size = 4 if spec.batch_size == "auto" else spec.batch_size
    return Started(
        total_steps=script.steps or n_epochs * math.ceil(len(counts) / batch_size),
        first_step=first_step,
        n_epochs=n_epochs,
        batch_size=batch_size,
        learning_rate_multiplier=1.0 if spec.learning_rate_multiplier == "auto" else spec.learning_rate_multiplier,
        examples=len(counts),
        tokens=sum(words for words, _ in counts),
        truncated=0,
        skipped=sum(not targets for _, targets in counts),
        targets=sum(targets for _, targets in counts),
        beta=(0.1 if spec.beta == "auto" else spec.beta) if spec.method == "dpo" else None,
    )


def _count_words(spec: JobSpec, path: Path, param: FileParam) -> list[tuple[int, int]]:
    """Of each example: its words, and how many turns there are to learn."""
    if spec.method == "dpo":
        pairs = read_preferences(path, param)
        return [(_words((*pair.prompt, pair.preferred, *pair.prompt, pair.other)), 1) for pair in pairs]
    return [(_words(example.messages), sum(example.trained)) for example in read_examples(path, param)]


def _words(messages: Iterable[ChatMessage]) -> int:
    return sum(len(message.content.split()) for message in messages)


def _epochs(plan: Started, number: int) -> int:
    """Whole epochs done after step `number`."""
    return number * plan.n_epochs // plan.total_steps


def _step(spec: JobSpec, plan: Started, number: int) -> Step:
    """Step `number`, the same whoever computes it: a loss that decays from 3 to about 0.2 with a little noise."""
    done = number / plan.total_steps
    loss = (0.1 + 2.9 * math.exp(-3 * done)) * random.Random(f"{spec.seed}:{number}").uniform(0.95, 1.05)
    validated = spec.validation_file is not None and _epochs(plan, number) > _epochs(plan, number - 1)
    return Step(
        step=number,
        epoch=done * plan.n_epochs,
        train_loss=loss,
        train_accuracy=math.exp(-loss),
        valid_loss=loss * 1.1 if validated else None,
        valid_accuracy=math.exp(-loss * 1.1) if validated else None,
        learning_rate=1e-3 * plan.learning_rate_multiplier * (1 - (number - 1) / plan.total_steps),
        tokens=round(plan.tokens * plan.n_epochs * done),
    )


def _write_adapter(spec: JobSpec, script: Script, relative: str) -> None:
    target = spec.work_dir / relative
    if target.exists():  # from a worker that died before it could report it
        shutil.rmtree(target)
    temporary = make_private_dir(target.parent) / f".{target.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)  # of a worker that died in the middle
    make_private_dir(temporary)
    write_atomically(temporary / ADAPTER_FILE, msgspec.json.encode(Adapter(spec.base_model, script.replies.tuned)))
    publish(temporary, target)
