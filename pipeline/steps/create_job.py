"""Step 8: start the training. The one step that can cost real money."""

from pipeline.config import Config
from pipeline.steps.outputs import CreateJob, PollFile
from pipeline.steps.step import Step, Work


def run(config: Config, files: PollFile, work: Work) -> CreateJob:
    """Create the fine-tuning job, or find the one that this data and config already have."""
    identity = f"{work.fingerprint}:{work.generation}"
    job = work.ledger.create_job(config.create_job, files.train_file, files.valid_file, identity)
    return CreateJob(job, work.generation)


STEP = Step(
    name="create_job",
    version=1,
    needs=("poll_file",),
    declares=("create_job", "backend.trainer", "backend.script"),
    output=CreateJob,
    run=run,
    remote=True,
)
