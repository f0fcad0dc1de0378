"""What differs between the servers that speak OpenAI's fine-tuning contract, as data."""

import dataclasses
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
        note: what to know before using it.
        closing: it refuses more and more organisations; the note says since when.
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
    note: str = ""
    closing: bool = False


PROFILES: dict[str, Profile] = {
    "embedded": Profile(
        "the embedded server", None, None, free=True, interval_s=0.25, max_interval_s=1.0, settle_s=0.0
    ),
    "openai": Profile(
        "OpenAI",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        note="Closed since 2026-05-07 to organisations that never fine-tuned; no new jobs after 2027-01-06.",
        closing=True,
    ),
    "azure": Profile(
        "Azure OpenAI",
        None,
        "AZURE_OPENAI_API_KEY",
        note="The tuned model must be deployed before it answers.",
    ),
    "nebius": Profile(
        "Nebius Token Factory",
        "https://api.tokenfactory.nebius.com/v1/",
        "NEBIUS_API_KEY",
        known_by="suffix",
        weights=False,  # its documentation shows none
    ),
    "compatible": Profile("the server at base_url", None, "OPENAI_API_KEY", known_by="either", weights=False),
}


def profile_of(backend: Backend) -> Profile:
    """The profile of the configured backend; what the config says wins."""
    profile = PROFILES[backend.kind]
    settle_s = profile.settle_s if backend.settle_s is None else backend.settle_s
    return dataclasses.replace(profile, base_url=backend.base_url or profile.base_url, settle_s=settle_s)
