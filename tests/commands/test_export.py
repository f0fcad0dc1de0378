"""`finetune export` as a person meets it: its mistakes, and Ctrl-C; the trainer was scripted."""

import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.command import BOUND_S, Workshop
from tests.test_command import message

LORA = "--set=backend.trainer=lora"


@pytest.fixture(scope="module")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run."""
    folder = tmp_path_factory.mktemp("finished")
    assert Workshop(folder).run().code == 0
    return folder


@pytest.fixture
def shop(finished_once: Path, tmp_path: Path) -> Workshop:
    shutil.copytree(finished_once, tmp_path, dirs_exist_ok=True)
    return Workshop(tmp_path)


def tuned(shop: Workshop) -> tuple[str, Path]:
    """The tuned model and its folder."""
    server = shop.run_dir / "server"
    with sqlite3.connect(f"file:{server}/store.db?mode=ro", uri=True) as db:
        name, folder = db.execute("SELECT name, folder FROM models WHERE name NOT LIKE '%:ckpt-%'").fetchone()
    db.close()
    return name, server / "models" / folder


def made(shop: Workshop) -> list[str]:
    """What exports left in the run's directory, whole or half."""
    return [path.name for path in shop.run_dir.glob("*export-*")]


def test_a_provider_keeps_the_weights_of_its_models(shop: Workshop) -> None:
    said = shop.finetune("export", "run.yaml", "--to", "gguf", "--set=backend.kind=openai")
    assert (said.code, said.out) == (2, "")
    message(
        said.err,
        "backend.kind: the weights of a model that was trained elsewhere cannot be had: its provider keeps them, got "
        "openai. Train it with `backend.kind: embedded`.",
    )


def test_a_mocked_training_made_no_weights(shop: Workshop) -> None:
    said = shop.finetune("export", "run.yaml", "--to", "gguf")
    assert (said.code, said.out) == (2, "")
    message(said.err, "backend.trainer: a mocked training makes no weights, got scripted. Use lora.")


def test_without_a_tuned_model_there_is_nothing_to_export(tmp_path: Path) -> None:
    said = Workshop(tmp_path).finetune("export", "run.yaml", "--to", "merged", LORA)
    assert (said.code, said.out) == (2, "")
    message(
        said.err,
        "poll_job: not done yet. Run `python -m pipeline run run.yaml --set backend.trainer=lora` first.",
    )


def test_an_adapter_that_is_gone_has_to_be_trained_again(shop: Workshop) -> None:
    name, _ = tuned(shop)
    said = shop.finetune("export", "run.yaml", "--to", "adapter", LORA)
    assert (said.code, said.out) == (2, "")
    message(
        said.err,
        f"model {name}: its weights are not here any more. Train it again: "
        "`python -m pipeline run run.yaml --set backend.trainer=lora --from create_job`.",
    )


def test_nothing_that_is_there_is_written_over(shop: Workshop) -> None:
    there = shop.folder / "mine"
    there.mkdir()
    (there / "mine.txt").write_text("mine")
    said = shop.finetune("export", "run.yaml", "--to", "ollama", "--into", "mine", LORA)
    assert (said.code, said.out) == (2, "")
    message(said.err, f"{there}: there is something already. Remove it, or name another folder with --into.")
    assert [path.name for path in there.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--to", "zip"], "'--to': Value error, 'zip' is not one of 'adapter', 'merged', 'gguf', 'ollama'."),
        (["--to", "gguf", "--quant", "q4"], "'--quant': Value error, 'q4' is not one of 'f32', 'f16', 'q8_0'."),
    ],
)
def test_unknown_forms_are_told_the_known_ones(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    said = Workshop(tmp_path).finetune("export", "run.yaml", *arguments)
    assert (said.code, said.out) == (2, "")
    usage, hint, *box = said.err.splitlines()
    assert usage.strip() == "Usage: python -m pipeline export [OPTIONS] {CONFIG}"
    assert hint == "Try 'python -m pipeline export -h' for help."
    assert [line.strip("│ ") for line in box[1:-1]] == [f"Invalid value for {complaint}"]


def test_ctrl_c_leaves_nothing_of_an_export(shop: Workshop) -> None:
    (tuned(shop)[1] / "adapter_model.safetensors").write_bytes(b"enough to begin with")
    base = shop.folder / "base"
    base.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        (base / name).write_text("{}")
    model = f"--set=create_job.model={base}"
    process = shop.start("export", "run.yaml", "--to", "adapter", LORA, model)
    end = time.monotonic() + BOUND_S
    while not made(shop) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=BOUND_S)
    assert (process.returncode, out, err) == (130, "", "stopped by Ctrl-C.\n")
    assert made(shop) == []
