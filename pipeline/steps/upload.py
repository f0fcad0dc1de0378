"""Step 6: send the training file, unless the backend has it already."""

from pipeline.backends.cost import refuse_if_too_much
from pipeline.backends.fitting import refuse_what_does_not_fit
from pipeline.config.settings import Config
from pipeline.durable import Artifact
from pipeline.steps.outputs import Convert, Upload
from pipeline.steps.step import Step, Work


def run(config: Config, convert: Convert, work: Work) -> Upload:
    """Upload the training and the validation file, named by the hash of their content.

    Raises:
        InputError: the training would cost more than `create_job` allows, or the base model is broken; nothing is sent.
    """
    refuse_what_does_not_fit(config)
    refuse_if_too_much(config, convert.tokens)
    work.connection.check_model()

    def send(file: Artifact) -> str:
        return work.ledger.upload(work.run_dir / file.path, file.sha256, timeout_s=config.upload.timeout_s)

    return Upload(send(convert.train), send(convert.valid) if convert.valid else None)


STEP = Step(
    name="upload",
    version=1,
    needs=("convert",),
    declares=(),
    also_reads=("upload.timeout_s", "create_job.max_cost_usd", "create_job.max_tokens"),
    output=Upload,
    run=run,
    remote=True,
    sent_for=("create_job",),
)
