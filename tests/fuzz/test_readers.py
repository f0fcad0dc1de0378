"""Exports of every app with values that no app writes: every message is accounted for, or the refusal is in words."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from tests.archives.reading import read
from tests.bench.exports import EXPORTS
from tests.fuzz.conftest import fuzz
from tests.fuzz.values import mutated, spoilt

MESSAGES = 4


def is_json(path: Path) -> bool:
    return path.suffix == ".json" and path.name != "data.json"  # which is one object a line


@pytest.fixture(scope="module", params=EXPORTS)
def export(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    """The source, an export as a file or a folder, and where a changed one may lie."""
    folder = tmp_path_factory.mktemp("export")
    path = EXPORTS[request.param](folder, MESSAGES)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder / "unpacked")
        path = folder / "unpacked"
    return request.param.partition(",")[0], path, tmp_path_factory.mktemp("changed")


@fuzz(60)
@given(data=st.data())
def test_an_export_with_odd_values_is_read_or_refused_in_words(
    export: tuple[str, Path, Path], data: st.DataObject
) -> None:
    source, whole, place = export
    changed = place / whole.name
    files = [each for each in whole.rglob("*") if each.is_file()] if whole.is_dir() else [whole]
    file = data.draw(st.sampled_from(sorted(files)))
    if is_json(file):
        document = data.draw(spoilt(json.loads(file.read_bytes())))
        content = json.dumps(document).encode()
    else:
        content = data.draw(mutated(file.read_bytes()))
    if whole.is_dir():
        shutil.copytree(whole, changed, dirs_exist_ok=True)
        (changed / file.relative_to(whole)).write_bytes(content)
    else:
        changed.write_bytes(content)
    refusal = ""
    try:
        found = read(changed, source)  # which fails if what it holds does not add up
        json.dumps([session.id for session in found.sessions])
    except InputError as error:
        refusal = str(error)
    assert refusal == "" or refusal.startswith(str(changed))
