"""What the routes and the threads know of the store and of the queue.

Today both live in the server's process: SQLite with a folder of blobs (storage/), and threads that each hold one worker
process (queue/). A database server, an object store or a cluster of trainers takes their place by doing this.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pipeline.server import responses
from pipeline.server.records import JobRecord, ModelRecord, NewFile, NewJob, NewUpload, Page


class StorageError(Exception):
    """The store could not do what it was asked for. `__cause__` is the error of what it is made of.

    What touches files of this machine may raise OSError as well.
    """


class StorageFull(StorageError):
    """There is no space left."""


class StorageBroken(StorageError):
    """The medium failed; the text says how, and quotes no path and no content."""


class StorageBusy(StorageError):
    """The store is short of something for a while, and the same may go well later; the text says of what."""


class UploadRefused(Exception):
    """A part cannot be added, or an upload completed, as asked; `param` is the field at fault, if one is."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


def beyond(declared: int, room: int) -> str:
    """Say that a part is more than its upload still takes."""
    held = f"its other parts hold {declared - room} of them"
    return f"The part is too large: the upload was created for {declared} bytes, and {held}."


class Files(Protocol):
    """See FileStore."""

    def blob(self, file_id: str) -> Path:
        """Where the bytes of a file can be read; a store that keeps them elsewhere fetches them first."""
        ...

    def add(self, incoming: Path, new: NewFile) -> responses.File:
        """Take over a finished upload."""
        ...

    def get(self, file_id: str) -> responses.File | None:
        """One file."""
        ...

    def page(self, *, purpose: str | None, after: str | None, limit: int, oldest_first: bool) -> Page[responses.File]:
        """A page of files."""
        ...

    def delete(self, file_id: str) -> bool:
        """Forget a file and its bytes."""
        ...


class Uploads(Protocol):
    """See UploadStore."""

    def begin(self, new: NewUpload) -> responses.Upload:
        """Add a pending upload."""
        ...

    def get(self, upload_id: str) -> responses.Upload | None:
        """One upload."""
        ...

    def room(self, upload_id: str) -> int:
        """How many bytes an upload still takes."""
        ...

    def add_part(self, upload_id: str, incoming: Path, *, again: bool = False) -> responses.UploadPart | None:
        """Take over one part."""
        ...

    def complete(
        self, upload_id: str, part_ids: Sequence[str], md5: str | None, *, fault: str | None = None
    ) -> responses.Upload:
        """Join the parts to a file."""
        ...

    def cancel(self, upload_id: str) -> bool:
        """Give an upload up."""
        ...


class Store(Protocol):
    """What the routes ask of the store; see storage/store.py. Safe to call from any thread."""

    org_id: str
    incoming: Path  # where requests are written down until the store takes them over

    @property
    def files(self) -> Files:
        """Every file."""
        ...

    @property
    def uploads(self) -> Uploads:
        """Every upload."""
        ...

    def expire(self) -> None:
        """Give back the space of what has expired."""
        ...

    def create_job(self, new: NewJob, *, idempotency: tuple[str, str] | None = None) -> JobRecord:
        """Add a job."""
        ...

    def job_of_key(self, idempotency_key: str) -> JobRecord | None:
        """The job that was created with a client's key."""
        ...

    def job(self, job_id: str) -> JobRecord | None:
        """One job."""
        ...

    def jobs(
        self, *, metadata: dict[str, str], without_metadata: bool, after: str | None, limit: int
    ) -> Page[JobRecord]:
        """A page of jobs."""
        ...

    def count_jobs(self) -> dict[str, int]:
        """How many jobs have each status."""
        ...

    def events(self, job_id: str, *, after: str | None, limit: int) -> Page[responses.Event]:
        """A page of a job's events."""
        ...

    def checkpoints(self, job_id: str, *, after: str | None, limit: int) -> Page[responses.Checkpoint]:
        """A page of a job's checkpoints."""
        ...

    def model(self, name: str) -> ModelRecord | None:
        """One tuned model or checkpoint."""
        ...

    def models(self) -> list[ModelRecord]:
        """The tuned models."""
        ...

    def delete_model(self, name: str) -> list[Path]:
        """Forget a model; returns the adapters that are gone."""
        ...


class Queue(Protocol):
    """What becomes of jobs once they are in the store; see queue/supervisor.py. Safe to call from any thread."""

    def start(self) -> None:
        """Begin to serve the queue."""
        ...

    def close(self) -> None:
        """Stop in good order: unfinished jobs go back to the queue."""
        ...

    def kill(self) -> None:
        """Stop at once: the process is about to exit."""
        ...

    def is_alive(self) -> bool:
        """Whether jobs are still taken and trained."""
        ...

    def wake(self) -> None:
        """There may be something to do."""
        ...

    def cancel(self, job_id: str) -> JobRecord | None:
        """Cancel a job; None if it is finished."""
        ...

    def pause(self, job_id: str) -> JobRecord | None:
        """Hold a job until it is resumed; None if it is finished or paused already."""
        ...

    def resume(self, job_id: str) -> JobRecord | None:
        """Put a paused job back; None if it is not paused."""
        ...
