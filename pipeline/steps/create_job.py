"""Step 8: start the training. The one step that can cost real money."""

from pipeline.config import Config
from pipeline.steps.outputs import CreateJob, PollFile
from pipeline.steps.step import Step, Work


def run(config: Config, files: PollFile, work: Work) -> CreateJob:
    """Create the fine-tuning job, or find the one that this data and config already have."""
    job, generation = work.ledger.create_job(config.create_job, files.train_file, files.valid_file, work.fingerprint)
    return CreateJob(job, f"{work.fingerprint}:{generation}", files.train_file, files.valid_file)


STEP = Step(
    name="create_job",
    version=1,
    needs=("poll_file",),
    declares=(
        "create_job.model",
        "create_job.method",
        "create_job.hyperparameters",
        "create_job.suffix",
        "create_job.seed",
        "create_job.metadata",
        "backend.trainer",
        "backend.script",
    ),
    also_reads=("create_job",),
    output=CreateJob,
    run=run,
    remote=True,
)
