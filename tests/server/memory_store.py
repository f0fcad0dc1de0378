"""A store in memory: proof that nothing outside storage/ knows what the store is made of."""

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from msgspec.structs import asdict, replace

from pipeline.server import responses
from pipeline.server.interfaces import StorageError
from pipeline.server.records import FINISHED, KEPT_CHECKPOINTS, JobRecord, ModelRecord, NewFile, NewJob, Page
from tests.server.memory_files import MemoryFiles, MemoryUploads, page_of


class MemoryStore:
    """Both interfaces of a store. What others must find on a disk is written below `folder` for them."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.org_id = responses.new_id("org-")
        self.incoming, self._disk = folder / "incoming", folder / "disk"
        for each in (self.incoming, self._disk):
            each.mkdir(parents=True)
        self._lock = threading.RLock()
        self._now: Callable[[], int] = lambda: int(clock())
        self.files = MemoryFiles(self._lock, self._now)
        self.uploads = MemoryUploads(self._lock, self._now, self.files)
        self._jobs: dict[str, JobRecord] = {}
        self._by_key: dict[str, str] = {}
        self._claimed: set[str] = set()
        self._events: dict[str, list[responses.Event]] = {}
        self._steps: dict[str, list[responses.Metrics]] = {}
        self._crashes: dict[str, list[str]] = {}
        self._checkpoints: dict[str, list[responses.Checkpoint]] = {}
        self._models: dict[str, tuple[str, ModelRecord, Path]] = {}  # by name: its job, itself, its adapter

    def expire(self) -> None:
        self.files.expire()
        self.uploads.expire()

    # what the routes ask

    def create_job(self, new: NewJob, *, idempotency: tuple[str, str] | None = None) -> JobRecord:
        key, digest = idempotency or (None, None)
        with self._lock:
            if key in self._by_key:
                return self._jobs[self._by_key[key]]
            if any(job.model_name == new.model_name for job in self._jobs.values()):
                raise StorageError
            unknown = ("used", "error", "result_file", "finished_at", "trained_tokens", "estimated_finish")
            fields: dict[str, Any] = {**asdict(new), **dict.fromkeys(unknown)}
            job = JobRecord(
                id=responses.new_id("ftjob-"),
                created_at=self._now(),
                status="validating_files",
                asked=fields.pop("hyperparameters"),
                validated=False,
                idempotency_digest=digest,
                **fields,
            )
            self._jobs[job.id] = job
            self._events[job.id], self._steps[job.id] = [], []
            self._crashes[job.id], self._checkpoints[job.id] = [], []
            if key is not None:
                self._by_key[key] = job.id
            self._say(job.id, f"Created fine-tuning job: {job.id}")
            self._say(job.id, f"Validating training file: {new.training_file}")
            return job

    def job_of_key(self, idempotency_key: str) -> JobRecord | None:
        return self._jobs.get(self._by_key.get(idempotency_key, ""))

    def job(self, job_id: str) -> JobRecord | None:
        return self._jobs.get(job_id)

    def jobs(
        self, *, metadata: dict[str, str], without_metadata: bool, after: str | None, limit: int
    ) -> Page[JobRecord]:
        def is_wanted(job: JobRecord) -> bool:
            has_all = metadata.items() <= (job.metadata or {}).items()
            return has_all and not (without_metadata and job.metadata is not None)

        with self._lock:
            return page_of(self._jobs.values(), is_wanted, after=after, limit=limit)

    def count_jobs(self) -> dict[str, int]:
        with self._lock:
            return dict(Counter(job.status for job in self._jobs.values()))

    def events(self, job_id: str, *, after: str | None, limit: int) -> Page[responses.Event]:
        with self._lock:
            return page_of(self._events[job_id], lambda _: True, after=after, limit=limit)

    def checkpoints(self, job_id: str, *, after: str | None, limit: int) -> Page[responses.Checkpoint]:
        with self._lock:
            return page_of(self._checkpoints[job_id], lambda _: True, after=after, limit=limit)

    def model(self, name: str) -> ModelRecord | None:
        found = self._models.get(name)
        return None if found is None else found[1]

    def adapter_path(self, name: str) -> Path | None:
        found = self._models.get(name)
        return None if found is None else found[2]

    def models(self) -> list[ModelRecord]:
        with self._lock:
            tuned = [model for owner, model, _ in self._models.values() if model.name == self._jobs[owner].model_name]
        return sorted(tuned, key=lambda model: (-model.created_at, model.name))

    def delete_model(self, name: str) -> list[Path]:
        with self._lock:
            if name not in self._models:
                return []
            owner = self._models[name][0]
            whole = name == self._jobs[owner].model_name
            gone = [each for each, (of, *_) in self._models.items() if each == name or (whole and of == owner)]
            return [self._forget(each) for each in gone]

    def _forget(self, name: str) -> Path:
        adapter = self._models.pop(name)[2]
        shutil.rmtree(adapter)
        return adapter

    # what the queue asks

    def claim(self, status: responses.Status) -> JobRecord | None:
        with self._lock:
            for job in self._jobs.values():
                if job.status == status and job.id not in self._claimed:
                    self._claimed.add(job.id)
                    return job
        return None

    def release(self, job_id: str) -> None:
        self._claimed.discard(job_id)

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
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None or job.status not in sources:
                return None
            self._jobs[job_id] = moved = replace(
                job,
                status=target,
                finished_at=self._now() if target in FINISHED else None,
                error=error,
                estimated_finish=None,
                validated=job.validated or target == "queued",
            )
            self._say(job_id, message, level=level)
            return moved

    def file_path(self, file_id: str) -> Path:
        path = self._disk / file_id
        with self._lock:
            path.unlink(missing_ok=True)
            if file_id in self.files.contents:
                path.write_bytes(self.files.contents[file_id])
        return path

    def _is_over(self, job_id: str) -> bool:
        return self._jobs[job_id].status in FINISHED

    def begin(self, job_id: str, used: responses.Hyperparameters) -> None:
        with self._lock:
            if not self._is_over(job_id):
                self._jobs[job_id] = replace(self._jobs[job_id], used=used)

    def add_event(
        self, job_id: str, message: str, *, level: responses.Level = "info", data: responses.Metrics | None = None
    ) -> None:
        with self._lock:
            if not self._is_over(job_id):
                self._say(job_id, message, level=level, data=data)

    def _say(
        self,
        job_id: str,
        message: str,
        *,
        level: responses.Level = "info",
        kind: Literal["message", "metrics"] = "message",
        data: responses.Metrics | None = None,
    ) -> None:
        event = responses.Event(responses.new_id("ftevent-"), self._now(), level, message, kind, data)
        self._events[job_id].append(event)

    def add_crash(self, job_id: str, how: str) -> list[str]:
        with self._lock:
            if self._is_over(job_id):
                return []
            self._crashes[job_id].append(how)
            self._say(job_id, f"The training process {how}", level="warn")
            return [*self._crashes[job_id]]

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
        values: responses.Metrics = {"step": step, **metrics}
        with self._lock:
            if self._is_over(job_id):
                return
            if self._jobs[job_id].status == "running":
                self._jobs[job_id] = replace(self._jobs[job_id], estimated_finish=self._now() + remaining_s)
            if step not in [known["step"] for known in self._steps[job_id]]:
                self._steps[job_id].append(values)
                self._say(job_id, message, kind="metrics", data={**values, **beside})

    def steps(self, job_id: str) -> list[responses.Metrics]:
        with self._lock:
            return sorted(self._steps[job_id], key=lambda values: values["step"])

    def add_checkpoint(self, job_id: str, step: int, adapter: Path) -> None:
        with self._lock:
            points = self._checkpoints[job_id]
            if self._is_over(job_id) or (points and points[-1].step_number >= step):
                return
            name = self._keep_model(job_id, f":ckpt-step-{step}", adapter)
            (metrics,) = [known for known in self._steps[job_id] if known["step"] == step] or [{"step": step}]
            points.append(responses.Checkpoint(responses.new_id("ftckpt_"), self._now(), name, job_id, step, metrics))
            self._say(job_id, f"Checkpoint created at step {step} with Snapshot ID: {name}")
            measured = [point for point in points if "valid_loss" in point.metrics]
            best = min(measured, key=lambda point: point.metrics["valid_loss"], default=None)
            for old in [point for point in points[:-KEPT_CHECKPOINTS] if point is not best]:
                points.remove(old)
                self._forget(old.fine_tuned_model_checkpoint)

    def _keep_model(self, job_id: str, ending: str, adapter: Path) -> str:
        job, kept = self._jobs[job_id], self._disk / responses.new_id("model-")
        shutil.copytree(adapter, kept)
        name = f"{job.model_name}{ending}"
        self._models[name] = (job_id, ModelRecord(name, job.model, self._now()), kept)
        return name

    def succeed(self, job_id: str, *, adapter: Path, results: bytes, trained_tokens: int) -> bool:
        with self._lock:
            if self._jobs[job_id].status != "running":
                return False
            name = self._keep_model(job_id, "", adapter)
            self.move(job_id, ["running"], "succeeded", f"New fine-tuned model created: {name}")
            file = self.files.keep(results, NewFile("step_metrics.csv", "fine-tune-results"))
            self._jobs[job_id] = replace(self._jobs[job_id], result_file=file.id, trained_tokens=trained_tokens)
            self._say(job_id, "The job has successfully completed")
            return True
