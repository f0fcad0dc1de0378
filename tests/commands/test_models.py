"""`finetune models`: the table as a person reads it, and the objects that a program does."""

import json
from pathlib import Path

import pytest

from pipeline.commands.models import blocks_of, list_of, of_data, table, usual
from pipeline.dataset.expectations import Data
from pipeline.models.choice import offers
from pipeline.models.machine import Machine, Measured
from tests.command import Workshop
from tests.dataset.test_languages import CHATS

GB = 10**9
LAPTOP = Machine(2, Measured("cpu", "", "float32", 73e9, 9.7e9), 24 * GB, 17 * GB)
GERMAN = of_data(Data(1466, {"de": 0.8, "en": 0.2}, 212_000, 2048))

TABLE = """\
On this machine: 2 cores, 17.0 of 24.0 GB of memory free.
For 1,466 replies, mostly German, a quarter English (212,000 tokens with every repetition).

  create_job.model                    download    train     chat          takes
  smollm2-135m-instruct                   none   3.2 GB   1.2 GB   about 20 min
    writes like them, makes little sense; no German; Apache-2.0
  HuggingFaceTB/SmolLM2-360M-Instruct   0.7 GB   4.2 GB   2.1 GB   about 50 min
    writes like them, sense in short answers; no German; Apache-2.0
  HuggingFaceTB/SmolLM2-1.7B-Instruct   3.4 GB   9.7 GB   8.2 GB      about 4 h
    small talk mostly makes sense; no German; Apache-2.0
* Qwen/Qwen3-0.6B                       1.5 GB   5.1 GB   3.4 GB   about 70 min
    sense in short answers, loses the thread; German with mistakes; Apache-2.0
  Qwen/Qwen3-1.7B                       4.1 GB   9.7 GB   7.9 GB      about 3 h
    small talk mostly makes sense; speaks German; Apache-2.0
  Qwen/Qwen3-4B-Instruct-2507           8.0 GB  19.2 GB  17.3 GB      about 8 h
    small talk that convinces; speaks German; Apache-2.0; too large now
  HuggingFaceTB/SmolLM3-3B              6.2 GB  15.4 GB  13.2 GB      about 6 h
    small talk that convinces; speaks German; Apache-2.0; too large now
  meta-llama/Llama-3.2-1B-Instruct      2.5 GB   7.7 GB   5.6 GB      about 2 h
    small talk mostly makes sense; speaks German; Llama 3.2; gated
  meta-llama/Llama-3.2-3B-Instruct      6.4 GB  15.8 GB  13.9 GB      about 7 h
    small talk that convinces; speaks German; Llama 3.2; gated; too large now
  google/gemma-3-270m-it                0.5 GB   3.7 GB   1.7 GB   about 25 min
    writes like them, makes little sense; German with mistakes; Gemma; gated
  google/gemma-3-1b-it                  2.0 GB   6.8 GB   4.7 GB      about 2 h
    small talk mostly makes sense; German with mistakes; Gemma; gated

* suits best: makes the most sense of those that can write German, fit the free memory, train in two \
hours and need no permission.
Memory and time are estimates, for a machine that does nothing else meanwhile.
Gated: ask for access on the model's page of the Hugging Face Hub first, then set HF_TOKEN.
As of 2026-11-27. Other models of the Hub work by their names, too.
"""


@pytest.fixture(autouse=True)
def no_models_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def plain(lines: list[list[tuple[str, str]]]) -> str:
    return "".join("".join(words for words, _ in line) + "\n" for line in lines)


def test_the_table_is_what_a_person_reads() -> None:
    assert plain(list(table(offers(LAPTOP, GERMAN.task), GERMAN, LAPTOP, 80))) == TABLE


def test_the_numbers_fit_eighty_columns_and_a_narrow_terminal_has_blocks() -> None:
    found = offers(LAPTOP, usual().task)
    for numbered in (False, True):
        head, *rows = plain(list(list_of(found, None, numbered=numbered))).splitlines()
        assert max(map(len, [head, *rows[::2]])) < 80
    assert plain(list(blocks_of(found, None))[:6]) == (
        "  smollm2-135m-instruct\n"
        "    download none, train 3.2 GB, chat 1.2 GB, takes about 20 min\n"
        "    writes like them, makes little sense; English; Apache-2.0\n"
        "* HuggingFaceTB/SmolLM2-360M-Instruct\n"
        "    download 0.7 GB, train 4.2 GB, chat 2.1 GB, takes about 50 min\n"
        "    writes like them, sense in short answers; English; Apache-2.0\n"
    )
    assert next(iter(table(found, usual(), LAPTOP, 60)))[1][0].startswith("On this machine")


def test_on_a_machine_that_could_not_be_measured_there_are_no_times() -> None:
    bare = Machine(2, None, 24 * GB, 17 * GB)
    shown = plain(list(table(offers(bare, usual().task), usual(), bare, 80)))
    assert "about" not in shown.partition("Memory and time")[0].replace("about 1,500", "")
    assert "* suits best: the smallest of those that need no permission.\n" in shown


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """A folder where the machine has been measured before, and a run of German chats."""
    shop = Workshop(tmp_path)
    shop.env |= {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    said = CHATS["de"].split("|")
    lines = [
        f"[{day:02}/08/2023, 09:0{number}:00] {who}: {said[(day + number) % len(said)]}, Tag {day}"
        for day in range(1, 15)
        for number, who in enumerate(("Ann", "Bo"))
    ]
    (tmp_path / "chat.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    shop.config.write_text(
        "name: ci\nbackend: {trainer: scripted}\ndownload: {source: chat.txt}\nmap: {assistant: Bo}\n"
        "convert: {preset: texting}\n"
    )
    return shop


def test_a_program_gets_an_object_a_model(shop: Workshop, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--Qwen--Qwen3-0.6B" / "snapshots" / ("a1" * 20)
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("a1" * 20)
    for file in ("config.json", "tokenizer.json", "model.safetensors"):
        (snapshot / file).touch()
    done = shop.finetune("models", "--json")
    assert (done.code, done.err) == (0, "")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert len(found) == 11
    assert [each["name"] for each in found if each["here"]] == ["smollm2-135m-instruct", "Qwen/Qwen3-0.6B"]
    assert sum(each["best"] for each in found) == 1
    assert found[0].keys() == {
        "name", "title", "parameters", "download_gb", "languages", "somewhat", "licence", "gated", "thinking", "sense",
        "chat", "shape", "hub", "here", "train_bytes", "chat_bytes", "train_seconds", "fits", "best",
    }  # fmt: skip


def test_with_a_config_the_models_are_looked_at_for_its_chats(shop: Workshop) -> None:
    before = shop.finetune("models", "run.yaml")
    assert before.code == 0
    assert before.out.startswith(
        "The chats of ci are not converted yet; `python -m pipeline inspect run.yaml` does that.\nOn this machine: "
    )
    assert shop.run("--until", "convert").code == 0
    told = shop.finetune("models", "run.yaml").out.splitlines()
    assert told[1].startswith("For 14 replies, German (")
    assert "    writes like them, makes little sense; no German; Apache-2.0" in told


def test_a_config_that_is_not_there_is_said(shop: Workshop) -> None:
    done = shop.finetune("models", "none.yaml")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: none.yaml: ")
