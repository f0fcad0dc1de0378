"""What a store remembers of one job, for somebody who starts no server: of a training that goes on, too."""

import contextlib
from pathlib import Path

import msgspec

from pipeline.server import responses
from pipeline.server.storage.database import Database, read_store_id
from pipeline.server.storage.rows import read_event, read_job


class History(msgspec.Struct, frozen=True):
    """One job so far: the hyperparameters as used, None before it began, and its events, oldest first."""

    used: responses.Hyperparameters | None
    events: list[responses.Event]


def read_history(data_dir: Path, job_id: str) -> History | None:
    """Read what the store in `data_dir` knows of a job; None if there is no store, or no such job in it.

    Takes no lock: a server may be at work on the store.

    Raises:
        StateDamaged: what lies there cannot be read as a store.
    """
    if read_store_id(data_dir) is None:
        return None
    with contextlib.closing(Database(data_dir)) as db:
        jobs = db.rows("SELECT * FROM jobs WHERE id = ?", (job_id,))
        events = db.rows("SELECT * FROM events WHERE job_id = ? ORDER BY seq", (job_id,))
    return History(read_job(jobs[0]).used, [read_event(row) for row in events]) if jobs else None


def read_adapter_path(data_dir: Path, name: str) -> Path | None:
    """Where the adapter of a tuned model lies; None if there is no store, or no such model in it.

    Takes no lock, as `read_history`.

    Raises:
        StateDamaged: what lies there cannot be read as a store.
    """
    if read_store_id(data_dir) is None:
        return None
    with contextlib.closing(Database(data_dir)) as db:
        rows = db.rows("SELECT folder FROM models WHERE name = ?", (name,))
    return data_dir / "models" / rows[0]["folder"] if rows else None
