"""The JSON schema of configs: current, complete, and as strict as the loader on what it can say."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from pipeline.config.schema import CONFIGS, SCHEMA, text

PATHS = sorted(CONFIGS.glob("*.yaml"))
CONTENT = json.loads(SCHEMA.read_bytes())
VALIDATOR = jsonschema_rs.Draft202012Validator(CONTENT)


def test_the_schema_is_current() -> None:
    assert SCHEMA.read_bytes() == text(), "run `make schema`"


def test_every_key_says_what_it_means() -> None:
    silent = [
        f"{name}.{key}"
        for name, model in CONTENT["$defs"].items()
        for key, value in model.get("properties", {}).items()
        if not value.get("description")
    ]
    assert silent == [], "give these a comment in configs/reference.yaml, then run `make schema`"
    sections = CONTENT["properties"]
    assert [key for key, value in sections.items() if not value.get("description")] == []
    assert sections["name"]["description"] == "the run lives in runs/<name>/"
    assert CONTENT["$defs"]["Hyperparameters"]["properties"]["n_epochs"]["description"] == "1 to 50"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_every_config_is_valid_and_names_its_schema(path: Path) -> None:
    content = path.read_text(encoding="utf-8")
    VALIDATOR.validate(yaml.safe_load(content))
    assert content.startswith("# yaml-language-server: $schema=schema.json\n")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"name": "a", "loda": {}},
        {"name": "a", "create_job": {"modle": "x"}},
        {"name": "a", "create_job": {"hyperparameters": {"n_epochs": 51}}},
        {"name": "a", "load": {"source": "pigeon"}},
        {"name": "a", "smoke_test": {"prompts": [1]}},
    ],
)
def test_mistakes_are_seen(document: dict[str, object]) -> None:
    assert not VALIDATOR.is_valid(document)


def test_what_the_loader_allows_is_valid() -> None:
    VALIDATOR.validate(
        {"name": "a", "merge": None, "map": {"assistant": ["a", "b"]}, "smoke_test": {"prompts": ["Hi"]}}
    )
