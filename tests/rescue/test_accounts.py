"""Which keys are used, and where each may go."""

import os
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.process.clock import SystemClock
from pipeline.rescue.accounts import accounts


@pytest.fixture(autouse=True)
def no_other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OPENAI_API_KEY")]:
        monkeypatch.delenv(name)


def names(given: list[str], base_url: str | None = None) -> list[str]:
    return [each.name for each in accounts(given, base_url, Path("x"), SystemClock(), print)]


def test_every_key_of_openais_is_a_project_and_the_same_key_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in (("", "sk-a"), ("_B", "sk-b"), ("_C", "sk-a"), ("_EMPTY", " "), ("S", "sk-other")):
        monkeypatch.setenv(f"OPENAI_API_KEY{name}", key)
    assert names([]) == ["OPENAI_API_KEY", "OPENAI_API_KEY_B"]
    assert names([], "https://eu.api.openai.com/v1") == ["OPENAI_API_KEY", "OPENAI_API_KEY_B"]


def test_without_a_key_it_says_how_to_give_one() -> None:
    with pytest.raises(InputError) as refused:
        names([])
    assert str(refused.value) == (
        "environment OPENAI_API_KEY: not set, and no model is seen without a key. export OPENAI_API_KEY=…, "
        "one OPENAI_API_KEY_NAME=… for each further project, or --key-env NAME."
    )


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.openai.com.example.org/v1",
        "https://xapi.openai.com/v1",
        "https://openai.com/v1",
        "http://127.0.0.1:1/v1",
        "https://res.openai.azure.com/openai/v1/",
    ],
)
@pytest.mark.parametrize("given", [[], ["OPENAI_API_KEY"]])
def test_openais_key_stays_with_openai(base_url: str, given: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a")
    with pytest.raises(InputError, match="OpenAI"):
        names(given, base_url)


def test_a_providers_own_key_goes_to_its_own_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "a")
    monkeypatch.setenv("NEBIUS_API_KEY", "b")
    assert names(["AZURE_OPENAI_API_KEY"], "https://res.openai.azure.com/openai/v1/") == ["AZURE_OPENAI_API_KEY"]
    assert names(["NEBIUS_API_KEY"], "https://api.tokenfactory.nebius.com/v1/") == ["NEBIUS_API_KEY"]
    for name, other in (
        ("NEBIUS_API_KEY", "https://res.openai.azure.com/openai/v1/"),
        ("AZURE_OPENAI_API_KEY", "https://api.tokenfactory.nebius.com/v1/"),
    ):
        with pytest.raises(InputError):
            names([name], other)
