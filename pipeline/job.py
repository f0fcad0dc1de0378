"""The job of a run: whether one is at work, and how to end it."""

from pipeline.config import Config
from pipeline.errors import InputError
from pipeline.remote import ENDED
from pipeline.runner import Progress
from pipeline.state import State
from pipeline.steps import STEPS
from pipeline.steps.outputs import CreateJob
from pipeline.steps.step import Work


def jobs_of(state: State) -> set[str]:
    """The ids of all jobs that are known."""
    return {each.remote_id for each in state.body.remote.values() if each.step == "create_job" and each.remote_id}


def left_to_do(state: State, earlier: set[str], free: bool) -> str:
    """What a run that is stopped now leaves its job to do, in words; nothing where no job is concerned.

    Args:
        earlier: the jobs that were known when the run began.
        free: the backend is our own, and stops with us.
    """
    running = (step.name for step in STEPS if step.name in state.body.steps)
    current = next((name for name in running if state.body.steps[name].status == "running"), None)
    if current != "poll_job" and (current != "create_job" or not jobs_of(state) - earlier):
        return ""
    return "; the job pauses at its checkpoint" if free else "; the job keeps running"


def cancel_job(config: Config, state: State, work: Work) -> str:
    """Cancel the job that a run waits for, and say what became of it.

    Raises:
        InputError: there is none, it has come to its end, or another backend has it.
    """
    job_id = _job_of(config, state, work)
    job = work.connection.ask("cancel", lambda client: client.fine_tuning.jobs.retrieve(job_id))
    if job.status == "cancelled":
        return f"{job_id} is cancelled already."
    if job.status in ENDED:
        raise InputError(
            "cancel",
            f"{job_id} has {job.status} already, so there is nothing to cancel",
            fix="`finetune status CONFIG` shows what came of it.",
        )
    job = work.connection.ask("cancel", lambda client: client.fine_tuning.jobs.cancel(job_id))
    return f"{job.id} is {job.status}."


def _job_of(config: Config, state: State, work: Work) -> str:
    """The job that create_job made; one that it had just made when it was stopped stands in the ledger alone."""
    account = work.connection.identity
    record = state.body.steps.get("create_job")
    if record is not None and record.status == "done":
        created = Progress(state, config, account).output_here("create_job", "cancel")
        if isinstance(created, CreateJob):
            return created.job
    made = [
        attempt.remote_id
        for attempt in state.body.remote.values()
        if attempt.step == "create_job" and attempt.account == account and attempt.remote_id and not attempt.ended
    ]
    if not made:
        raise InputError("cancel", "there is no job yet", fix="`finetune status CONFIG` shows how far the run is.")
    return made[-1]
