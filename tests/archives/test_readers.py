"""READERS is the only list of sources: whatever else speaks of them follows it."""

import inspect
from pathlib import Path
from typing import get_args

import pytest

from pipeline.archives.readers import AUTO, LANGCHAIN, READERS, SOURCES, Reader
from pipeline.config.settings import Load

ROOT = Path(__file__).parents[2]


def test_the_config_takes_what_can_be_read() -> None:
    assert get_args(Load.model_fields["source"].annotation) == SOURCES
    assert (AUTO, *(reader.source for reader in READERS), LANGCHAIN) == SOURCES
    assert len(set(SOURCES)) == len(SOURCES)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.source)
def test_a_row_has_a_module_that_recognises_and_reads(reader: Reader) -> None:
    assert list(inspect.signature(reader.code.recognise).parameters) == ["members"]
    assert [name.strip("_") for name in inspect.signature(reader.code.read).parameters] == ["members", "told", "asked"]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.source)
def test_a_row_is_in_the_docs_and_has_a_config_that_says_how_to_export(reader: Reader) -> None:
    row = f"| {reader.app} | `{reader.source}` | {reader.reads} | {reader.export} |"
    assert row in (ROOT / "docs" / "archives.md").read_text(encoding="utf-8").splitlines()
    config = (ROOT / "configs" / f"{reader.source}.yaml").read_text(encoding="utf-8")
    assert config.startswith("#")
    assert reader.app in (ROOT / "README.md").read_text(encoding="utf-8").replace("JSON\nlines", "JSON lines")
