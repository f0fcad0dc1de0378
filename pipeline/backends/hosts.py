"""Whose a host is: a key of one provider never goes to another's, and those who speak something else are told apart."""

from typing import NamedTuple
from urllib.parse import urlsplit

from pipeline.backends.profiles import PROFILES, Profile
from pipeline.errors import InputError


class Stranger(NamedTuple):
    """A provider that does not train through OpenAI's fine-tuning API, and what it does instead."""

    hosts: tuple[str, ...]
    title: str
    instead: str


# What each does was read in its client library or its documentation, November 2026; none of it was run.
STRANGERS = (
    Stranger(
        ("api.aws", "amazonaws.com"),
        "Amazon Bedrock",
        "its OpenAI-compatible endpoint takes reinforcement jobs only; to learn from examples there is "
        "CreateModelCustomizationJob, with the files in S3",
    ),
    Stranger(("mistral.ai",), "Mistral", "it lists fine-tuning among its deprecated features, without a successor"),
    Stranger(("cohere.com", "cohere.ai"), "Cohere", "it ended fine-tuning on 2025-09-15"),
    Stranger(
        ("together.xyz", "together.ai"),
        "Together",
        "it has an API of its own (POST /fine-tunes), whose adapters can be downloaded",
    ),
    Stranger(
        ("fireworks.ai",),
        "Fireworks",
        "it has an API of its own (supervisedFineTuningJobs of an account, from a dataset that is made first)",
    ),
)


def is_at(base_url: str, hosts: tuple[str, ...]) -> bool:
    """Whether an address is on one of these hosts, or on one below them."""
    host = (urlsplit(base_url).hostname or "").rstrip(".").lower()
    return any(host == each or host.endswith(f".{each}") for each in hosts)


def refuse_wrong_host(profile: Profile) -> None:
    """See that the address is one that this kind of backend, and the key for it, is meant for.

    Raises:
        InputError: it is known to be another provider's. Nothing was sent, no key either.
    """
    base_url = profile.base_url or ""
    for stranger in STRANGERS:
        if is_at(base_url, stranger.hosts):
            raise InputError(
                "backend.base_url",
                f"{stranger.title} does not train through OpenAI's fine-tuning API: {stranger.instead}",
                got=base_url,
                fix="Choose another backend (`finetune backends` lists them), or train on this machine with "
                "--set backend.kind=embedded, or on a rented GPU (docs/rented-gpus.md).",
            )
    for kind, other in PROFILES.items():
        if is_at(base_url, other.hosts) and other.key_env != profile.key_env:
            raise InputError(
                "backend.base_url",
                f"this is {other.title}, and the key in {profile.key_env} is not meant for it",
                got=base_url,
                fix=f"Set backend.kind to {kind}, whose key is in {other.key_env}.",
            )
