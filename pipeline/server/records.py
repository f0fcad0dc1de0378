"""What the store returns, and how it is read from a row."""

import sqlite3
from pathlib import Path
from typing import TypeVar

import msgspec

from pipeline.server import wire

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
    hyperparameters: wire.Hyperparameters
    method: wire.MethodName = "supervised"


class JobRecord(msgspec.Struct, frozen=True):
    """A job as the store has it. `asked` are the hyperparameters as given, `used` those a worker chose from them."""

    id: str
    created_at: int
    status: wire.Status
    model: str
    model_name: str
    training_file: str
    validation_file: str | None
    result_file: str | None
    seed: int
    suffix: str | None
    metadata: dict[str, str] | None
    method: wire.MethodName
    asked: wire.Hyperparameters
    used: wire.Hyperparameters | None
    error: wire.JobError | None
    finished_at: int | None
    trained_tokens: int | None
    estimated_finish: int | None
    validated: bool
    idempotency_digest: str | None


class ModelRecord(msgspec.Struct, frozen=True):
    """A tuned model, or a checkpoint of one; `adapter` is its folder."""

    name: str
    base_model: str
    adapter: Path
    created_at: int


def read_file(row: sqlite3.Row) -> wire.File:
    """A row of `files`."""
    return wire.File(
        id=row["id"],
        bytes=row["bytes"],
        created_at=row["created_at"],
        filename=row["filename"],
        purpose=row["purpose"],
        status=row["status"],
        expires_at=msgspec.UNSET if row["expires_at"] is None else row["expires_at"],
        status_details=msgspec.UNSET if row["status_details"] is None else row["status_details"],
    )


def read_upload(row: sqlite3.Row, file: wire.File | None) -> wire.Upload:
    """A row of `uploads`; `file` is what it became."""
    return wire.Upload(
        id=row["id"],
        bytes=row["bytes"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        filename=row["filename"],
        purpose=row["purpose"],
        status=row["status"],
        file=msgspec.UNSET if file is None else file,
    )


def read_job(row: sqlite3.Row) -> JobRecord:
    """A row of `jobs`."""
    return JobRecord(
        id=row["id"],
        created_at=row["created_at"],
        status=row["status"],
        model=row["model"],
        model_name=row["model_name"],
        training_file=row["training_file"],
        validation_file=row["validation_file"],
        result_file=row["result_file"],
        seed=row["seed"],
        suffix=row["suffix"],
        metadata=_maybe(row["metadata"], dict[str, str]),
        method=row["method"],
        asked=msgspec.json.decode(row["asked"], type=wire.Hyperparameters),
        used=_maybe(row["used"], wire.Hyperparameters),
        error=_maybe(row["error"], wire.JobError),
        finished_at=row["finished_at"],
        trained_tokens=row["trained_tokens"],
        estimated_finish=row["estimated_finish"],
        validated=bool(row["validated"]),
        idempotency_digest=row["idempotency_digest"],
    )


def _maybe(text: str | None, kind: type[T]) -> T | None:
    return None if text is None else msgspec.json.decode(text, type=kind)


def read_event(row: sqlite3.Row) -> wire.Event:
    """A row of `events`."""
    return wire.Event(
        id=row["id"],
        created_at=row["created_at"],
        level=row["level"],
        message=row["message"],
        type=row["type"],
        data=_maybe(row["data"], wire.Metrics),
    )


def read_checkpoint(row: sqlite3.Row) -> wire.Checkpoint:
    """A row of `checkpoints`."""
    return wire.Checkpoint(
        id=row["id"],
        created_at=row["created_at"],
        fine_tuned_model_checkpoint=row["model_name"],
        fine_tuning_job_id=row["job_id"],
        step_number=row["step"],
        metrics=msgspec.json.decode(row["metrics"], type=wire.Metrics),
    )
