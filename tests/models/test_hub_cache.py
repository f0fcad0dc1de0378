"""Names of the Hugging Face Hub, and what of it lies in the user's cache, told without asking anybody."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.models import base_models, hub_cache
from tests.command import ROOT
from tests.hub import NEWER, SHA


def keep(home: Path, name: str, files: dict[str, bytes], sha: str = SHA, branch: str = "main") -> Path:
    """Put a snapshot into the cache below `home`, as huggingface_hub does."""
    folder = home / "hub" / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / sha
    snapshot.mkdir(parents=True, exist_ok=True)
    (folder / "blobs").mkdir(exist_ok=True)
    for number, (file, data) in enumerate(files.items()):
        (folder / "blobs" / f"{sha}{number}").write_bytes(data)
        (snapshot / file).symlink_to(f"../../blobs/{sha}{number}")
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / branch).write_text(sha)
    return snapshot


WHOLE = {
    "config.json": b'{"max_position_embeddings": 77}',
    "tokenizer.json": b"{}",
    "chat_template.jinja": b"x",
    "model.safetensors": b"w",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("org/name", ("org/name", None)),
        ("HuggingFaceTB/SmolLM2-360M-Instruct", ("HuggingFaceTB/SmolLM2-360M-Instruct", None)),
        ("org/name@main", ("org/name", "main")),
        ("org/name@refs/pr/1", ("org/name", "refs/pr/1")),
        (f"org/name@{SHA}", ("org/name", SHA)),
    ],
)
def test_a_name_has_an_owner_and_perhaps_a_revision(name: str, parts: tuple[str, str | None]) -> None:
    assert hub_cache.parse(name) == parts


@pytest.mark.parametrize(
    "name",
    [
        "", "gpt2", "org/", "/name", "/etc/passwd", "./org/name", "../org/name", "~/name", "org/name/more", "org/..",
        "org/na..me", "org--x/name", "org/name.git", "org/-name", "org/name-", "org/name@", "org/name@../../x",
        "org/name@main\n", "org/na me", "org\\name", "ft:a/b", "org/name@a@b", "a/" + "b" * 97, "org/nämé",
    ],
)  # fmt: skip
def test_a_path_and_what_the_hub_would_not_take_is_no_name(name: str) -> None:
    assert hub_cache.parse(name) is None


@pytest.mark.parametrize(
    ("name", "short"),
    [("org/Name@main", "Name"), (f"org/Name@{SHA}", "Name"), ("/models/mine@home", "mine@home"), ("small", "small")],
)
def test_a_short_name_tells_neither_owner_nor_commit(name: str, short: str) -> None:
    assert hub_cache.short_name(name) == short


def test_the_cache_is_where_huggingface_hub_has_it() -> None:
    program = """
import importlib, json, os, sys
from pathlib import Path
from huggingface_hub import constants
from pipeline.models import hub_cache
names = ("XDG_CACHE_HOME", "HF_HOME", "HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE")
for given in json.loads(sys.argv[1]):
    for name in names:
        os.environ.pop(name, None)
    os.environ.update(given)
    importlib.reload(constants)
    theirs = Path(constants.HF_HUB_CACHE).expanduser().absolute()
    assert hub_cache.cache() == theirs, (given, hub_cache.cache(), theirs)
    print(hub_cache.cache())
"""
    given = [
        {},
        {"XDG_CACHE_HOME": "/x"},
        {"HF_HOME": "~/h"},
        {"HF_HOME": "$HOME/h", "XDG_CACHE_HOME": "/x"},
        {"HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/h"},
        {"HF_HUB_CACHE": "~/c", "HUGGINGFACE_HUB_CACHE": "/old"},
        {"HF_HUB_CACHE": "relative"},
    ]
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(given)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, len(done.stdout.splitlines())) == (0, len(given)), done.stderr


def test_a_model_in_the_cache_is_found_by_what_its_branch_was_and_by_its_commit(home: Path) -> None:
    older = keep(home, "org/m", WHOLE)
    newer = keep(home, "org/m", WHOLE, NEWER)
    assert base_models.prepare("org/m") == newer
    assert base_models.prepare(f"org/m@{SHA}") == older
    assert hub_cache.pinned("org/m@main") == f"org/m@{NEWER}"
    assert base_models.positions("org/m") == 77
    assert base_models.is_known("org/m")
    assert hub_cache.title(older) == "org/m"
    assert hub_cache.title(home) == home.name


@pytest.mark.parametrize("gone", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_model_that_is_not_whole_is_not_there(home: Path, gone: str) -> None:
    snapshot = keep(home, "org/m", WHOLE)
    (snapshot / gone).resolve().unlink()
    assert not base_models.is_known("org/m")
    with pytest.raises(InputError) as caught:
        base_models.prepare("org/m")
    assert str(caught.value) == (
        f"base model org/m: is not, or not whole, in the Hugging Face cache {home}/hub. "
        "`finetune run CONFIG` fetches it, and `finetune serve --models NAME` does."
    )


def test_a_model_in_shards_is_whole_when_all_that_its_index_names_are_there(home: Path) -> None:
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}).encode()
    files = {**WHOLE, hub_cache.INDEX: index, "model-1.safetensors": b"1"}
    assert not base_models.is_known("org/m")
    keep(home, "org/m", files)
    assert not base_models.is_known("org/m")
    keep(home, "org/m", {**files, "model-2.safetensors": b"2"}, NEWER)
    assert base_models.is_known("org/m")


def test_the_cache_names_whatever_could_be_talked_to(home: Path) -> None:
    assert list(hub_cache.chat_models()) == []
    keep(home, "org/b", WHOLE)
    keep(home, "org/a", {**WHOLE, "tokenizer_config.json": b'{"chat_template": "x"}'})
    keep(home, "org/no-template", {name: data for name, data in WHOLE.items() if name != "chat_template.jinja"})
    keep(home, "org/no-weights", {name: data for name, data in WHOLE.items() if name != "model.safetensors"})
    (home / "hub" / "datasets--org--d").mkdir()
    (home / "hub" / "models--odd").mkdir()
    assert list(hub_cache.chat_models()) == ["org/a", "org/b"]


def test_a_broken_model_of_the_hub_is_called_as_the_hub_has_it(home: Path) -> None:
    snapshot = keep(home, "org/m", {**WHOLE, "chat_template.jinja": b"\xff"})
    from pipeline.models.tokenizer_files import load_template

    with pytest.raises(InputError) as caught:
        load_template(snapshot)
    assert str(caught.value) == (
        "base model org/m: transformers cannot load its chat_template.jinja (UnicodeDecodeError: 'utf-8' codec can't "
        "decode byte 0xff in position 0: invalid start byte). Choose another base model; if this one worked before, "
        f"remove {home}/hub/models--org--m and run again."
    )
