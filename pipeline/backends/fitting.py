"""What a job looks like to the backend that is to train it, and what that backend does not take."""

import dataclasses
from typing import TYPE_CHECKING, Any

from pipeline.backends.profiles import Profile, profile_of
from pipeline.config.settings import Config, CreateJob
from pipeline.errors import InputError

if TYPE_CHECKING:
    from openai import Omit
    from openai.types.fine_tuning.job_create_params import Method

LEAST_MULTIPLIER, MOST_MULTIPLIER = 0.01, 50.0
"""Outside of these a rate that was computed from a multiplier trains nothing, or destroys the model."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """The part of a request that differs: `method` as OpenAI has it, or `extra` beside it."""

    method: "Method | Omit"
    extra: dict[str, Any] | None


def shape_of(config: CreateJob, profile: Profile) -> Shape:
    """The hyperparameters and the training type as the backend wants them."""
    from openai import omit

    given = config.hyperparameters
    if profile.rate is not None:
        # Nebius takes them at the top, and none of them may be "auto".
        chosen: dict[str, Any] = {"n_epochs": given.n_epochs, "batch_size": given.batch_size}
        if given.learning_rate_multiplier != "auto":
            chosen["learning_rate_multiplier"] = given.learning_rate_multiplier * profile.rate
        wanted = {name: value for name, value in chosen.items() if value != "auto"}
        return Shape(omit, {"hyperparameters": {**wanted, "lora": True}})
    method: Method = {
        "type": "supervised",
        "supervised": {
            "hyperparameters": {
                "n_epochs": given.n_epochs,
                "batch_size": given.batch_size,
                "learning_rate_multiplier": given.learning_rate_multiplier,
            }
        },
    }
    if config.training_type is None:
        return Shape(method, None)
    return Shape(method, {"trainingType": profile.training_types[config.training_type]})


def refuse_what_does_not_fit(config: Config) -> None:
    """See that the backend takes a job as the config wants it, before anything is sent.

    Raises:
        InputError: it does not; names the key.
    """
    profile, job = profile_of(config.backend), config.create_job
    suffix, multiplier = job.suffix or "", job.hyperparameters.learning_rate_multiplier
    if len(suffix) > profile.suffix_most or ("." in suffix and not profile.suffix_dots):
        dots = "" if profile.suffix_dots else " and no dots"
        raise InputError(
            "create_job.suffix",
            f"{profile.title} takes at most {profile.suffix_most} characters{dots}",
            got=suffix,
            fix="Shorten it. Nothing was sent.",
        )
    if job.training_type is not None and job.training_type not in profile.training_types:
        raise InputError(
            "create_job.training_type",
            f"goes with backend.kind azure; {profile.title} has no such thing",
            got=job.training_type,
            fix="Take it away. Nothing was sent.",
        )
    if profile.rate is None or multiplier == "auto":
        return
    if not LEAST_MULTIPLIER <= multiplier <= MOST_MULTIPLIER:
        raise InputError(
            "create_job.hyperparameters.learning_rate_multiplier",
            f"{profile.title} takes the learning rate itself, which is computed as this times {profile.rate:g}; "
            f"expected {LEAST_MULTIPLIER:g} to {MOST_MULTIPLIER:g}",
            got=f"{multiplier:g}",
            fix="Write 1.0 for the usual rate, 2.0 for twice as much. Nothing was sent.",
        )


def said_of(config: Config) -> str | None:
    """What is sent otherwise than the config has it, for a person."""
    profile, multiplier = profile_of(config.backend), config.create_job.hyperparameters.learning_rate_multiplier
    if profile.rate is None or multiplier == "auto":
        return None
    return (
        f"{profile.title} takes the learning rate itself: learning_rate_multiplier {multiplier:g} is sent as "
        f"{multiplier * profile.rate:g}"
    )
