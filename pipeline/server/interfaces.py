"""What the routes and the queue ask of the store, what the routes ask of the queue, and the errors that a store raises.

Today both live in the server's process: SQLite with folders beside it (storage/), and threads that each hold one worker
process (queue/); main.py puts them together. A database server, an object store or a cluster of trainers takes their
place by doing what is said here. Every method may be called from any thread. What has been changed when a method
returns is there to stay, and any method of a store may raise StorageError.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

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


class StorageDamaged(StorageError):
    """What was stored is not as it was stored; the text says of what, and quotes no path and no content."""


class StorageBusy(StorageError):
    """The store is short of something for a while, and the same may go well later; the text says of what."""


class Files(Protocol):
    """Every file there is; one that was deleted or has expired is none."""

    def add(self, incoming: Path, new: NewFile) -> responses.File:
        """Take over what lies at `incoming`; if it raises, no bytes of it are kept."""
        ...

    def get(self, file_id: str) -> responses.File | None:
        """One file."""
        ...

    def open(self, file_id: str) -> BinaryIO:
        """The bytes of a file, whole to their end though it be deleted meanwhile; FileNotFoundError if it is gone.

        Raises:
            StorageDamaged: they are more or fewer than were stored.
        """
        ...

    def page(self, *, purpose: str | None, after: str | None, limit: int, oldest_first: bool) -> Page[responses.File]:
        """Files after the one named, which may be deleted; nothing after one that never was."""
        ...

    def delete(self, file_id: str) -> bool:
        """Forget a file and its bytes; False when there is none."""
        ...


class Uploads(Protocol):
    """Every upload there is."""

    def begin(self, new: NewUpload) -> responses.Upload:
        """Add a pending upload."""
        ...

    def get(self, upload_id: str) -> responses.Upload | None:
        """One upload; one whose hour is over is `expired`."""
        ...

    def room(self, upload_id: str) -> int:
        """How many bytes an upload still takes."""
        ...

    def add_part(self, upload_id: str, incoming: Path, *, again: bool = False) -> responses.UploadPart | None:
        """Take over one part; None, and nothing is kept, once the upload is no longer pending.

        With `again`, a part of the same bytes that is there already is answered and none is added.

        Raises:
            UploadRefused: the upload would hold more than it was created for.
        """
        ...

    def complete(
        self, upload_id: str, part_ids: Sequence[str], md5: str | None, *, fault: str | None = None
    ) -> responses.Upload:
        """Join the parts to a file, once, in the order given.

        Raises:
            UploadRefused: parts, sizes or hash do not agree, or it is no longer pending; nothing has changed.
        """
        ...

    def cancel(self, upload_id: str) -> bool:
        """Give an upload and its parts up; False if it is not pending."""
        ...


class RouteStore(Protocol):
    """What the routes ask of the store. Listings are newest first, and begin after the item named.

    What can be read of a damaged record is answered: one job does not hide all others.
    """

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
        """Add a job in `validating_files`; with a client's key that was used before, the job it made is answered.

        `idempotency` is the key and a digest of the request. A `model_name` that another job has is a StorageError.
        """
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
        """Jobs that have every pair, or those without any metadata."""
        ...

    def count_jobs(self) -> dict[str, int]:
        """How many jobs have each status that any has."""
        ...

    def events(self, job_id: str, *, after: str | None, limit: int) -> Page[responses.Event]:
        """What happened to a job."""
        ...

    def checkpoints(self, job_id: str, *, after: str | None, limit: int) -> Page[responses.Checkpoint]:
        """A job's checkpoints that are kept."""
        ...

    def model(self, name: str) -> ModelRecord | None:
        """One tuned model or checkpoint."""
        ...

    def adapter_path(self, name: str) -> Path | None:
        """Where the adapter of a model lies on this machine; a store that keeps it elsewhere fetches it first."""
        ...

    def models(self) -> list[ModelRecord]:
        """The tuned models, newest first, without checkpoints."""
        ...

    def delete_model(self, name: str) -> list[Path]:
        """Forget a model with its checkpoints, or one checkpoint; returns what was the `adapter_path` of each."""
        ...


class QueueStore(Protocol):
    """What the queue asks of the store.

    Whoever works on a job claims it first. A claim ends with the process that holds it, however that dies: a job that
    is `running` and can be claimed was left by a server that is gone.

    Once a job is finished nothing more is written down of it, whatever its worker still says.
    """

    def claim(self, status: responses.Status) -> JobRecord | None:
        """Take the oldest job in `status` that nobody holds; nobody else gets it until `release`.

        One whose record is damaged fails, and the next is taken.
        """
        ...

    def release(self, job_id: str) -> None:
        """Let go of a job that was claimed."""
        ...

    def job(self, job_id: str) -> JobRecord | None:
        """One job."""
        ...

    def move(
        self,
        job_id: str,
        sources: Iterable[responses.Status],
        target: responses.Status,
        message: str,
        *,
        level: responses.Level = "info",
        error: responses.JobError | None = None,
    ) -> JobRecord | None:
        """Give a job in one of `sources` the status `target`, with an event; None, and no change, if it is in none.

        Of two moves from the same status that come together exactly one happens.
        """
        ...

    def file_path(self, file_id: str) -> Path:
        """Where the bytes of a file lie on this machine, fetched first if need be; nothing is there once it is deleted.

        The file is not to be changed.
        """
        ...

    def begin(self, job_id: str, used: responses.Hyperparameters) -> None:
        """Note what a worker that started trains with."""
        ...

    def add_event(
        self, job_id: str, message: str, *, level: responses.Level = "info", data: responses.Metrics | None = None
    ) -> None:
        """Say something about a job."""
        ...

    def add_crash(self, job_id: str, how: str) -> list[str]:
        """Note how a worker died; returns how each one died so far, nothing for a finished job."""
        ...

    def add_step(
        self,
        job_id: str,
        step: int,
        metrics: responses.Metrics,
        message: str,
        *,
        beside: responses.Metrics,
        remaining_s: int,
    ) -> None:
        """Add a step's metrics and their event, unless the step is known; `beside` is for the event alone."""
        ...

    def steps(self, job_id: str) -> list[responses.Metrics]:
        """The metrics of every step so far, in order."""
        ...

    def add_checkpoint(self, job_id: str, step: int, adapter: Path) -> None:
        """Keep a copy of an adapter as a model, unless that step or a later one has a checkpoint.

        The newest KEPT_CHECKPOINTS of a job are kept, and the one of the lowest validation loss. The worker may remove
        what lies at `adapter`, and changes no file in it.
        """
        ...

    def succeed(self, job_id: str, *, adapter: Path, results: bytes, trained_tokens: int) -> bool:
        """End a running job with its model, taken over from `adapter`, and its result file; False if it is not running.

        All of it happens, or nothing.
        """
        ...


class Queue(Protocol):
    """What becomes of jobs once they are in the store: oldest first, each is checked and trained by one at a time."""

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
        """Whether jobs are taken and trained: not while the store keeps refusing what the queue must write down."""
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
        """Put a paused job back where it was paused; None if it is not paused."""
        ...
