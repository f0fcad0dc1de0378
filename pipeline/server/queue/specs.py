"""What a worker is told of its job."""

from pathlib import Path

import msgspec

from pipeline.server.interfaces import QueueStore
from pipeline.server.records import JobRecord
from pipeline.server.settings import ServerSettings
from pipeline.training.protocol import JobSpec


def spec_of(job: JobRecord, store: QueueStore, settings: ServerSettings, folder: Path) -> JobSpec:
    """The training that a job asks for, to be done in `folder`."""
    path = store.file_path
    return JobSpec(
        job_id=job.id,
        trainer=settings.trainer,
        base_model=job.model,
        training_file=path(job.training_file).absolute(),
        validation_file=None if job.validation_file is None else path(job.validation_file).absolute(),
        n_epochs=job.asked.n_epochs,
        batch_size=job.asked.batch_size,
        learning_rate_multiplier=job.asked.learning_rate_multiplier,
        method=job.method,
        beta="auto" if isinstance(job.asked.beta, msgspec.UnsetType) else job.asked.beta,
        seed=job.seed,
        work_dir=folder.absolute(),
        script=settings.script,
    )
