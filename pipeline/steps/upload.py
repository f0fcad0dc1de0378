"""Step 6: send the training file, unless the backend has it already."""

from pipeline.config import Config
from pipeline.durable import Artifact
from pipeline.steps.outputs import Convert, Upload
from pipeline.steps.step import Step, Work


def run(config: Config, convert: Convert, work: Work) -> Upload:
    """Upload the training and the validation file, named by the hash of their content."""

    def send(file: Artifact) -> str:
        return work.ledger.upload(work.run_dir / file.path, file.sha256, timeout_s=config.upload.timeout_s)

    return Upload(send(convert.train), send(convert.valid) if convert.valid else None)


STEP = Step(
    name="upload",
    version=1,
    needs=("convert",),
    declares=(),
    also_reads=("upload.timeout_s",),
    output=Upload,
    run=run,
    remote=True,
)
