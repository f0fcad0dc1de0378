"""`finetune delete` as a person has it; the trainer is scripted."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import BOUND_S, Workshop
from tests.test_command import message


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


def plain(text: str) -> list[str]:
    text = re.sub(r"ft:smollm2-135m-instruct:personal:ci:[0-9a-f]+", "ft:NAME", text)
    return re.sub(r"file-[0-9a-f]+", "file-ID", re.sub(r"\([\d.,]+ [kM]?B(ytes)?\)", "(SIZE)", text)).splitlines()


def test_what_is_to_be_deleted_has_to_be_said(shop: Workshop) -> None:
    said = shop.finetune("delete", "run.yaml")
    assert said.code == 2
    message(said.err, "delete: what is to be deleted? Add --model, --deployments, --data or --everything.")


def test_nothing_is_deleted_when_nobody_is_there_to_be_asked(shop: Workshop) -> None:
    said = shop.finetune("delete", "run.yaml", "--everything")
    assert (said.code, plain(said.out)) == (2, ["here: runs/ci (SIZE)"])
    message(said.err, "delete: nobody is there to be asked. Add --yes to delete without a question.")
    assert (shop.run_dir / "01_archive.db").exists()


def test_what_would_go_is_said_and_stays_in_a_dry_run(shop: Workshop) -> None:
    said = shop.finetune("delete", "run.yaml", "--everything", "--yes", "--dry-run")
    assert (said.code, said.err, plain(said.out)) == (0, "", ["here: runs/ci (SIZE)", "Nothing was deleted."])
    assert (shop.run_dir / "01_archive.db").exists()


def test_an_archive_of_many_files_goes_with_the_chats_and_an_exported_model_with_the_model(shop: Workshop) -> None:
    for name in ("01_archive_2", "export-merged"):
        (shop.run_dir / name).mkdir()
        (shop.run_dir / name / "file").touch()
    assert shop.finetune("delete", "run.yaml", "--model", "--yes").code == 0
    assert {path.name for path in shop.run_dir.glob("*-*")} == set()
    assert (shop.run_dir / "01_archive_2").exists()
    assert shop.finetune("delete", "run.yaml", "--data", "--yes").code == 0
    assert not (shop.run_dir / "01_archive_2").exists()


def test_the_chats_and_the_model_go_here_and_on_the_backend(shop: Workshop) -> None:
    assert shop.stored("models") > 0
    example = json.loads((shop.run_dir / "05_train.jsonl").read_text().splitlines()[0])
    learnt = json.dumps(example["messages"][-1]["content"], ensure_ascii=False)[1:-1].encode()
    said = shop.finetune("delete", "run.yaml", "--data", "--model", "--yes")
    assert (said.code, said.err) == (0, "")
    made = ("01_archive.db", "02_sessions.jsonl", "03_merged.jsonl", "04_mapped.jsonl", "05_train.jsonl")
    here = [*made, "10_smoke_test.json", "run.log"]
    assert plain(said.out) == [
        "the embedded server: the model ft:NAME",
        "the embedded server: the training file file-ID",
        *(f"here: runs/ci/{name} (SIZE)" for name in here),
        "Deleted: 1 model, 1 file on the backend, 7 paths.",
        "The archive that you gave and run.yaml are yours and stay; so do copies in backups, and whatever you passed "
        "on.",
    ]
    assert shop.stored("models") == 0
    assert not any((shop.run_dir / name).exists() for name in here)
    assert not [path for path in shop.run_dir.rglob("*") if path.is_file() and learnt in path.read_bytes()]


def test_everything_leaves_no_trace_of_the_run(shop: Workshop) -> None:
    said = shop.finetune("delete", "run.yaml", "--everything", "--yes")
    assert (said.code, said.err) == (0, "")
    assert list((shop.folder / "runs").iterdir()) == []


def test_a_person_is_asked_and_may_say_no(shop: Workshop) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pipeline", "delete", "run.yaml", "--data"]
    process = subprocess.Popen(
        command, cwd=shop.folder, env=shop.env, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    os.write(ours, b"\n")
    out, _ = process.communicate(timeout=BOUND_S)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0
    assert out.splitlines()[-1].endswith("Nothing was deleted.")
    assert (shop.run_dir / "05_train.jsonl").exists()
