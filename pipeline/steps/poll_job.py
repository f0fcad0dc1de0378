"""Step 9: wait for the tuned model, and show how the training goes."""

from typing import TYPE_CHECKING

from pipeline.config import Config
from pipeline.durable import Artifact, atomic_writer
from pipeline.errors import BackendFailed
from pipeline.polling import pace_of, wait_until
from pipeline.steps.outputs import CreateJob, PollJob
from pipeline.steps.step import Step, Work

if TYPE_CHECKING:
    import openai
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

METRICS = "09_metrics.csv"
ENDED = ("succeeded", "failed", "cancelled")
_PAGE = 50


def run(config: Config, created: CreateJob, work: Work) -> PollJob:
    """Poll the job until it has ended; save its metrics.

    Raises:
        BackendFailed: it failed or was cancelled; carries the server's error.
    """
    profile = work.connection.profile
    watch = _Watch(created.job, work)
    job = wait_until(
        "poll_job",
        watch.look,
        lambda job: job.status in ENDED,
        pace=pace_of(config.poll_job, profile.interval_s, profile.max_interval_s),
        clock=work.clock,
        go_on=work.go_on,
        complain=work.display.note,
    )
    if job.status != "succeeded" or job.fine_tuned_model is None:
        raise _ended_badly(job, work)
    return PollJob(job.fine_tuned_model, job.trained_tokens, _save_metrics(job, work))


class _Watch:
    """Looks at a job and shows what is new about it."""

    def __init__(self, job_id: str, work: Work) -> None:
        self._job_id = job_id
        self._work = work
        self._shown: set[str] = set()
        self._status: str | None = None
        self._started = work.clock.monotonic()
        self._step = self._steps = 0

    def look(self) -> "FineTuningJob":
        job = self._work.connection.look("poll_job", lambda client: client.fine_tuning.jobs.retrieve(self._job_id))
        events = self._work.connection.look("poll_job", self._new_events)
        for event in events:
            self._show(event)
        if job.status != self._status:
            self._status = job.status
            if job.status not in ENDED:
                self._work.display.note(f"{self._job_id} is {job.status}")
        return job

    def _new_events(self, client: "openai.OpenAI") -> "list[FineTuningJobEvent]":
        """Events not shown yet, oldest first. The listing is newest first."""
        fresh = []
        for event in client.fine_tuning.jobs.list_events(self._job_id, limit=_PAGE):
            if event.id in self._shown:
                break
            fresh.append(event)
        self._shown.update(event.id for event in fresh)
        return fresh[::-1]

    def _show(self, event: "FineTuningJobEvent") -> None:
        data = event.data if isinstance(event.data, dict) else {}
        step, total, loss = data.get("step"), data.get("total_steps"), data.get("train_loss")
        if event.type == "metrics" and isinstance(step, int) and isinstance(loss, int | float):
            self._step, self._steps = step, total if isinstance(total, int) else 0
            of = f"/{self._steps}" if self._steps else ""
            elapsed = self._work.clock.monotonic() - self._started
            text = f"step {step}{of}  loss {loss:.3f}{_valid(data.get('valid_loss'))}  {elapsed:.0f} s"
            self._work.display.progress(step, self._steps or None, text)
        else:
            self._work.display.note(event.message)


def _valid(loss: object) -> str:
    return f"  valid loss {loss:.3f}" if isinstance(loss, int | float) else ""


def _ended_badly(job: "FineTuningJob", work: Work) -> BackendFailed:
    code, message = (job.error.code, job.error.message) if job.error and job.error.code else (None, None)
    reason = f"{code}: {message}" if code else "no reason given"
    again = "A job costs nothing here: run again to start another."
    if not work.connection.profile.free:
        again = "Change what it names, then start another with --new-job (it is a new purchase)."
    return BackendFailed("poll_job", f"{job.id} {_ENDED_AS.get(job.status, job.status)} ({reason})", fix=again)


_ENDED_AS = {"failed": "failed", "cancelled": "was cancelled", "succeeded": "succeeded without a model"}


def _save_metrics(job: "FineTuningJob", work: Work) -> Artifact | None:
    """The result file as 09_metrics.csv; None where the backend keeps none."""
    if not job.result_files:
        return None
    content = work.connection.ask("poll_job", lambda client: client.files.content(job.result_files[0]).read())
    with atomic_writer(work.run_dir / METRICS) as file:
        file.write(content)
    return Artifact(METRICS, file.sha256, file.size)


STEP = Step(
    name="poll_job",
    version=1,
    needs=("create_job",),
    declares=(),
    also_reads=("poll_job",),
    output=PollJob,
    run=run,
    remote=True,
    spoils="create_job",
)
