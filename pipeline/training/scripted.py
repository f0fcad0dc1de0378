"""The scripted trainer: instant, deterministic, torch-free, and able to fail in every way a job can.

It reads the training file like the real one, reports believable steps, and writes an adapter folder that the scripted
engine answers from. What it does besides is told by a script, a JSON file of these keys, all optional:

    {"steps": 20, "seconds_per_step": 0.1,
     "fail": {"code": "server_error", "message": "Out of memory", "param": null, "at_step": 3},
     "crash": {"signal": 9, "at_step": 5, "attempts": 2},
     "hang_at_step": 7,
     "replies": {"tuned": "Slow and steady.", "base": "As an assistant, I have no motto."},
     "files": {"status": "error", "status_details": "The file is not readable."}}

Each fault happens instead of the step it names, counted from 1; steps before it are done and checkpointed.
"""

import math
import os
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from pipeline.durable import make_private_dir, publish, write_atomically
from pipeline.errors import InputError
from pipeline.training.examples import read_examples
from pipeline.training.protocol import Checkpoint, Failed, JobSpec, Report, Started, Step, Stopped, Succeeded

ADAPTER_FILE = "adapter_config.json"

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


class Replies(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the models answer, whatever they are asked."""

    tuned: str = "Slow and steady, that's my motto."
    base: str = "I am a language model, so I have no motto of my own."


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a script file can say.

    Attributes:
        steps: optimiser steps in all; without it, what the file, epochs and batch size make.
        hang_at_step: wait there until asked to stop.
    """

    steps: _StepNumber | None = None
    seconds_per_step: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    fail: Fail | None = None
    crash: Crash | None = None
    hang_at_step: _StepNumber | None = None
    replies: Replies = Replies()
    files: Files | None = None


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
        return msgspec.json.decode(path.read_bytes(), type=Script)
    except OSError as error:
        raise InputError(
            str(path), f"the script cannot be read ({error.strerror})", fix="Set `backend.script` to a JSON file."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what, _, key = (
            str(error).replace("`", "").partition(" - at $")
        )  # msgspec's "Expected `int`, ... - at `$.steps`"
        raise InputError(
            f"{path}: {key[1:]}" if key else str(path),
            what[:1].lower() + what[1:],
            fix="Keys: steps, seconds_per_step, fail, crash, hang_at_step, replies, files.",
        ) from None


def train(spec: JobSpec, report: Callable[[Report], None], stop: threading.Event) -> None:
    """Pretend to train `spec`, resuming where an earlier worker on the same work_dir ended.

    Raises:
        InputError: the script or a data file is wrong.
    """
    script = read_script(spec.script)
    make_private_dir(spec.work_dir / "checkpoints")
    store = spec.work_dir / "checkpoints" / "progress.json"
    progress = msgspec.json.decode(store.read_bytes(), type=_Progress) if store.exists() else _Progress()
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
    examples = list(read_examples(spec.training_file, "training_file"))
    if spec.validation_file:
        for _ in read_examples(spec.validation_file, "validation_file"):
            pass  # read for its errors only
    n_epochs = 3 if spec.n_epochs == "auto" else spec.n_epochs
    batch_size = 4 if spec.batch_size == "auto" else spec.batch_size
    return Started(
        total_steps=script.steps or n_epochs * math.ceil(len(examples) / batch_size),
        first_step=first_step,
        n_epochs=n_epochs,
        batch_size=batch_size,
        learning_rate_multiplier=1.0 if spec.learning_rate_multiplier == "auto" else spec.learning_rate_multiplier,
        examples=len(examples),
        tokens=sum(len(message.content.split()) for example in examples for message in example.messages),
        truncated=0,
        skipped=sum(not any(example.trained) for example in examples),
    )


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
