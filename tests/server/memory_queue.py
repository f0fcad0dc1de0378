"""A queue in memory: whoever wakes it checks and trains, with the scripted trainer and no process of its own."""

import shutil
import threading
from collections.abc import Callable

from pipeline.errors import InputError
from pipeline.server import responses
from pipeline.server.interfaces import QueueStore
from pipeline.server.queue.recorder import Recorder
from pipeline.server.queue.specs import spec_of
from pipeline.server.queue.validation import MIN_EXAMPLES, check_training_file
from pipeline.server.records import JobRecord
from pipeline.server.settings import ServerSettings
from pipeline.training import scripted
from pipeline.training.protocol import Checkpoint, Report, Started, Step, Succeeded


class MemoryQueue:
    def __init__(self, settings: ServerSettings, store: QueueStore) -> None:
        self._settings, self._store = settings, store
        self._is_open = False

    def start(self) -> None:
        self._is_open = True
        while (job := self._store.claim("running")) is not None:
            self._store.move(job.id, ["running"], "queued", "The server was stopped; training begins again")
            self._store.release(job.id)
        self.wake()

    def close(self) -> None:
        self._is_open = False

    def kill(self) -> None:
        self.close()

    def is_alive(self) -> bool:
        return self._is_open

    def wake(self) -> None:
        self._work_on("validating_files", self._check)
        self._work_on("queued", self._train)

    def _work_on(self, status: responses.Status, work: Callable[[JobRecord], None]) -> None:
        while self._is_open and (job := self._store.claim(status)) is not None:
            work(job)
            self._store.release(job.id)

    def cancel(self, job_id: str) -> JobRecord | None:
        alive: list[responses.Status] = ["validating_files", "queued", "running", "paused"]
        return self._store.move(job_id, alive, "cancelled", "The job has been cancelled")

    def pause(self, job_id: str) -> JobRecord | None:
        return self._store.move(job_id, ["validating_files", "queued", "running"], "paused", "The job has been paused")

    def resume(self, job_id: str) -> JobRecord | None:
        job = self._store.job(job_id)
        target: responses.Status = "queued" if job is not None and job.validated else "validating_files"
        moved = self._store.move(job_id, ["paused"], target, "The job has been resumed")
        self.wake()
        return moved

    def _check(self, job: JobRecord) -> None:
        for file_id, param, least in (
            (job.training_file, "training_file", MIN_EXAMPLES),
            (job.validation_file, "validation_file", 1),
        ):
            if file_id is not None:
                path = self._store.file_path(file_id)
                if wrong := check_training_file(path, param, least, job.method, lambda: False):
                    return self._fail(job.id, wrong)
        message = "Files validated, moving job to queued state"
        self._store.move(job.id, ["validating_files"], "queued", message)
        return None

    def _fail(self, job_id: str, error: responses.JobError) -> None:
        message = f"The job failed: {error.message}"
        self._store.move(job_id, ["validating_files", "running"], "failed", message, level="error", error=error)

    def _train(self, job: JobRecord) -> None:
        if self._store.move(job.id, ["queued"], "running", "Fine-tuning job started") is None:
            return
        folder = self._settings.data_dir / "jobs" / job.id
        folder.mkdir(parents=True)
        recorder = Recorder(self._store, job.id, folder)

        def tell(report: Report) -> None:
            match report:
                case Started():
                    recorder.started(report)
                case Step():
                    recorder.step(report)
                case Checkpoint():
                    recorder.checkpoint(report)
                case Succeeded():
                    recorder.succeeded(report)

        try:
            scripted.train(spec_of(job, self._store, self._settings, folder), tell, threading.Event())
        except InputError as error:
            self._fail(job.id, responses.JobError("invalid_training_file", str(error), None))
        shutil.rmtree(folder)
