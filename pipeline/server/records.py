"""What the store is given and what it returns: plain data, whatever the store is made of."""

from typing import Generic, TypeVar

import msgspec

from pipeline.server import responses

T = TypeVar("T")


class NewFile(msgspec.Struct, frozen=True):
    """A file as it is taken over.

    Attributes:
        lasts_s: how long from now it is kept; None for ever.
        fault: it ends in `error`, with these `status_details`.
    """

    filename: str
    purpose: str
    lasts_s: int | None = None
    fault: str | None = None


class NewUpload(msgspec.Struct, frozen=True):
    """An upload as it is begun; `file` is what its parts become, `bytes` how many they must be together."""

    file: NewFile
    bytes: int


class NewJob(msgspec.Struct, frozen=True):
    """A job as asked for; `model_name` is what the tuned model will be called."""

    model: str
    model_name: str
    training_file: str
    validation_file: str | None
    seed: int
    suffix: str | None
    metadata: dict[str, str] | None
    hyperparameters: responses.Hyperparameters
    method: responses.MethodName = "supervised"


class JobRecord(msgspec.Struct, frozen=True):
    """A job as the store has it. `asked` are the hyperparameters as given, `used` those a worker chose from them."""

    id: str
    created_at: int
    status: responses.Status
    model: str
    model_name: str
    training_file: str
    validation_file: str | None
    result_file: str | None
    seed: int
    suffix: str | None
    metadata: dict[str, str] | None
    method: responses.MethodName
    asked: responses.Hyperparameters
    used: responses.Hyperparameters | None
    error: responses.JobError | None
    finished_at: int | None
    trained_tokens: int | None
    estimated_finish: int | None
    validated: bool
    idempotency_digest: str | None


class ModelRecord(msgspec.Struct, frozen=True):
    """A tuned model, or a checkpoint of one."""

    name: str
    base_model: str
    created_at: int


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a listing."""

    items: list[T]
    has_more: bool


FINISHED: frozenset[responses.Status] = frozenset({"succeeded", "failed", "cancelled"})
# OpenAI's fine-tuning guide: "only the checkpoints for the last three epochs of the job are saved"
KEPT_CHECKPOINTS = 3
