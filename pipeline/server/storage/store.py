"""The server's memory: jobs, events, checkpoints and models, in SQLite; files and uploads have stores of their own.

Safe to call from any thread. What a method has returned is on disk. Every change of a job's status goes through one
guarded UPDATE, so of a success and a cancellation that arrive together exactly one happens.
"""

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from pipeline import durable
from pipeline.server import disk_errors, responses
from pipeline.server.records import FINISHED, JobRecord, ModelRecord, NewFile, NewJob, Page
from pipeline.server.storage import adapters
from pipeline.server.storage.claims import Claims
from pipeline.server.storage.database import DATABASE, Database
from pipeline.server.storage.file_store import FileStore
from pipeline.server.storage.rows import column, read_checkpoint, read_event, read_job, read_model, superfluous
from pipeline.server.storage.sweeping import remove
from pipeline.server.storage.upload_store import UploadStore


class Store:
    """The one open store of a server. `data_dir` must be locked by the caller.

    Attributes:
        is_new: it was made just now, and knows of nothing that should stay.
    """

    def __init__(self, data_dir: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.data_dir = durable.make_private_dir(data_dir)
        self.incoming = durable.make_private_dir(data_dir / "incoming")
        self.models_dir = durable.make_private_dir(data_dir / "models")
        self._clock = clock
        self._db = Database(data_dir)
        self.is_new = self._db.is_new
        self._claims = Claims(self._db)
        self.files = FileStore(self._db, data_dir, self.now)
        self.uploads = UploadStore(self._db, data_dir, self.files, self.now)
        meta = {row["name"]: row["value"] for row in self._db.rows("SELECT name, value FROM meta")}
        if missing := {"store_id", "org_id"} - meta.keys():
            self._db.close()
            raise disk_errors.unreadable(data_dir / DATABASE, f"no {min(missing)}")
        self.store_id: str = meta["store_id"]
        self.org_id: str = meta["org_id"]

    def close(self) -> None:
        """Close the database; nothing may be called afterwards."""
        self._db.close()

    def now(self) -> int:
        """Unix seconds, as every `created_at` has them."""
        return int(self._clock())

    def expire(self) -> None:
        """Give back the space of files and uploads whose time is over. They are answered as gone without this, too."""
        self.uploads.expire()
        self.files.expire()

    def sweep(self) -> None:
        """Remove what a killed server left: torn uploads, blobs and adapters that no row names, rows without a blob."""
        for path in self.incoming.iterdir():
            remove(path)
        self.files.sweep()
        self.uploads.sweep()
        folders = {row[0] for row in self._db.rows("SELECT folder FROM models")}
        for path in self.models_dir.iterdir():
            if path.name not in folders:
                remove(path)

    # jobs

    def create_job(self, new: NewJob, *, idempotency: tuple[str, str] | None = None) -> JobRecord:
        """Add a job in `validating_files`. `idempotency` is a client's key and the digest of what it asked for.

        With a key that was used before, the job it made is returned and none is added; compare
        `JobRecord.idempotency_digest` to see whether it was the same request.
        """
        key, digest = idempotency or (None, None)
        with self._db.change() as db:
            if key is not None:
                found = db.execute("SELECT id FROM jobs WHERE idempotency_key = ?", (key,)).fetchone()
                if found is not None:
                    return self._job_row(found[0])
            job_id = responses.new_id("ftjob-")
            db.execute(
                "INSERT INTO jobs (id, created_at, status, model, model_name, training_file, validation_file, seed,"
                " suffix, metadata, method, asked, idempotency_key, idempotency_digest)"
                " VALUES (:id, :created_at, 'validating_files', :model, :model_name, :training_file, :validation_file,"
                " :seed, :suffix, :metadata, :method, :asked, :key, :digest)",
                {
                    **msgspec.structs.asdict(new),
                    "id": job_id,
                    "created_at": self.now(),
                    "metadata": None if new.metadata is None else _json(new.metadata),
                    "asked": _json(new.hyperparameters),
                    "key": key,
                    "digest": digest,
                },
            )
            self._event(db, job_id, f"Created fine-tuning job: {job_id}")
            self._event(db, job_id, f"Validating training file: {new.training_file}")
            return self._job_row(job_id)

    def job_of_key(self, idempotency_key: str) -> JobRecord | None:
        """The job that was created with a client's key."""
        rows = self._db.rows("SELECT * FROM jobs WHERE idempotency_key = ?", (idempotency_key,))
        return read_job(rows[0]) if rows else None

    def _job_row(self, job_id: str) -> JobRecord:
        return read_job(self._db.rows("SELECT * FROM jobs WHERE id = ?", (job_id,))[0])

    def job(self, job_id: str) -> JobRecord | None:
        """One job."""
        rows = self._db.rows("SELECT * FROM jobs WHERE id = ?", (job_id,))
        return read_job(rows[0]) if rows else None

    def jobs(
        self, *, metadata: dict[str, str], without_metadata: bool, after: str | None, limit: int
    ) -> Page[JobRecord]:
        """A page of the jobs whose metadata has every given pair, or of those that have none."""
        where: list[tuple[str, Sequence[object]]] = [
            (
                "CASE WHEN json_valid(metadata)"
                " THEN EXISTS (SELECT 1 FROM json_each(jobs.metadata) WHERE key = ? AND value = ?) END",
                pair,
            )
            for pair in metadata.items()
        ]
        if without_metadata:
            where.append(("metadata IS NULL", ()))
        return self._db.page("jobs", read_job, where, after=after, limit=limit)

    def count_jobs(self) -> dict[str, int]:
        """How many jobs have each status that any has."""
        return {row[0]: row[1] for row in self._db.rows("SELECT status, count(*) FROM jobs GROUP BY status")}

    def claim(self, status: responses.Status) -> JobRecord | None:
        """Take the oldest job in `status` that nobody holds; nobody else gets it until `release`.

        One whose row is damaged fails, and the next is taken.
        """
        return self._claims.take(status, self._fail)

    def release(self, job_id: str) -> None:
        """Let go of a job that was claimed."""
        self._claims.let_go(job_id)

    def _fail(self, job: JobRecord, error: responses.JobError) -> None:
        text = f"The job failed: {error.message}"
        self.move(job.id, [job.status], "failed", text, level="error", error=error)

    def file_path(self, file_id: str) -> Path:
        """Where the bytes of a job's file lie, if it was not deleted."""
        return self.files.blob(file_id)

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
        """Give a job that is in one of `sources` the status `target`; None, and no change, when it is in none.

        Returns:
            The job as it was at that moment: a thread may have moved it on by the time this returns.
        """
        with self._db.change() as db:
            if not _move(db, job_id, sources, target, self.now(), None if error is None else _json(error)):
                return None
            self._event(db, job_id, message, level=level)
            return self._job_row(job_id)

    # What workers tell. A job that was cancelled may still have one for a moment, and it tells of it: once a job is
    # finished nothing more is written down, so that its story ends with its end.

    @contextlib.contextmanager
    def _unfinished(self, job_id: str) -> Iterator[sqlite3.Connection | None]:
        """A transaction about a job that is not finished; None in its place when it is."""
        with self._db.change() as db:
            (status,) = db.execute("SELECT status FROM jobs WHERE id = ?", (job_id,)).fetchone()
            yield None if status in FINISHED else db

    def begin(self, job_id: str, used: responses.Hyperparameters) -> None:
        """Note what a worker that started (or resumed) trains with."""
        with self._unfinished(job_id) as db:
            if db is not None:
                db.execute("UPDATE jobs SET used = ? WHERE id = ?", (_json(used), job_id))

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
        """Add the metrics of one step and their event, unless the step is known from before a resume.

        Args:
            beside: what the event says beside the metrics.
            remaining_s: how long training is now expected to go on.
        """
        values, finish = {"step": step, **metrics}, self.now() + remaining_s
        with self._unfinished(job_id) as db:
            if db is None:
                return
            added = db.execute("INSERT OR IGNORE INTO metrics VALUES (?, ?, ?)", (job_id, step, _json(values))).rowcount
            db.execute("UPDATE jobs SET estimated_finish = ? WHERE id = ? AND status = 'running'", (finish, job_id))
            if added:
                self._event(db, job_id, message, data={**values, **beside}, kind="metrics")

    def steps(self, job_id: str) -> list[responses.Metrics]:
        """The metrics of every step so far, in order, named as in OpenAI's events."""
        rows = self._db.rows("SELECT step, values_json FROM metrics WHERE job_id = ? ORDER BY step", (job_id,))
        return [{"step": row["step"], **(column(row, "values_json", responses.Metrics) or {})} for row in rows]

    def add_crash(self, job_id: str, how: str) -> list[str]:
        """Note that a job's worker died, such as ``was killed by SIGKILL``; returns how each one died so far."""
        with self._unfinished(job_id) as db:
            if db is None:
                return []
            (row,) = self._db.rows("SELECT id, crashes FROM jobs WHERE id = ?", (job_id,))
            crashes = [*(column(row, "crashes", list[str]) or ()), how]
            db.execute("UPDATE jobs SET crashes = ? WHERE id = ?", (_json(crashes), job_id))
            self._event(db, job_id, f"The training process {how}", level="warn")
            return crashes

    def add_event(
        self, job_id: str, message: str, *, level: responses.Level = "info", data: responses.Metrics | None = None
    ) -> None:
        """Say something about a job, and the numbers in it as data."""
        with self._unfinished(job_id) as db:
            if db is not None:
                self._event(db, job_id, message, level=level, data=data, kind="message")

    def succeed(self, job_id: str, *, adapter: Path, results: bytes, trained_tokens: int) -> bool:
        """End a running job well: its model, its result file and its status, all at once.

        Args:
            adapter: the folder that is taken over.
            results: the result file.

        Returns:
            False, and no change, when the job is no longer running: it was cancelled or paused meanwhile.
        """
        folder = adapters.take(adapter, self.models_dir)
        incoming = self.incoming / responses.new_id("results-")
        durable.write_atomically(incoming, results)
        done = self._succeed(job_id, folder, incoming, trained_tokens)
        if not done:
            shutil.rmtree(self.models_dir / folder)
        return done

    def _succeed(self, job_id: str, folder: str, results: Path, trained_tokens: int) -> bool:
        new = NewFile("step_metrics.csv", "fine-tune-results")
        with self.files.publishing(results, new) as file, self._db.change() as db:
            if not _move(db, job_id, ["running"], "succeeded", self.now(), None):
                self.files.blob(file.id).unlink()
                return False
            self.files.insert(db, file)
            done = (file.id, trained_tokens, job_id)
            db.execute("UPDATE jobs SET result_file = ?, trained_tokens = ? WHERE id = ?", done)
            name = self._add_model(db, job_id, "", folder)
            self._event(db, job_id, f"New fine-tuned model created: {name}")
            self._event(db, job_id, "The job has successfully completed")
        return True

    def _event(
        self,
        db: sqlite3.Connection,
        job_id: str,
        message: str,
        *,
        level: responses.Level = "info",
        data: responses.Metrics | None = None,
        kind: Literal["message", "metrics"] = "message",
    ) -> None:
        text = None if data is None else _json(data)
        db.execute(
            "INSERT INTO events (id, job_id, created_at, level, message, type, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (responses.new_id("ftevent-"), job_id, self.now(), level, message, kind, text),
        )

    def events(self, job_id: str, *, after: str | None, limit: int) -> Page[responses.Event]:
        """A page of a job's events, newest first."""
        return self._db.page("events", read_event, [("job_id = ?", (job_id,))], after=after, limit=limit)

    # checkpoints and models

    def add_checkpoint(self, job_id: str, step: int, adapter: Path) -> None:
        """Keep a copy of an epoch's adapter as a model, unless that step or a later one has a checkpoint.

        They come in order, so that one which is known no more has a later one. KEPT_CHECKPOINTS are kept, and the best.
        """
        if self._db.rows("SELECT 1 FROM checkpoints WHERE job_id = ? AND step >= ?", (job_id, step)):
            return
        folder = adapters.copy(adapter, self.models_dir, self.incoming)
        for unused in self._add_checkpoint(job_id, step, folder):
            shutil.rmtree(self.models_dir / unused, ignore_errors=True)

    def _add_checkpoint(self, job_id: str, step: int, folder: str) -> list[str]:
        """Returns the folders that no model has (any more); of a finished job that is `folder` itself."""
        with self._unfinished(job_id) as db:
            if db is None:
                return [folder]
            name = self._add_model(db, job_id, f":ckpt-step-{step}", folder)
            metrics = db.execute(
                "SELECT values_json FROM metrics WHERE job_id = ? AND step = ?", (job_id, step)
            ).fetchone() or [_json({"step": step})]
            db.execute(
                "INSERT INTO checkpoints (id, job_id, step, created_at, model_name, metrics) VALUES (?, ?, ?, ?, ?, ?)",
                (responses.new_id("ftckpt_"), job_id, step, self.now(), name, metrics[0]),
            )
            self._event(db, job_id, f"Checkpoint created at step {step} with Snapshot ID: {name}")
            wanted = "SELECT seq, model_name, metrics FROM checkpoints WHERE job_id = ? ORDER BY step DESC"
            folders = []
            for seq, model_name in superfluous(db.execute(wanted, (job_id,)).fetchall()):
                db.execute("DELETE FROM checkpoints WHERE seq = ?", (seq,))
                folders += db.execute("DELETE FROM models WHERE name = ? RETURNING folder", (model_name,)).fetchall()
            return [folder for (folder,) in folders]

    def checkpoints(self, job_id: str, *, after: str | None, limit: int) -> Page[responses.Checkpoint]:
        """A page of a job's checkpoints, newest first."""
        return self._db.page("checkpoints", read_checkpoint, [("job_id = ?", (job_id,))], after=after, limit=limit)

    def _add_model(self, db: sqlite3.Connection, job_id: str, ending: str, folder: str) -> str:
        (name,) = db.execute(
            "INSERT INTO models SELECT model_name || ?, id, model, ?, ?, ? FROM jobs WHERE id = ? RETURNING name",
            (ending, folder, self.now(), int(bool(ending)), job_id),
        ).fetchone()
        return str(name)

    def model(self, name: str) -> ModelRecord | None:
        """One tuned model or checkpoint."""
        rows = self._db.rows("SELECT * FROM models WHERE name = ?", (name,))
        return read_model(rows[0]) if rows else None

    def adapter_path(self, name: str) -> Path | None:
        """Where the adapter of a model or checkpoint lies."""
        rows = self._db.rows("SELECT folder FROM models WHERE name = ?", (name,))
        return self.models_dir / rows[0]["folder"] if rows else None

    def models(self) -> list[ModelRecord]:
        """The tuned models, newest first; checkpoints are not among them."""
        rows = self._db.rows("SELECT * FROM models WHERE is_checkpoint = 0 ORDER BY created_at DESC, name")
        return [read_model(row) for row in rows]

    def delete_model(self, name: str) -> list[Path]:
        """Forget a tuned model with its checkpoints, or one checkpoint; returns the adapters that are gone."""
        with self._db.change() as db:
            found = db.execute("SELECT job_id, is_checkpoint FROM models WHERE name = ?", (name,)).fetchone()
            if found is None:
                return []
            column, value = ("name", name) if found[1] else ("job_id", found[0])
            folders = db.execute(f"DELETE FROM models WHERE {column} = ? RETURNING folder", (value,)).fetchall()
        gone = [self.models_dir / folder for (folder,) in folders]
        for adapter in gone:
            shutil.rmtree(adapter, ignore_errors=True)
        return gone


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _move(
    db: sqlite3.Connection,
    job_id: str,
    sources: Iterable[responses.Status],
    target: responses.Status,
    now: int,
    error: str | None,
) -> bool:
    allowed = list(sources)
    finished_at = now if target in FINISHED else None
    return (
        db.execute(
            f"UPDATE jobs SET status = ?, finished_at = ?, error = ?, estimated_finish = NULL,"
            f" validated = validated OR ? WHERE id = ? AND status IN ({', '.join('?' * len(allowed))})",
            (target, finished_at, error, target == "queued", job_id, *allowed),
        ).rowcount
        == 1
    )
