"""The queue and its workers: takes jobs from the store, has them checked and trained, and lets go of them.

One thread checks files; `workers` threads train, each with one worker process at a time. The store decides what a
job's status is and the threads only act on it, so cancelling and pausing take effect at once, whatever a thread does.
"""

import contextlib
import shutil
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from pipeline import durable
from pipeline.server import disk_errors, responses
from pipeline.server.interfaces import QueueStore, StorageError
from pipeline.server.logs import kind_of, log_failure
from pipeline.server.queue.recorder import Recorder
from pipeline.server.queue.specs import spec_of
from pipeline.server.queue.validation import MIN_EXAMPLES, check_training_file, was_deleted
from pipeline.server.queue.worker import FolderBusy, Worker
from pipeline.server.records import FINISHED, JobRecord
from pipeline.server.settings import ServerSettings
from pipeline.training.protocol import Checkpoint, Failed, Started, Step, Stopped, Succeeded

MAX_CRASHES = 3
PAUSE_GRACE_S = 40.0  # a step of a large model on a slow machine, and its checkpoint
CANCEL_GRACE_S = 10.0
RECOVERY_S = 1.0  # before the next try, when the machine itself failed
LONGEST_RECOVERY_S = 30.0  # once it has failed again and again
FOLDER_WAIT_S = 60.0  # how long a worker orphaned by a killed server may take to notice and leave

T = TypeVar("T")


class Run:
    """A job in the hands of a thread."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.stopped = threading.Event()
        self._grace_s = 0.0
        self._worker: Worker | None = None
        self._lock = threading.Lock()

    def attach(self, worker: Worker) -> None:
        """From now on `stop` and `kill` reach this worker."""
        with self._lock:
            self._worker = worker
            if self.stopped.is_set():
                worker.stop(self._grace_s)

    def stop(self, grace_s: float) -> None:
        """Have the thread let go of the job; its worker gets `grace_s` seconds to checkpoint and leave."""
        with self._lock:
            self._grace_s = grace_s
            self.stopped.set()
            if self._worker is not None:
                self._worker.stop(grace_s)

    def kill(self) -> None:
        """End the worker at once."""
        with self._lock:
            self.stopped.set()
            if self._worker is not None:
                self._worker.kill()


class Supervisor:
    """Moves jobs along until they are finished."""

    def __init__(self, settings: ServerSettings, store: QueueStore) -> None:
        self._settings = settings
        self._store = store
        self._jobs_dir = durable.make_private_dir(settings.data_dir / "jobs")
        self._changed = threading.Condition()
        self._runs: dict[str, Run] = {}
        self._closing = threading.Event()
        self._refused: set[int] = set()  # threads whose last try at the store went wrong
        loops = [self._check_files, *([self._train_jobs] * settings.workers)]
        self._threads = [threading.Thread(target=loop, name=loop.__name__.strip("_"), daemon=True) for loop in loops]

    def recover(self) -> None:
        """Take up what an earlier server left."""
        while (job := self._store.claim("running")) is not None:
            message = "The server was stopped; training goes on from its last checkpoint"
            self._store.move(job.id, ["running"], "queued", message, level="warn")
            self._store.release(job.id)
        for folder in self._jobs_dir.iterdir():
            job_or_none = self._store.job(folder.name)
            if job_or_none is None or job_or_none.status in FINISHED:
                self._clear(folder.name)

    def start(self) -> None:
        """Begin to serve the queue."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Have every worker checkpoint and leave; their jobs go back to the queue."""
        with self._changed:
            self._closing.set()
            for run in self._runs.values():
                run.stop(PAUSE_GRACE_S)
            self._changed.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def kill(self) -> None:
        """End every worker at once: the process is about to exit."""
        for run in list(self._runs.values()):
            run.kill()

    def is_alive(self) -> bool:
        """Whether every thread is at work, none was told to end, and the store takes what they must write down."""
        return not self._closing.is_set() and not self._refused and all(thread.is_alive() for thread in self._threads)

    # what the routes ask for

    def wake(self) -> None:
        """There may be something to do."""
        with self._changed:
            self._changed.notify_all()

    def cancel(self, job_id: str) -> JobRecord | None:
        """Cancel a job and remove what it made so far; None if it is finished."""
        alive: list[responses.Status] = ["validating_files", "queued", "running", "paused"]
        moved = self._store.move(job_id, alive, "cancelled", "The job has been cancelled")
        if moved and not self._let_go(job_id, CANCEL_GRACE_S):
            self._clear(job_id)
        return moved

    def pause(self, job_id: str) -> JobRecord | None:
        """Checkpoint a job and hold it until it is resumed; None if it is finished or paused already."""
        moved = self._store.move(job_id, ["validating_files", "queued", "running"], "paused", "The job has been paused")
        if moved:
            self._let_go(job_id, PAUSE_GRACE_S)
        return moved

    def resume(self, job_id: str) -> JobRecord | None:
        """Put a paused job back where it was paused; None if it is not paused."""
        job = self._store.job(job_id)
        target: responses.Status = "queued" if job is not None and job.validated else "validating_files"
        moved = self._store.move(job_id, ["paused"], target, "The job has been resumed")
        self.wake()
        return moved

    def _let_go(self, job_id: str, grace_s: float) -> bool:
        """Stop the run of a job, if there is one; it clears up after itself."""
        with self._changed:
            run = self._runs.get(job_id)
        if run is not None:
            run.stop(grace_s)
        return run is not None

    # the threads

    def _check_files(self) -> None:
        while (run := self._insist(lambda: self._take("validating_files"))) is not None:
            self._hold(run, self._check)

    def _train_jobs(self) -> None:
        while (run := self._insist(lambda: self._take("queued"))) is not None:
            self._hold(run, self._train)

    def _insist(self, act: Callable[[], T]) -> T | None:
        """Do what the store must take, however long its disk is full or broken; None once the server is closing.

        Whatever is raised: a thread that ended here would leave its jobs waiting until the next start.
        """
        me = threading.get_ident()
        try:
            while True:
                try:
                    return act()
                except Exception as error:  # noqa: BLE001
                    if me not in self._refused:
                        log_failure("the store, from now on once a second", error)
                    self._refused.add(me)
                if self._closing.wait(RECOVERY_S):
                    return None
        finally:
            self._refused.discard(me)

    def _take(self, status: responses.Status) -> Run | None:
        """Wait for a job in `status` and claim it; None once the server is closing."""
        with self._changed:
            while not self._closing.is_set():
                job = self._store.claim(status)
                self._refused.discard(threading.get_ident())
                if job is not None:
                    run = self._runs[job.id] = Run(job.id)
                    return run
                self._changed.wait()
            return None

    def _hold(self, run: Run, work: Callable[[Run], None]) -> None:
        """Do `work`, whatever comes of it, and let go of the job."""
        try:
            work(run)
        except Exception as error:  # noqa: BLE001  a bug, say: the thread must live on for other jobs
            # and nobody may wait for this one for ever.
            log_failure(f"job {run.job_id}", error)
            if disk_errors.shortage(error) is None:
                what = disk_errors.problem(error) or f"the server failed ({kind_of(error)})"
                message = f"{what[0].upper()}{what[1:]}; its log says where."
                self._insist(lambda: self._fail(run.job_id, "server_error", message))
            else:  # it is taken again
                run.stopped.wait(RECOVERY_S)
                self._insist(lambda: self._store.move(run.job_id, ["running"], "queued", "The job is tried again"))
        self._insist(lambda: self._release(run))
        self._insist(lambda: self._clear_if_finished(run.job_id))

    def _release(self, run: Run) -> None:
        with self._changed:
            self._store.release(run.job_id)
            del self._runs[run.job_id]
            self._changed.notify_all()

    def _clear_if_finished(self, job_id: str) -> None:
        job = self._store.job(job_id)
        if job is None or job.status in FINISHED:
            self._clear(job_id)

    def _check(self, run: Run) -> None:
        job = self._job(run)
        wrong = None
        for file_id, param, least in (
            (job.training_file, "training_file", MIN_EXAMPLES),
            (job.validation_file, "validation_file", 1),
        ):
            if wrong is None and file_id is not None:
                path = self._store.file_path(file_id)
                wrong = check_training_file(path, param, least, job.method, run.stopped.is_set)
        if run.stopped.is_set():
            return
        if wrong is not None:
            self._fail(run.job_id, wrong.code, wrong.message, wrong.param)
            return
        message = "Files validated, moving job to queued state"
        self._insist(lambda: self._store.move(run.job_id, ["validating_files"], "queued", message))

    def _train(self, run: Run) -> None:
        if not self._insist(lambda: self._store.move(run.job_id, ["queued"], "running", "Fine-tuning job started")):
            return
        crashes: list[str] = []
        short = 0
        while not run.stopped.is_set() and len(crashes) < MAX_CRASHES:
            try:
                death = self._attempt(run)
            except (OSError, StorageError, MemoryError) as error:
                if (lacking := disk_errors.shortage(error)) is not None:
                    self._wait_for_machine(run, lacking, error, short)
                    short += 1
                    continue
                if (problem := disk_errors.problem(error)) is None:
                    raise
                log_failure(f"job {run.job_id}", error)
                death = f"was ended: {problem}"
            if death is None:
                return
            short = 0
            if not run.stopped.is_set():
                crashes = self._insist(partial(self._store.add_crash, run.job_id, death)) or []
                run.stopped.wait(RECOVERY_S)
        if len(crashes) >= MAX_CRASHES:
            self._insist(lambda: self._fail(run.job_id, "training_crashed", _explain(crashes)))
        elif self._closing.is_set():
            message = "The server is stopping; training goes on from its last checkpoint when it starts again"
            self._insist(lambda: self._store.move(run.job_id, ["running"], "queued", message))

    def _wait_for_machine(self, run: Run, lacking: str, error: BaseException, times: int) -> None:
        """Hold a job, which is not to blame, until the next try; its first time is told among its events."""
        if not times:
            log_failure(f"job {run.job_id}, which is tried again", error)
            message = f"The server is short of something ({lacking}); the training is tried again until it is not"
            self._insist(lambda: self._store.add_event(run.job_id, message, level="warn"))
        run.stopped.wait(min(RECOVERY_S * 2**times, LONGEST_RECOVERY_S))

    def _attempt(self, run: Run) -> str | None:
        """Run one worker to its end; None when the job needs no other, else how the worker died."""
        job = self._job(run)
        for file_id, param in ((job.training_file, "training_file"), (job.validation_file, "validation_file")):
            if file_id is not None and not self._store.file_path(file_id).exists():
                self._fail(job.id, f"invalid_{param}", was_deleted(param), param)
                return None
        worker = self._spawn(run, job)
        if worker is None:
            return "was not started"
        recorder = Recorder(self._store, job.id, self._jobs_dir / job.id)
        try:
            for report in worker.reports():
                match report:
                    case Started():
                        recorder.started(report)
                    case Step():
                        recorder.step(report)
                    case Checkpoint():
                        recorder.checkpoint(report)
                    case Succeeded():
                        recorder.succeeded(report)
                        return None
                    case Failed():
                        self._fail(job.id, report.code, report.message, report.param)
                        return None
                    case Stopped():
                        break
        except BaseException:
            worker.kill()
            raise
        finally:
            death = worker.wait()
        return death

    def _spawn(self, run: Run, job: JobRecord) -> Worker | None:
        """Start a worker once an orphan of a killed server has left the job's folder; None when told to stop."""
        folder = durable.make_private_dir(self._jobs_dir / job.id)
        spec = spec_of(job, self._store, self._settings, folder)
        pause_s = 0.02
        for _ in range(int(FOLDER_WAIT_S / pause_s)):
            try:
                worker = Worker(spec)
            except FolderBusy:
                if run.stopped.wait(pause_s):
                    return None
                continue
            run.attach(worker)
            return worker
        raise TimeoutError(f"the folder of {job.id} stays busy")

    def _job(self, run: Run) -> JobRecord:
        job = self._store.job(run.job_id)
        if job is None:
            raise LookupError(run.job_id)  # rows of jobs are never deleted
        return job

    def _fail(self, job_id: str, code: str, message: str, param: str | None = None) -> None:
        error = responses.JobError(code, message, param)
        text = f"The job failed: {message}"
        self._store.move(job_id, ["validating_files", "queued", "running"], "failed", text, level="error", error=error)

    def _clear(self, job_id: str) -> None:
        """Remove the working files of a finished job; of a failed one the worker's log stays."""
        folder = self._jobs_dir / job_id
        job = self._store.job(job_id)
        if job is None or job.status != "failed":
            shutil.rmtree(folder, ignore_errors=True)
            return
        with contextlib.suppress(OSError):  # the next start tries again
            for path in folder.iterdir() if folder.is_dir() else ():
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name != "worker.log":
                    path.unlink()


def _explain(deaths: list[str]) -> str:
    """Say how a job's workers died, once if all died alike."""
    times = {2: "twice", 3: "three times"}.get(len(deaths), f"{len(deaths)} times")
    log = "Its log is worker.log in the job's folder."
    if len(set(deaths)) > 1:
        return f"the training process died {times}: it {', then '.join(deaths)}. {log}"
    often = " (often: out of memory)" if deaths[0] == "was killed by SIGKILL" else ""
    return f"the training process {deaths[0]} {times}{often}. {log}"
