"""Rows of the store as records.

Columns of JSON may be damaged: by a disk, or by somebody's editor. They are then read as empty, and a warning is
logged, so that one row does not hide all others.
"""

import math
import sqlite3
from collections.abc import Sequence
from typing import TypeVar, cast

import msgspec

from pipeline.server import responses
from pipeline.server.logs import logger
from pipeline.server.records import KEPT_CHECKPOINTS, JobRecord, ModelRecord

T = TypeVar("T")

_DAMAGED = object()
_TRAINED_BY: dict[str, type] = {"asked": responses.Hyperparameters, "used": responses.Hyperparameters}


def read_file(row: sqlite3.Row) -> responses.File:
    """A row of `files`."""
    return responses.File(
        id=row["id"],
        bytes=row["bytes"],
        created_at=row["created_at"],
        filename=row["filename"],
        purpose=row["purpose"],
        status=row["status"],
        expires_at=msgspec.UNSET if row["expires_at"] is None else row["expires_at"],
        status_details=msgspec.UNSET if row["status_details"] is None else row["status_details"],
    )


def read_upload(row: sqlite3.Row, file: responses.File | None) -> responses.Upload:
    """A row of `uploads`; `file` is what it became."""
    return responses.Upload(
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
        metadata=column(row, "metadata", dict[str, str]),
        method=row["method"],
        asked=column(row, "asked", responses.Hyperparameters) or responses.Hyperparameters(),
        used=column(row, "used", responses.Hyperparameters),
        error=column(row, "error", responses.JobError),
        finished_at=row["finished_at"],
        trained_tokens=row["trained_tokens"],
        estimated_finish=row["estimated_finish"],
        validated=bool(row["validated"]),
        idempotency_digest=row["idempotency_digest"],
    )


def damaged_column(row: sqlite3.Row) -> str | None:
    """A column of a row of `jobs` without which it cannot be trained as it was asked for; None if there is none."""
    return next((name for name, kind in _TRAINED_BY.items() if _decoded(row[name], kind) is _DAMAGED), None)


def column(row: sqlite3.Row, name: str, kind: type[T]) -> T | None:
    """A column that holds JSON, or nothing; also None if it is damaged, of which the log is told."""
    found = _decoded(row[name], kind)
    if found is _DAMAGED:
        logger.warning("the column %s of a row of the store is damaged", name)
        return None
    return cast(T | None, found)


def _decoded(text: str | None, kind: type[T]) -> T | object | None:
    try:
        return None if text is None else msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError):
        return _DAMAGED


def superfluous(checkpoints: Sequence[tuple[int, str, str]]) -> list[tuple[int, str]]:
    """Those of a job's checkpoints to delete: old ones, but for the best on held-out data.

    Args:
        checkpoints: `seq`, `model_name` and `metrics`, newest first; the answer is `seq` and `model_name`.
    """
    found = [_decoded(metrics, responses.Metrics) for _, _, metrics in checkpoints]
    losses = [each.get("valid_loss", math.inf) if isinstance(each, dict) else math.inf for each in found]
    lowest = min(losses, default=math.inf)
    best = losses.index(lowest) if lowest < math.inf else None
    old = range(KEPT_CHECKPOINTS, len(checkpoints))
    return [checkpoints[number][:2] for number in old if number != best]


def read_model(row: sqlite3.Row) -> ModelRecord:
    """A row of `models`."""
    return ModelRecord(row["name"], row["base_model"], row["created_at"])


def read_event(row: sqlite3.Row) -> responses.Event:
    """A row of `events`."""
    return responses.Event(
        id=row["id"],
        created_at=row["created_at"],
        level=row["level"],
        message=row["message"],
        type=row["type"],
        data=column(row, "data", responses.Metrics),
    )


def read_checkpoint(row: sqlite3.Row) -> responses.Checkpoint:
    """A row of `checkpoints`."""
    return responses.Checkpoint(
        id=row["id"],
        created_at=row["created_at"],
        fine_tuned_model_checkpoint=row["model_name"],
        fine_tuning_job_id=row["job_id"],
        step_number=row["step"],
        metrics=column(row, "metrics", responses.Metrics) or {},
    )
