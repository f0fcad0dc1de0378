"""The steps, in order. Start reading here."""

from pipeline.config.settings import Config
from pipeline.steps.convert import STEP as CONVERT
from pipeline.steps.create_job import STEP as CREATE_JOB
from pipeline.steps.deploy import STEP as DEPLOY
from pipeline.steps.download import STEP as DOWNLOAD
from pipeline.steps.evaluate import STEP as EVALUATE
from pipeline.steps.load import STEP as LOAD
from pipeline.steps.map import STEP as MAP
from pipeline.steps.merge import STEP as MERGE
from pipeline.steps.outputs import Output
from pipeline.steps.poll_file import STEP as POLL_FILE
from pipeline.steps.poll_job import STEP as POLL_JOB
from pipeline.steps.smoke_test import STEP as SMOKE_TEST
from pipeline.steps.step import Step
from pipeline.steps.upload import STEP as UPLOAD

STEPS: tuple[Step, ...] = (
    DOWNLOAD,
    LOAD,
    MERGE,
    MAP,
    CONVERT,
    UPLOAD,
    POLL_FILE,
    CREATE_JOB,
    POLL_JOB,
    DEPLOY,
    SMOKE_TEST,
    EVALUATE,
)
"""All that there are; an optional one is part of a run only with its section in the config."""


def steps_of(config: Config) -> tuple[Step, ...]:
    """The steps of a run with this config, in order."""
    return tuple(step for step in STEPS if step.is_wanted(config))


def step_of(kind: type[Output]) -> Step:
    """The step whose output is a `kind`."""
    return next(step for step in STEPS if step.output is kind)


def step_named(name: str) -> Step:
    """The step of that name."""
    return next(step for step in STEPS if step.name == name)
