"""A key goes to nobody but whom it is for; who speaks another API is told apart, with what they do instead."""

from pathlib import Path

import pytest

from pipeline.backends.client import Connection
from pipeline.config.settings import Backend
from pipeline.errors import InputError
from tests.conftest import FakeClock

KEYS = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "NEBIUS_API_KEY")


def refusal(kind: str, base_url: str, run_dir: Path, clock: FakeClock) -> str:
    connection = Connection(Backend.model_validate({"kind": kind, "base_url": base_url}), run_dir, clock)
    with pytest.raises(InputError) as refused:
        connection.open()
    return str(refused.value)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.setenv(name, "sk-canary-1")


@pytest.mark.parametrize(
    ("kind", "base_url", "right"),
    [
        ("compatible", "https://api.tokenfactory.nebius.com/v1", "nebius"),
        ("openai", "https://API.studio.nebius.com./v1", "nebius"),
        ("openai", "https://x.openai.azure.com/openai/v1/", "azure"),
        ("compatible", "https://x.services.ai.azure.com/openai/v1/", "azure"),
        ("nebius", "https://api.openai.com/v1", "openai"),
        ("azure", "https://api.openai.com/v1", "openai"),
    ],
)
def test_a_key_of_one_provider_never_goes_to_anothers_host(
    kind: str, base_url: str, right: str, tmp_path: Path, clock: FakeClock
) -> None:
    said = refusal(kind, base_url, tmp_path, clock)
    assert said.startswith("backend.base_url: this is ")
    assert f"Set backend.kind to {right}, whose key is in " in said


def test_a_refusal_names_both_the_host_and_the_key(tmp_path: Path, clock: FakeClock) -> None:
    said = refusal("compatible", "https://api.tokenfactory.nebius.com/v1", tmp_path, clock)
    assert said == (
        "backend.base_url: this is Nebius Token Factory, and the key in OPENAI_API_KEY is not meant for it, got "
        "https://api.tokenfactory.nebius.com/v1. Set backend.kind to nebius, whose key is in NEBIUS_API_KEY."
    )


@pytest.mark.parametrize(
    ("base_url", "title", "instead"),
    [
        ("https://bedrock-mantle.eu-central-1.api.aws/v1", "Amazon Bedrock", "reinforcement jobs only"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1", "Amazon Bedrock", "CreateModelCustomizationJob"),
        ("https://api.mistral.ai/v1", "Mistral", "deprecated"),
        ("https://api.cohere.com/compatibility/v1", "Cohere", "2025-09-15"),
        ("https://api.together.xyz/v1", "Together", "POST /fine-tunes"),
        ("https://api.fireworks.ai/inference/v1", "Fireworks", "supervisedFineTuningJobs"),
    ],
)
def test_who_trains_in_another_way_is_told_apart(
    base_url: str, title: str, instead: str, tmp_path: Path, clock: FakeClock
) -> None:
    said = refusal("compatible", base_url, tmp_path, clock)
    assert said.startswith(f"backend.base_url: {title} does not train through OpenAI's fine-tuning API: ")
    assert instead in said
    assert f"got {base_url}. Choose another backend (`finetune backends` lists them)" in said


@pytest.mark.parametrize(
    ("kind", "base_url"),
    [
        ("openai", "https://gateway.example.com/v1"),
        ("compatible", "https://api.openai.com/v1"),  # the same key
        ("nebius", "https://notnebius.com/v1"),
        ("compatible", "https://api.openai.com.example.com/v1"),
    ],
)
def test_an_address_that_nobody_is_known_by_is_the_configs_to_choose(
    kind: str, base_url: str, tmp_path: Path, clock: FakeClock
) -> None:
    Connection(Backend.model_validate({"kind": kind, "base_url": base_url}), tmp_path, clock).open()
