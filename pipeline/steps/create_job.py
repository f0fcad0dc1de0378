"""Step 8: start the training. The one step that can cost real money."""

from pipeline.backends.fitting import refuse_what_does_not_fit, said_of
from pipeline.config.settings import Config
from pipeline.state.file import digest
from pipeline.steps.outputs import Convert, CreateJob, PollFile
from pipeline.steps.step import Step, Work


def made_of(config: Config, convert: Convert) -> str:
    """What makes this job the same job: the declared config and the content of its files, whatever their ids."""
    return digest([STEP.declared(config), convert.train.sha256, convert.valid.sha256 if convert.valid else None])


def run(config: Config, convert: Convert, files: PollFile, work: Work) -> CreateJob:
    """Create the fine-tuning job, or find the one that this data and config already have.

    Raises:
        InputError: the training would take more memory than this machine has.
    """
    work.connection.check_model()
    if config.backend.trainer == "lora":
        _say_what_to_expect(config, convert, work)
    refuse_what_does_not_fit(config)
    if translated := said_of(config):
        work.display.note(translated)
    what = made_of(config, convert)
    job, generation = work.ledger.create_job(
        config.create_job, files.train_file, files.valid_file, what, work.generation
    )
    return CreateJob(job, f"{what}:{generation}", files.train_file, files.valid_file)


def _say_what_to_expect(config: Config, convert: Convert, work: Work) -> None:
    from pipeline.dataset.expectations import before_training, data_of

    data = data_of(
        config,
        work.run_dir / convert.train.path,
        replies=convert.funnel.target,
        examples=convert.examples,
        tokens=convert.tokens,
        longest=convert.tokens_most,
    )
    expected = before_training(config, data, work.display.note)
    for line in expected.short():
        work.display.note(line)
    if expected.refusal is not None:
        raise expected.refusal


STEP = Step(
    name="create_job",
    version=1,
    needs=("convert", "poll_file"),
    declares=(
        "create_job.model",
        "create_job.method",
        "create_job.hyperparameters",
        "create_job.suffix",
        "create_job.seed",
        "create_job.metadata",
        "create_job.training_type",
        "backend.trainer",
        "backend.script",
    ),
    also_reads=("create_job",),
    output=CreateJob,
    run=run,
    remote=True,
    buys=True,
)
