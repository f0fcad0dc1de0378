"""What the server and its worker process say to each other. Torch-free: the server imports this.

The server writes one JobSpec as JSON, starts ``python -m pipeline.training SPEC`` and reads one Report a line from the
worker's stdout. The worker's stdin is a pipe: ``stop\n`` asks it to checkpoint and leave; end of file means that the
server is gone, and the worker leaves at once.
"""

import math
from pathlib import Path
from typing import Literal

import msgspec

Auto = Literal["auto"]
Method = Literal["supervised", "dpo"]


MAX_TOKENS = 2048
"""Tokens of an example that the trainer takes, whatever the model could: more take memory that few machines have."""


def automatic_epochs(examples: int) -> int:
    """13 divided by the cube root of the examples, 8 at most: 6 for ten, 3 for a hundred, 1 for a thousand."""
    return max(1, min(8, round(13 / math.cbrt(examples))))


class JobSpec(msgspec.Struct, frozen=True):
    """One training job.

    Attributes:
        work_dir: the job's own folder; checkpoints lie in `work_dir/checkpoints`, the finished adapter in
            `work_dir/adapter` (published whole). A worker started on a folder with a good checkpoint resumes from it.
        script: the scripted trainer's instructions; ignored by the others.
        beta: for DPO alone: how strongly the model is held to what it was.
    """

    job_id: str
    trainer: Literal["lora", "scripted"]
    base_model: str
    training_file: Path
    validation_file: Path | None
    n_epochs: int | Auto
    batch_size: int | Auto
    learning_rate_multiplier: float | Auto
    seed: int
    work_dir: Path
    script: Path | None = None
    method: Method = "supervised"
    beta: float | Auto = "auto"


def encode_spec(spec: JobSpec) -> bytes:
    """The SPEC file of a job, as JSON."""
    return msgspec.json.encode(spec, enc_hook=_path_as_text)


def decode_spec(data: bytes) -> JobSpec:
    """Read what `encode_spec` wrote; raises msgspec.DecodeError for anything else."""
    return msgspec.json.decode(data, type=JobSpec, dec_hook=_text_as_path)


def _path_as_text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value))


def _text_as_path(kind: type, value: object) -> Path:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(kind)


class Started(msgspec.Struct, frozen=True, tag="started"):
    """Training begins (or resumes after `first_step` steps). Hyperparameters as used, no longer "auto".

    `truncated` examples had more than `max_tokens` tokens; what comes after their last whole target is left out.
    """

    total_steps: int
    first_step: int
    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float
    examples: int
    tokens: int
    truncated: int
    skipped: int
    targets: int
    beta: float | None = None
    max_tokens: int | None = None


class Step(msgspec.Struct, frozen=True, tag="step"):
    """One optimiser step. Losses are means per target token (DPO: per pair) in nats; None where not measured.

    Accuracies lie in 0..1: the share of target tokens (DPO: of the preferred answers) that are the most likely ones.

    `tokens` counts the tokens trained on so far, prompts included, as OpenAI bills them.
    """

    step: int
    epoch: float
    train_loss: float
    train_accuracy: float | None
    valid_loss: float | None
    valid_accuracy: float | None
    learning_rate: float
    tokens: int


class Checkpoint(msgspec.Struct, frozen=True, tag="checkpoint"):
    """An epoch has ended and its adapter lies, whole, at `adapter` (relative to work_dir)."""

    step: int
    adapter: str


class Succeeded(msgspec.Struct, frozen=True, tag="succeeded"):
    """The adapter lies in `work_dir/adapter`."""

    trained_tokens: int


class Stopped(msgspec.Struct, frozen=True, tag="stopped"):
    """Asked to stop; the checkpoint of `step` is on disk."""

    step: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The job can never succeed as it is; becomes the job's `error`. A crash says nothing and is retried."""

    code: str
    message: str
    param: str | None = None


Report = Started | Step | Checkpoint | Succeeded | Stopped | Failed
