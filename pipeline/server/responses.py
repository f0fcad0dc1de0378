"""The objects that the API answers with: OpenAI's names, required keys and nulls.

A key whose value is UNSET is left out; a key whose value is None is sent as null. Which of the two a missing value
becomes follows the OpenAPI specification (openai/openai-openapi) and the SDK's strict types.
"""

import secrets
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

Status = Literal["validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"]
MethodName = Literal["supervised", "dpo"]
Level = Literal["info", "warn", "error"]
Metrics = dict[str, int | float]  # named as in OpenAI's events; finite numbers only


def new_id(prefix: str) -> str:
    """An identifier nobody can guess, such as ``file-3f0c...`` for the prefix ``file-``."""
    return prefix + secrets.token_hex(12)


class File(msgspec.Struct, frozen=True, tag_field="object", tag="file"):
    """An uploaded file, or a job's results."""

    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["uploaded", "processed", "error"]
    expires_at: int | UnsetType = UNSET
    status_details: str | UnsetType = UNSET


class Upload(msgspec.Struct, frozen=True, tag_field="object", tag="upload"):
    """A file that comes in parts."""

    id: str
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled", "expired"]
    file: File | UnsetType = UNSET


class UploadPart(msgspec.Struct, frozen=True, tag_field="object", tag="upload.part"):
    """A part of an upload."""

    id: str
    created_at: int
    upload_id: str


class JobError(msgspec.Struct, frozen=True):
    """Why a job failed."""

    code: str
    message: str
    param: str | None


class Hyperparameters(msgspec.Struct, frozen=True):
    """As asked for, or as used once training has begun; only DPO has a `beta`."""

    n_epochs: int | Literal["auto"] = "auto"
    batch_size: int | Literal["auto"] = "auto"
    learning_rate_multiplier: float | Literal["auto"] = "auto"
    beta: float | Literal["auto"] | UnsetType = UNSET


class MethodSettings(msgspec.Struct, frozen=True):
    """A method's settings."""

    hyperparameters: Hyperparameters


class Method(msgspec.Struct, frozen=True):
    """How the job trains; only the settings of its own type are there."""

    type: MethodName
    supervised: MethodSettings | UnsetType = UNSET
    dpo: MethodSettings | UnsetType = UNSET


class Job(msgspec.Struct, frozen=True, tag_field="object", tag="fine_tuning.job"):
    """A fine-tuning job."""

    id: str
    created_at: int
    model: str
    organization_id: str
    training_file: str
    validation_file: str | None
    status: Status
    seed: int
    hyperparameters: Hyperparameters
    method: Method
    error: JobError | None
    finished_at: int | None
    fine_tuned_model: str | None
    trained_tokens: int | None
    estimated_finish: int | None
    result_files: list[str]
    metadata: dict[str, str] | None
    integrations: list[str]
    user_provided_suffix: str | None


class Event(msgspec.Struct, frozen=True, tag_field="object", tag="fine_tuning.job.event"):
    """Something that happened to a job."""

    id: str
    created_at: int
    level: Level
    message: str
    type: Literal["message", "metrics"]
    data: Metrics | None


class Checkpoint(msgspec.Struct, frozen=True, tag_field="object", tag="fine_tuning.job.checkpoint"):
    """A model as it was after an epoch."""

    id: str
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    step_number: int
    metrics: Metrics


class Model(msgspec.Struct, frozen=True, tag_field="object", tag="model"):
    """A model that can be chatted with."""

    id: str
    created: int
    owned_by: str


class Deleted(msgspec.Struct, frozen=True):
    """The answer to a deletion."""

    id: str
    object: Literal["file", "model"]
    deleted: bool = True


class TokenLogprob(msgspec.Struct, frozen=True):
    """A token that might have been chosen."""

    token: str
    logprob: float
    bytes: list[int]


class ChosenLogprob(msgspec.Struct, frozen=True):
    """A token of an answer, and the likeliest ones at its place."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TokenLogprob]


class Logprobs(msgspec.Struct, frozen=True):
    """The odds of the tokens of an answer, or of a chunk of it."""

    content: list[ChosenLogprob]
    refusal: None = None


class ChatAnswer(msgspec.Struct, frozen=True):
    """What the model said, whole."""

    content: str
    role: Literal["assistant"] = "assistant"
    refusal: None = None


class ChatChoice(msgspec.Struct, frozen=True):
    """One of the `n` answers."""

    index: int
    message: ChatAnswer
    finish_reason: Literal["stop", "length"]
    logprobs: Logprobs | None = None


class Usage(msgspec.Struct, frozen=True):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(msgspec.Struct, frozen=True, tag_field="object", tag="chat.completion"):
    """A chat completion in one piece."""

    id: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class Delta(msgspec.Struct, frozen=True):
    """What a chunk adds to a message."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET


class ChunkChoice(msgspec.Struct, frozen=True):
    """A chunk of one of the `n` answers."""

    index: int
    delta: Delta
    finish_reason: Literal["stop", "length"] | None = None
    logprobs: Logprobs | None = None


class ChatChunk(msgspec.Struct, frozen=True, tag_field="object", tag="chat.completion.chunk"):
    """One event of a streamed chat completion."""

    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | UnsetType | None = UNSET


class TextLogprobs(msgspec.Struct, frozen=True):
    """The odds of the tokens of a text, in lists that are equally long.

    Before the first token of an echoed prompt nothing stands: its odds are null, as OpenAI sends them, though its
    specification knows no null there.
    """

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class TextChoice(msgspec.Struct, frozen=True):
    """One of the `n` answers to a prompt, or a piece of it."""

    index: int
    text: str
    finish_reason: Literal["stop", "length"] | None
    logprobs: TextLogprobs | None = None


class TextCompletion(msgspec.Struct, frozen=True, tag_field="object", tag="text_completion"):
    """What follows some prompts; also one event of a stream of it."""

    id: str
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage | UnsetType | None = UNSET
