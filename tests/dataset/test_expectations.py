"""What is said before a training: whole lines, by how much there is, in which language and for which model."""

import json
from pathlib import Path

import msgspec
import pytest

from pipeline.config.settings import Config
from pipeline.dataset.expectations import Data, data_of, expect, how_long
from pipeline.models.machine import Machine, Measured
from tests.dataset.test_languages import CHATS

GB = 10**9
LAPTOP = Machine(2, Measured("cpu", "", "float32", 73e9, 9.7e9), 24 * GB, 17 * GB)
BUNDLED, QWEN = "smollm2-135m-instruct", "Qwen/Qwen3-0.6B"
ENGLISH, GERMAN = {"en": 1.0}, {"de": 1.0}


def data(replies: int, languages: dict[str, float], at_once: int = 1000) -> Data:
    return Data(replies, languages, 140 * replies, at_once)


def said(found: Data, model: str, machine: Machine | None = LAPTOP) -> list[str]:
    return expect(found, model, machine, can_cut=True).short()


@pytest.mark.parametrize(
    ("replies", "languages", "model", "lines"),
    [
        (
            60,
            ENGLISH,
            BUNDLED,
            [
                "60 replies to learn, in English: it will recite them: fewer than 100 are learnt by heart. What helps "
                "most: more of their messages (500 replies are worth while, about 1,500 plenty).",
                "training takes about a minute and 2.8 GB of memory on this machine (2 cores, 17.0 of 24.0 GB of "
                "memory free)",
            ],
        ),
        (
            302,
            ENGLISH,
            BUNDLED,
            [
                "302 replies to learn, in English: it picks up greetings and habits, and still recites often; what it "
                "says makes little sense. What helps most: more of their messages (500 replies are worth while, about "
                "1,500 plenty).",
                "training takes about 4 min and 2.8 GB of memory on this machine (2 cores, 17.0 of 24.0 GB of memory "
                "free)",
            ],
        ),
        (
            1482,
            ENGLISH,
            BUNDLED,
            [
                "1,482 replies to learn, in English: enough to write like them; what it says makes little sense. What "
                "helps most: a larger model: `create_job.model: HuggingFaceTB/SmolLM2-360M-Instruct` "
                "(`finetune models CONFIG`).",
                "training takes about 20 min and 2.8 GB of memory on this machine (2 cores, 17.0 of 24.0 GB of memory "
                "free)",
            ],
        ),
        (
            1466,
            GERMAN,
            BUNDLED,
            [
                "WARNING: 1,466 replies to learn, in German; SmolLM2 135M does not speak German (only English): what "
                "it writes will make no sense. What helps most: a model that speaks German: `create_job.model: "
                "Qwen/Qwen3-0.6B` (`finetune models CONFIG`).",
                "training takes about 20 min and 2.8 GB of memory on this machine (2 cores, 17.0 of 24.0 GB of memory "
                "free)",
            ],
        ),
        (
            600,
            {"de": 0.77, "en": 0.23},
            QWEN,
            [
                "600 replies to learn, mostly German, a quarter English: it begins to write like them; short answers "
                "make sense, longer ones do not; Qwen3 0.6B writes German with mistakes. What helps most: a larger "
                "model: `create_job.model: Qwen/Qwen3-1.7B` (`finetune models CONFIG`).",
                "training takes about 30 min and 5.1 GB of memory on this machine (2 cores, 17.0 of 24.0 GB of memory "
                "free)",
            ],
        ),
        (
            2000,
            {"en": 0.6, "de": 0.4},
            "HuggingFaceTB/SmolLM2-1.7B-Instruct",
            [
                "2,000 replies to learn, half English, half German: enough to write like them; its small talk mostly "
                "makes sense; SmolLM2 1.7B speaks English, but not German.",
                "training takes about 5 h and 9.7 GB of memory on this machine (2 cores, 17.0 of 24.0 GB of memory "
                "free)",
            ],
        ),
        (
            700,
            {},
            BUNDLED,
            [
                "700 replies to learn, in a language that could not be told: it begins to write like them; what it "
                "says makes little sense. What helps most: a larger model: `create_job.model: Qwen/Qwen3-1.7B` "
                "(`finetune models CONFIG`).",
                "training takes about 9 min and 2.8 GB of memory on this machine (2 cores, 17.0 of 24.0 GB of memory "
                "free)",
            ],
        ),
    ],
)
def test_a_run_says_it_in_a_line_or_two(
    replies: int, languages: dict[str, float], model: str, lines: list[str]
) -> None:
    assert said(data(replies, languages), model) == lines


def test_where_nothing_larger_can_be_trained_that_is_said() -> None:
    small = msgspec.structs.replace(LAPTOP, free=4 * GB, memory=5 * GB)
    assert expect(data(1482, ENGLISH), BUNDLED, small).helps == (
        "a larger model, which takes more memory than is free here, or hours (`finetune models CONFIG`)"
    )


def test_of_a_hosted_model_the_language_is_said_and_no_memory() -> None:
    hosted = Data(1482, GERMAN, None, 1000)
    assert said(hosted, "gpt-4.1-nano-2025-04-14", None) == [
        "1,482 replies to learn, in German: enough to write like them."
    ]


def test_the_sample_says_that_it_is_recited() -> None:
    sample = Data(60, ENGLISH, 16_074, 312, is_sample=True)
    assert said(sample, BUNDLED)[0] == (
        "60 replies to learn, in English: it will recite its ten dialogues, which is what this sample shows. What "
        "helps most: chats of your own (about 1,500 replies make it write like you)."
    )


def test_an_archive_that_was_only_looked_through_is_told_of_roughly() -> None:
    rough = data(1466, GERMAN, 2048)._replace(is_rough=True)
    assert expect(rough, BUNDLED, LAPTOP, can_cut=True).long() == [
        ("replies", "about 1,500 replies to learn, in German"),
        ("language", "SmolLM2 135M does not speak German (only English): what it writes will make no sense"),
        (
            "takes",
            "about 20 min and up to 3.2 GB of memory on this machine (2 cores, 17.0 of 24.0 GB of memory free)",
        ),
        ("would help", "a model that speaks German: `create_job.model: Qwen/Qwen3-0.6B` (`finetune models CONFIG`)"),
    ]


def test_too_little_free_memory_is_a_warning_with_ways_out() -> None:
    found = expect(data(1482, ENGLISH, 2048), BUNDLED, msgspec.structs.replace(LAPTOP, free=3 * GB), can_cut=True)
    assert found.refusal is None
    assert found.tight == (
        "WARNING: only 3.0 GB of memory are free, and the training takes about 3.2 GB. Close other programs, or set "
        "`convert.window_tokens: 1024` and `create_job.hyperparameters.batch_size: 1` (about 2.9 GB), or train on "
        "another machine; `finetune models CONFIG` shows what each model takes."
    )
    assert found.short()[-1] == found.tight


def test_too_little_memory_altogether_is_an_error_with_ways_out() -> None:
    small = msgspec.structs.replace(LAPTOP, memory=7 * GB, free=6 * GB)
    found = expect(data(1482, ENGLISH, 2048), "Qwen/Qwen3-1.7B", small, can_cut=False)
    assert str(found.refusal) == (
        "create_job.model: training it takes about 9.7 GB of memory for 2,048 tokens at once, and this machine has "
        "7.0 GB in all, got Qwen/Qwen3-1.7B. Set `create_job.model: HuggingFaceTB/SmolLM2-360M-Instruct` (about 4.2 "
        "GB), or train on another machine; `finetune models CONFIG` shows what each model takes."
    )
    assert found.tight == "", "it is said once"


def test_where_the_estimate_is_near_all_memory_it_is_a_warning() -> None:
    near = msgspec.structs.replace(LAPTOP, memory=8 * GB, free=6 * GB)
    found = expect(data(1482, ENGLISH, 2048), "Qwen/Qwen3-1.7B", near, can_cut=False)
    assert found.refusal is None
    assert found.tight == (
        "WARNING: only 6.0 GB of memory are free, and the training takes about 9.7 GB. Set `create_job.model: "
        "HuggingFaceTB/SmolLM2-360M-Instruct` (about 4.2 GB), or train on another machine; `finetune models CONFIG` "
        "shows what each model takes."
    )


def test_of_a_model_whose_size_nobody_knows_nothing_is_made_up() -> None:
    found = expect(data(1482, ENGLISH), "somebody/elses-model", LAPTOP, can_cut=True)
    assert (found.takes, found.tight, found.refusal, found.speaks) == ("", "", None, "")
    assert found.short() == ["1,482 replies to learn, in English: enough to write like them."]


def test_what_is_learnt_is_read_out_of_the_training_file(tmp_path: Path) -> None:
    train = tmp_path / "05_train.jsonl"
    german, english = CHATS["de"].split("|"), CHATS["en"].split("|")
    turns = [
        [
            {"role": "user", "content": their},
            {"role": "assistant", "content": their, "weight": 0},
            {"role": "assistant", "content": own},
        ]
        for their, own in zip(english, german, strict=True)
    ]
    lines = [json.dumps({"messages": messages}) for messages in turns] * 10
    train.write_text("\n".join([*lines, "{broken", '{"messages": 1}']) + "\n")
    config = Config.model_validate({"name": "x", "download": {"source": "chat.txt"}})
    found = data_of(config, train, replies=70, examples=70, tokens=1000, longest=300)
    assert found == Data(70, {"de": 1.0}, 3000, 300)
    given = {"create_job": {"hyperparameters": {"n_epochs": 5, "batch_size": 4}}}
    found = data_of(
        Config.model_validate({"name": "x", **given}), train, replies=70, examples=70, tokens=1000, longest=300
    )
    assert (found.tokens, found.at_once, found.is_sample) == (5000, 1024, True)


def test_of_a_large_training_file_all_parts_are_looked_at(tmp_path: Path) -> None:
    train = tmp_path / "05_train.jsonl"
    line = {
        code: json.dumps({"messages": [{"role": "assistant", "content": CHATS[code]}]}) + "\n" for code in ("de", "fr")
    }
    with train.open("w") as file:
        for code in ("de", "fr"):
            for _ in range(25_000):
                file.write(line[code])
    config = Config.model_validate({"name": "x"})
    told = data_of(config, train, replies=1, examples=1, tokens=1, longest=1).languages
    assert sorted(told) == ["de", "fr"]
    assert min(told.values()) > 0.4


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (3, "about a minute"),
        (200, "about 3 min"),
        (1500, "about 25 min"),
        (5000, "about 85 min"),
        (9000, "about 2 h"),
        (200_000, "about 2 days"),
    ],
)
def test_a_time_is_no_more_exact_than_it_is(seconds: float, said: str) -> None:
    assert how_long(seconds) == said
