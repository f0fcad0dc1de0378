"""`finetune run` with a base model's name on the Hub: fetched before the first step, and never asked for again."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config.settings import Config
from pipeline.run.base_model import pinned
from pipeline.state.file import Body, State
from tests.command import Workshop
from tests.hub import NEWER, SHA, Hub, serving

NAME = "org/Tiny-Instruct"
MODEL = f"--set=create_job.model={NAME}"


@pytest.fixture(scope="module")
def hub(tiny_model: Path) -> Iterator[Hub]:
    with serving() as hub:
        hub.add(NAME, tiny_model)
        yield hub


@pytest.fixture(scope="module")
def trained_once(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which a model has been trained, and what was shown meanwhile."""
    shop = Workshop(tmp_path_factory.mktemp("trained"))
    shop.env |= hub.environment(shop.folder / "home")
    done = shop.run(MODEL, "--set=convert.tokens=exact")
    assert (done.code, done.err) == (0, "")
    return shop.folder, done.out


@pytest.fixture
def shop(hub: Hub, trained_once: tuple[Path, str], tmp_path: Path) -> Workshop:
    shutil.copytree(trained_once[0], tmp_path, dirs_exist_ok=True, symlinks=True)
    shop = Workshop(tmp_path)
    shop.env |= hub.environment(tmp_path / "home")
    hub.asked.clear()
    hub.status = None
    return shop


def test_all_ten_steps_run_with_a_model_of_the_hub(trained_once: tuple[Path, str], tiny_model: Path) -> None:
    folder, out = trained_once
    lines = out.splitlines()
    weights = (tiny_model / "model.safetensors").stat().st_size
    cache = folder / "home" / "hub"
    first_step = next(number for number, line in enumerate(lines) if line.startswith(" 1/10 download "))
    begun, *progress, fetched = lines[:first_step]
    assert begun == "ci with the embedded server, in runs/ci/"
    assert progress
    assert all(re.fullmatch(rf"      {NAME}: \d+ kB of 151 kB  \S+ s", line) for line in progress)
    assert fetched == f"      {NAME} at commit 0123456: fetched, {round(weights / 1000)} kB; in {cache}"
    assert sum("/10 " in line for line in lines) == 10
    body = json.loads((folder / "runs" / "ci" / "state.json").read_bytes())["body"]
    assert body["models"] == {NAME: SHA}
    assert body["steps"]["create_job"]["declared"]["create_job.model"] == f"{NAME}@{SHA}"
    assert re.fullmatch(r"ft:Tiny-Instruct:personal:ci:[0-9a-f]{8}", body["steps"]["poll_job"]["output"]["model"])


def test_a_second_run_asks_the_hub_nothing(shop: Workshop, hub: Hub) -> None:
    hub.add(NAME, {"README.md": b"all is new"}, NEWER)  # which is of no concern to this run
    try:
        again = shop.run(MODEL, "--set=convert.tokens=exact")
        assert (again.code, len(again.skipped)) == (0, 10)
        other = shop.run(MODEL, "--set=convert.tokens=exact", "--set=create_job.seed=8")
        assert (other.code, other.ran) == (0, ["create_job", "poll_job", "smoke_test"])
        status = shop.finetune("status", "run.yaml", MODEL, "--set=convert.tokens=exact")
        assert "pending" not in status.out + status.err
    finally:
        hub.heads[NAME] = SHA
    assert hub.asked == []


def test_a_cache_that_was_emptied_is_filled_again_with_the_same_commit(shop: Workshop, hub: Hub) -> None:
    shutil.rmtree(shop.folder / "home")
    hub.add(NAME, {"README.md": b"all is new"}, NEWER)
    try:
        said = shop.finetune("chat", "run.yaml", MODEL, "--message", "Hello?")
    finally:
        hub.heads[NAME] = SHA
    assert said.code == 0
    assert said.out.endswith("Tortoise Slow and steady, that's my motto.\n")
    assert f"/api/models/{NAME}/revision/main" not in {path for _, path, _, _ in hub.asked}
    assert (shop.folder / "home" / "hub" / "models--org--Tiny-Instruct" / "snapshots" / SHA).is_dir()


def test_to_forget_the_job_asks_what_the_hub_has_now(shop: Workshop, hub: Hub) -> None:
    assert shop.finetune("forget", "run.yaml", "create_job").code == 0
    assert shop.state()["models"] == {}
    done = shop.run(MODEL, "--set=convert.tokens=exact", "--until", "convert")
    assert (done.code, done.ran) == (0, [])
    assert next(path for _, path, _, _ in hub.asked) == f"/api/models/{NAME}/revision/main"
    assert f"      {NAME} at commit 0123456: here already; in {shop.folder}/home/hub" in done.out.splitlines()


@pytest.mark.parametrize(
    ("name", "settings", "code", "said"),
    [
        (
            "org/none",
            {},
            2,
            "base model org/none: there is no such model on the Hub, or it is private. Check its name at "
            "ENDPOINT/org/none; for a private one set HF_TOKEN to a token of yours (ENDPOINT/settings/tokens).",
        ),
        (
            "org/none",
            {"HF_HUB_OFFLINE": "1"},
            2,
            "base model org/none: is not, or not whole, in the cache HOME/hub, and HF_HUB_OFFLINE forbids fetching it. "
            "Unset HF_HUB_OFFLINE, and run the same command again.",
        ),
    ],
    ids=["missing", "offline"],
)
def test_a_model_that_cannot_be_had_is_said_before_anything_is_done(
    hub: Hub, tmp_path: Path, name: str, settings: dict[str, str], code: int, said: str
) -> None:
    shop = Workshop(tmp_path)
    shop.env |= hub.environment(tmp_path / "home") | settings
    done = shop.run(f"--set=create_job.model={name}")
    said = said.replace("ENDPOINT", hub.endpoint).replace("HOME", str(tmp_path / "home"))
    assert (done.code, done.err) == (code, f"error: {said}\n")
    assert done.out == "ci with the embedded server, in runs/ci/\n"
    assert sorted(path.name for path in shop.run_dir.iterdir()) == ["run.log", "state.lock"]
    assert not (tmp_path / "home").exists()


def test_steps_that_need_no_model_ask_for_none(hub: Hub, tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    shop.env |= hub.environment(tmp_path / "home")
    hub.asked.clear()
    done = shop.run("--set=create_job.model=org/none", "--until", "map")
    assert (done.code, done.ran, hub.asked) == (0, ["download", "load", "merge", "map"], [])


def test_a_mocked_api_may_have_a_model_of_such_a_name_itself(tmp_path: Path) -> None:
    name, script = "meta-llama/Llama-3.1-8B-Instruct", tmp_path / "script.json"
    script.write_text(json.dumps({"base_models": [name]}))
    state = State(tmp_path, Body(lineage="x", models={name: SHA}))

    def seen(**backend: str) -> str:
        sections = {"name": "x", "backend": backend, "create_job": {"model": name}}
        return pinned(Config.model_validate(sections), state).create_job.model

    assert seen(trainer="scripted", script=str(script)) == name
    assert seen(trainer="scripted") == f"{name}@{SHA}"
    assert seen(kind="nebius") == name, "there the backend has it"
