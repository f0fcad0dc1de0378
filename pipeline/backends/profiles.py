"""What differs between the servers that speak OpenAI's fine-tuning contract, as data."""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Literal

from pipeline.config.settings import Backend


@dataclasses.dataclass(frozen=True)
class Profile:
    """One kind of backend.

    Attributes:
        base_url: None where the config or the embedded server gives it.
        key_env: the environment variable that holds the key; None where none is needed.
        free: training costs nothing, so it may be repeated without asking.
        interval_s, max_interval_s: how often to poll unless the config says.
        settle_s: after a lost answer, how long the server may take to show what it did. No provider documents it.
        known_by: what jobs echo, so that ours can be recognised: metadata, the suffix, or nobody knows which.
        weights: it is known to understand `weight` 0 on an assistant's message; else `preset: texting` writes one
            example an own turn, whose last message alone is meant to be learnt (a trainer that learns all of the
            assistant's messages then meets those in the context again: `convert.context_turns: 0` avoids that).
        bom: training files begin with a byte order mark.
        suffix_most, suffix_dots: how long a suffix may be, in characters, and whether it may hold dots.
        training_types: what `create_job.training_type` is called in a request; empty where there are none.
        rate: what it calls `learning_rate_multiplier` is the learning rate itself, and this is its usual one.
        file_status: its files say whether they have been read; else they can be used at once.
        names_models: a job that has succeeded names its model; else what is deployed has a name.
        served_as: base models that answer under another name than they are trained by.
        deploys: how a tuned model is made to answer, where it does not by itself: by Azure's Resource Manager, or by
            activating it as a model of one's own.
        may_deploy: what to do if that is refused.
        note: what to know before using it.
        last_jobs: the last day on which it takes new jobs, where it says so.
        hosts: whose names (or ends of names, after a dot) are known to be this provider's.
        adapters: how its owner gets the tuned model out.
        was_run: whether this was ever run against the real service.
    """

    title: str
    base_url: str | None
    key_env: str | None
    free: bool = False
    interval_s: float = 5.0
    max_interval_s: float = 60.0
    settle_s: float = 120.0
    known_by: Literal["metadata", "suffix", "either"] = "metadata"
    weights: bool = True
    bom: bool = False
    suffix_most: int = 40
    suffix_dots: bool = True
    training_types: Mapping[str, str] = dataclasses.field(default_factory=dict)
    rate: float | None = None
    file_status: bool = True
    names_models: bool = True
    served_as: Mapping[str, str] = dataclasses.field(default_factory=dict)
    deploys: Literal["arm", "activation"] | None = None
    may_deploy: str = ""
    note: str = ""
    last_jobs: datetime.date | None = None
    hosts: tuple[str, ...] = ()
    adapters: str = ""
    was_run: bool = False

    @property
    def closing(self) -> bool:
        """Whether it refuses more and more organisations; the note says since when."""
        return self.last_jobs is not None

    def serving_name(self, base_model: str) -> str:
        """The name under which a base model answers."""
        return self.served_as.get(base_model, base_model)


PROFILES: dict[str, Profile] = {
    "embedded": Profile(
        "the embedded server",
        None,
        None,
        free=True,
        interval_s=0.25,
        max_interval_s=1.0,
        settle_s=0.0,
        adapters="the adapter is a file in the run directory",
        was_run=True,
    ),
    "openai": Profile(
        "OpenAI",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        note="Closed since 2026-05-07 to organisations that never fine-tuned; no new jobs after 2027-01-06.",
        last_jobs=datetime.date(2027, 1, 6),
        hosts=("api.openai.com",),
        adapters="not at all: weights cannot be exported",
    ),
    # Microsoft Learn, "Customize a model with fine-tuning" and "Deploy a customized model" (February 2026).
    "azure": Profile(
        "Azure OpenAI",
        None,
        "AZURE_OPENAI_API_KEY",
        bom=True,
        suffix_most=18,
        suffix_dots=False,
        training_types={"standard": "Standard", "global": "GlobalStandard", "developer": "developerTier"},
        deploys="arm",
        may_deploy="Set AZURE_ARM_TOKEN to a fresh token, or run `az login`. Who may train may not always deploy: that "
        "takes the role Azure AI Owner, or Microsoft.CognitiveServices/accounts/deployments/write on the resource.",
        note="The tuned model must be deployed before it answers.",
        hosts=("openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com"),
        adapters="not at all: weights of OpenAI's models cannot be exported",
    ),
    # Nebius' cookbook, post-training/fine-tuning-1 (August 2026), a notebook with the answers that it got.
    "nebius": Profile(
        "Nebius Token Factory",
        "https://api.tokenfactory.nebius.com/v1/",
        "NEBIUS_API_KEY",
        known_by="suffix",
        weights=False,  # its documentation shows none
        rate=2e-5,
        file_status=False,
        names_models=False,
        served_as={
            "meta-llama/Llama-3.1-8B-Instruct": "meta-llama/Meta-Llama-3.1-8B-Instruct",
            "unsloth/gpt-oss-20b-BF16": "openai/gpt-oss-20b",
        },
        deploys="activation",
        may_deploy="Check what the key in NEBIUS_API_KEY may do there.",
        note="The tuned model must be activated before it answers.",
        hosts=("nebius.com",),
        adapters="each checkpoint's files, by `result_files` of the job's checkpoints",
    ),
    "compatible": Profile(
        "the server at base_url", None, "OPENAI_API_KEY", known_by="either", weights=False, was_run=True
    ),
}


def profile_of(backend: Backend) -> Profile:
    """The profile of the configured backend; what the config says wins."""
    profile = PROFILES[backend.kind]
    settle_s = profile.settle_s if backend.settle_s is None else backend.settle_s
    return dataclasses.replace(profile, base_url=backend.base_url or profile.base_url, settle_s=settle_s)
