"""What the tests of the interfaces work with: a store of any kind, and what is put into it."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pipeline.server import responses
from pipeline.server.interfaces import QueueStore, RouteStore
from pipeline.server.records import JobRecord, NewFile, NewJob
from tests.server.harness import examples

_numbers = itertools.count()


class Storage(RouteStore, QueueStore, Protocol):
    """Everything that is asked of a store."""


class WallClock:
    """Unix seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.9

    def __call__(self) -> float:
        return self.now


def incoming(store: RouteStore, content: bytes) -> Path:
    path = store.incoming / f"request-{next(_numbers)}"
    path.write_bytes(content)
    return path


def add_file(
    store: RouteStore, content: bytes | None = None, *, purpose: str = "fine-tune", lasts_s: int | None = None
) -> responses.File:
    given = examples() if content is None else content
    return store.files.add(incoming(store, given), NewFile("a.jsonl", purpose, lasts_s))


def new_job(training_file: str, *, metadata: dict[str, str] | None = None) -> NewJob:
    name = f"ft:base:personal::{next(_numbers)}"
    return NewJob("gpt-4o-mini", name, training_file, None, 1, None, metadata, responses.Hyperparameters())


def add_job(store: RouteStore, *, metadata: dict[str, str] | None = None) -> JobRecord:
    """A job, in `validating_files`, with a file of its own."""
    return store.create_job(new_job(add_file(store).id, metadata=metadata))


def running_job(store: Storage) -> JobRecord:
    job = add_job(store)
    store.move(job.id, ["validating_files"], "queued", "checked")
    moved = store.move(job.id, ["queued"], "running", "go")
    assert moved is not None
    return moved


def adapter(folder: Path, weights: bytes = b"weights") -> Path:
    """What a worker has trained."""
    made = folder / f"adapter-{next(_numbers)}"
    made.mkdir(parents=True)
    (made / "weights").write_bytes(weights)
    return made


def state(store: Storage, job_id: str) -> responses.Status:
    job = store.job(job_id)
    assert job is not None
    return job.status


def story(store: RouteStore, job_id: str) -> list[str]:
    """What happened to a job, oldest first."""
    return [event.message for event in store.events(job_id, after=None, limit=1000).items][::-1]


def job_ids(jobs: Sequence[JobRecord]) -> list[str]:
    return [job.id for job in jobs]
