"""Step 9: wait for the tuned model, and show how the training goes."""

import base64
import binascii
import codecs
import contextlib
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from pipeline.backends.epochs import Epoch, measured_epochs
from pipeline.backends.ledger import ENDED
from pipeline.backends.listing import EndlessList, NoList, age, rows
from pipeline.backends.polling import Reminder, pace_of, wait_until
from pipeline.config.settings import Config
from pipeline.durable import Artifact, atomic_writer
from pipeline.errors import BackendFailed, FinetuneError, InputError, MakesNoSense, RemoteEnded
from pipeline.network import Transient
from pipeline.steps.outputs import Consumed, Convert, CreateJob, Kept, PollJob
from pipeline.steps.step import Step, Work
from pipeline.wording import about, counted

if TYPE_CHECKING:
    import openai
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

METRICS = "09_metrics.csv"
EVENTS = "09_events.jsonl"
KNOWN = ("validating_files", "queued", "running", "paused", "pending", "pausing", "resuming", *ENDED)
_PAGE = 50
_STEP = (b"step,", b'"step"')
_LATELY_S = 30
_QUOTED = 200  # characters
_ROOM = 1_000_000  # bytes on a disk; with less, a store cannot take what comes


def run(config: Config, created: CreateJob, converted: Convert, work: Work) -> PollJob:
    """Poll the job until it has ended; save its metrics; remove the files from the backend if `upload.cleanup` says so.

    Raises:
        RemoteEnded: it failed or was cancelled; carries the server's error.
    """
    profile = work.connection.profile
    watch = _Watch(config, created, converted, work)
    job = wait_until(
        "poll_job",
        watch.look,
        lambda job: job.status in ENDED,
        pace=pace_of(config.poll_job, profile.interval_s, profile.max_interval_s),
        clock=work.clock,
        go_on=work.go_on,
        complain=work.display.note,
    )
    if job.status != "succeeded":
        raise _ended_badly(job, work)
    model, kept = job.fine_tuned_model or job.id, None
    if config.poll_job.keep == "best" and converted.valid is not None:
        model, kept = _best_epoch(job, model, work)
    metrics = _save_metrics(job, work)
    if config.upload.cleanup:
        _remove_files(created, work)
    return PollJob(model, job.trained_tokens, metrics, _save_events(watch.events, work), watch.consumed, kept)


class _Watch:
    """Looks at a job and shows what is new about it.

    Attributes:
        events: all of them so far, oldest first.
        consumed: what the trainer took, where it says so.
    """

    def __init__(self, config: Config, created: CreateJob, converted: Convert, work: Work) -> None:
        self._config = config
        self._created = created
        self._converted = converted
        self.consumed: Consumed | None = None
        self._job_id = created.job
        self._work = work
        self.events: list[FineTuningJobEvent] = []
        self._shown: set[str] = set()
        self._status: str | None = None
        self._started = self._moved = work.clock.monotonic()
        self._told_stuck = False
        self._reminder = Reminder(work.clock)
        self._told_full = False
        self._heard = ""
        self._told: set[str] = set()
        self._pace: deque[tuple[int, int]] = deque()
        self._told_until = int(work.clock.now().timestamp()) if work.goes_on else 0

    def look(self) -> "FineTuningJob":
        job = self._retrieve()
        events: list[FineTuningJobEvent] = []
        with self._aside("events"):
            events = self._work.connection.look("poll_job", self._new_events)
        # Kept before anything else can fail: they are not listed as new again.
        self.events += events
        for event in self._worth_telling(events):
            self._show(event)
        if events:
            self._has_moved()
        with self._aside("twins"):
            job = self._mind_others(job)
        if job.status != self._status:
            self._status = job.status
            self._has_moved()
            if job.status not in ENDED:
                unheard = "" if job.status in KNOWN else ", a status that this version does not know; waiting on"
                self._work.display.note(f"{self._job_id} is {job.status}{unheard}")
        elif not events and job.status not in ENDED:
            self._remind(job.status)
            self._notice_if_stuck(job.status)
        return job

    def _remind(self, status: str) -> None:
        """Say from time to time what is waited for, and where it is seen, why; a full disk at once."""
        waited = self._reminder.due_after()
        why = f"; the last that it said: {self._heard}" if self._heard else ""
        is_full = self._work.connection.profile.free and shutil.disk_usage(self._work.run_dir).free < _ROOM
        if is_full:
            why = f"; the disk that {self._work.run_dir} is on is full: free some space there, and it goes on"
        if is_full and not self._told_full and waited is None:
            waited = self._work.clock.monotonic() - self._moved
        self._told_full = is_full
        if waited is None:
            return
        self._work.display.note(f"{self._job_id} is still {status}, and has been silent for {about(waited)}{why}")

    def _has_moved(self) -> None:
        self._reminder.begin()
        self._moved, self._told_stuck = self._work.clock.monotonic(), False

    @contextlib.contextmanager
    def _aside(self, what: str) -> Iterator[None]:
        """What goes wrong beside the job never ends the waiting for it; it is said once and tried again."""
        try:
            yield
        except (BackendFailed, InputError) as error:
            self._tell_once(what, error)

    def _tell_once(self, what: str, error: FinetuneError) -> None:
        if what not in self._told:
            self._told.add(what)
            self._work.display.note(f"{what}: {error}")

    def _mind_others(self, job: "FineTuningJob") -> "FineTuningJob":
        """Sweep twins; follow the job that took over from a failed one."""
        ledger, made = self._work.ledger, self._created
        if job.status != "failed":
            ledger.sweep_job(self._config.create_job, made.train_file, made.identity, self._job_id)
            return job
        successor = ledger.successor(self._config.create_job, made.train_file, made.identity, self._job_id)
        if successor is None:
            return job
        self._work.display.note(f"{self._job_id} failed and the backend goes on as {successor}")
        self._job_id, self._shown, self.events = successor, set(), []
        return self._retrieve()

    def _retrieve(self) -> "FineTuningJob":
        job = self._work.connection.look_at(
            "poll_job", self._job_id, lambda client: client.fine_tuning.jobs.retrieve(self._job_id), self._started
        )
        # An answer with a hole in it must not make a job that was paid for count as one that came to nothing.
        if job.status == "succeeded" and not job.fine_tuned_model and self._work.connection.profile.names_models:
            raise Transient(f"{self._job_id} has succeeded, but its model has no name")
        return job

    def _notice_if_stuck(self, status: str) -> None:
        still = self._work.clock.monotonic() - self._moved
        if still >= self._config.poll_job.stuck_after_s and not self._told_stuck:
            self._told_stuck = True
            self._work.display.note(
                f"{self._job_id} has been {status} for {still / 3600:.1f} h without a sign of life. It is waited for; "
                "`finetune cancel CONFIG` in another terminal, after Ctrl-C here, gives it up"
            )

    def _new_events(self, client: "openai.OpenAI") -> "list[FineTuningJobEvent]":
        """Events not shown yet, oldest first. The listing is newest first."""
        fresh: list[FineTuningJobEvent] = []
        try:
            for event in rows(lambda: client.fine_tuning.jobs.list_events(self._job_id, limit=_PAGE)):
                if event.id in self._shown:
                    break
                if isinstance(event.message, str):  # one with holes is listed again, whole
                    fresh.append(event)
        except NoList:
            pass
        except EndlessList as error:  # nothing depends on an event, so those that came will do
            self._tell_once("events", error)
        self._shown.update(event.id for event in fresh)
        return fresh[::-1]

    def _worth_telling(self, events: "Sequence[FineTuningJobEvent]") -> "list[FineTuningJobEvent]":
        """All that is new; of what came before this run, warnings, what was taken, and how far the training is."""
        steps = [event for event in events if event.type == "metrics" and age(event)[0] < self._told_until]
        return [
            event
            for event in events
            if age(event)[0] >= self._told_until or event.level != "info" or _is_account(event) or event in steps[-1:]
        ]

    def _show(self, event: "FineTuningJobEvent") -> None:
        data = event.data if isinstance(event.data, dict) else {}
        step, total, loss = data.get("step"), data.get("total_steps"), data.get("train_loss")
        if event.type == "metrics" and isinstance(step, int) and isinstance(loss, int | float):
            steps = total if isinstance(total, int) else 0
            of = f"/{steps}" if steps else ""
            text = f"step {step}{of}  loss {loss:.3f}{_valid(data.get('valid_loss'))}{self._speed(event, data)}"
            self._work.display.progress(step, steps or None, text)
        elif _is_account(event):
            self._reconcile(data)
        else:
            said = event.message if event.level == "info" else self._work.connection.quote(event.message)
            self._heard = said if len(said) <= _QUOTED else said[: _QUOTED - 1] + "…"
            self._work.display.note(said)

    def _reconcile(self, data: dict[str, object]) -> None:
        """Compare what the trainer took with what convert made."""
        with contextlib.suppress(msgspec.ValidationError):
            self.consumed = took = msgspec.convert(data, Consumed)
            made = self._converted.examples, self._converted.funnel.target
            if not self._converted.weights:  # then the trainer may learn what is repeated as context, too
                made = made[0], took.targets
            examples, targets = counted(made[0], "example"), counted(made[1], "target")
            if (took.examples, took.targets, took.truncated) == (*made, 0):
                every, whose = ("the", "its") if made[0] == 1 else ("all", "their")
                text = f"the trainer took {every} {examples} with {whose} {targets}"
            else:
                text = (
                    f"WARNING: convert made {examples} with {targets}, the trainer took "
                    f"{took.examples:,} with {took.targets:,} ({took.truncated:,} cut, {took.skipped:,} skipped)"
                )
            self._work.display.note(text)

    def _speed(self, event: "FineTuningJobEvent", data: dict[str, object]) -> str:
        """Tokens a second of late, where the server counts them."""
        tokens = data.get("trained_tokens")
        if not isinstance(tokens, int):
            return ""
        now = age(event)[0]
        self._pace.append((now, tokens))
        while now - self._pace[0][0] > _LATELY_S:
            self._pace.popleft()
        since, before = self._pace[0]
        seconds = now - since
        return f"  {(tokens - before) / seconds:,.0f} tokens/s" if seconds > 0 else ""


def _is_account(event: "FineTuningJobEvent") -> bool:
    """Whether it says what the trainer took."""
    return isinstance(event.data, dict) and {"examples", "targets"} <= event.data.keys()


def _valid(loss: object) -> str:
    return f"  valid loss {loss:.3f}" if isinstance(loss, int | float) else ""


def _best_epoch(job: "FineTuningJob", last_model: str, work: Work) -> tuple[str, Kept | None]:
    """The model of the epoch that what was held out surprises least, and why; the last one's where nobody knows."""
    why = "the backend does not say how well each epoch's does on what was held out"
    epochs: list[Epoch] = []
    try:
        epochs = work.connection.ask("poll_job", lambda client: measured_epochs(client, job.id))
    except (BackendFailed, InputError, MakesNoSense) as error:
        why = str(error)
    if not epochs:
        work.display.note(f"the last epoch's model is kept: {why}")
        return last_model, None
    last, best = epochs[-1], min(epochs, key=lambda epoch: epoch.loss)  # of equals the first: it recites the least
    kept = Kept(best.step, last.step, best.loss, last.loss)
    return last_model if best is last else best.model, kept


def _ended_badly(job: "FineTuningJob", work: Work) -> RemoteEnded:
    told = [text for text in (job.error.code, job.error.message) if text] if job.error else []
    unsaid = "by the user" if job.status == "cancelled" and work.connection.profile.free else "no reason given"
    reason = work.connection.quote(": ".join(told)) if told else unsaid
    again = "A job costs nothing here: run again to start another."
    if not work.connection.profile.free:
        again = "Change what it names, then start another with --new-job (it is a new purchase)."
    return RemoteEnded("poll_job", f"{job.id} {_ENDED_AS.get(job.status, job.status)} ({reason})", fix=again)


_ENDED_AS = {"failed": "failed", "cancelled": "was cancelled"}


def clean_up(config: Config, created: CreateJob, _: Convert, work: Work) -> None:
    """Remove the files of a job that succeeded, if `upload.cleanup` was switched on only afterwards."""
    if config.upload.cleanup and work.ledger.has_sent(created.train_file, created.valid_file):
        _remove_files(created, work)


def _remove_files(created: CreateJob, work: Work) -> None:
    """Delete a job's files from the backend, and say so; one that stays is a warning, for the job is done."""
    for file_id in (created.train_file, created.valid_file):
        if file_id is not None:
            try:
                work.ledger.delete_file(file_id)
                work.display.note(f"{file_id} is deleted from the backend, as upload.cleanup says")
            except (BackendFailed, InputError) as error:
                work.display.note(f"WARNING: {file_id} could not be deleted; do it in the dashboard. {error}")


def _save_metrics(job: "FineTuningJob", work: Work) -> Artifact | None:
    """The result file as 09_metrics.csv; None where the backend keeps none."""
    if not job.result_files:
        return None
    try:
        content = work.connection.ask("poll_job", lambda client: client.files.content(job.result_files[0]).read())
    except (BackendFailed, InputError, MakesNoSense) as error:
        work.display.note(f"no metrics: {error}")
        return None
    table = _table(content)
    if table is None:
        work.display.note(f"no metrics: {job.result_files[0]} is no table of steps")
        return None
    with atomic_writer(work.run_dir / METRICS) as file:
        file.write(table)
    return file.artifact(METRICS)


def _table(content: bytes) -> bytes | None:
    """The CSV in a result file, which OpenAI sends in base64; None if it is something else.

    Its first line names the columns, `step` the first of them (OpenAI's guide to fine-tuning, "Analyzing your model").
    """
    plain = content.removeprefix(codecs.BOM_UTF8)
    if not plain.startswith(_STEP):
        try:
            plain = base64.b64decode(b"".join(plain.split()), validate=True).removeprefix(codecs.BOM_UTF8)
        except binascii.Error:
            return None
    return plain if plain.startswith(_STEP) else None


def _save_events(events: "Sequence[FineTuningJobEvent]", work: Work) -> Artifact | None:
    """What the server said while it trained, a line each, oldest first; None where it says nothing."""
    if not events:
        return None
    with atomic_writer(work.run_dir / EVENTS) as file:
        for event in events:
            file.write(event.to_json(indent=None).encode() + b"\n")
    return file.artifact(EVENTS)


STEP = Step(
    name="poll_job",
    version=2,
    needs=("create_job", "convert"),
    declares=("poll_job.keep",),
    also_reads=("poll_job", "create_job", "upload.cleanup"),
    output=PollJob,
    run=run,
    remote=True,
    spoils="create_job",
    after_skip=clean_up,
)
