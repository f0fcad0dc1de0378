"""`finetune cancel`: end the job of a run."""

from pipeline.backends.ledger import ENDED
from pipeline.commands.context import at_work, say
from pipeline.commands.options import ConfigPath, Overrides
from pipeline.config.settings import Config
from pipeline.errors import InputError
from pipeline.run.progress import Progress
from pipeline.state.file import State
from pipeline.steps.outputs import CreateJob
from pipeline.steps.step import Work


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
    job = work.ledger.cancel_job(job_id)
    return f"{job.id} is {job.status}."


def _job_of(config: Config, state: State, work: Work) -> str:
    """The job that create_job made; one that it had just made when it was stopped stands in the ledger alone."""
    account = work.connection.identity
    progress = Progress(state, config, account)
    record = progress.record(CreateJob)
    if record is not None and record.status == "done":
        return progress.output_here(CreateJob, "cancel").job
    made = [
        attempt
        for attempt in state.body.remote.values()
        if attempt.is_job and attempt.account == account and attempt.remote_id and not attempt.ended
    ]
    if not made:
        raise InputError("cancel", "there is no job yet", fix="`finetune status CONFIG` shows how far the run is.")
    newest = max(made, key=lambda attempt: attempt.first_at or "")  # the state keeps them in no order of time
    return newest.remote_id or ""


def cancel(config_path: ConfigPath, overrides: Overrides = None) -> None:
    """Cancel the training job."""
    with at_work(config_path, overrides, beside=True) as (config, state, work):
        say(cancel_job(config, state, work))
