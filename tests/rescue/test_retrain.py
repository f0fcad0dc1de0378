"""The successor's config is made of what was fetched: the user's own examples as they stand, answers only if told."""

import json
from pathlib import Path

import pytest
import yaml

from pipeline.rescue.folders import folder_of
from pipeline.rescue.retrain import name_for
from tests.rescue.conftest import Rescue
from tests.rescue.dressed import BASE, DressedServer, example, jsonl

MODEL = f"ft:{BASE}:org:tortoise:m01"
FOLDER = folder_of(Path("rescue"), MODEL)
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


def fetched(dressed: DressedServer, rescue: Rescue, train: bytes | int) -> None:
    dressed.add(1, validation_file="file-valid")
    dressed.files |= {"file-train-01": train, "file-valid": jsonl([example(40), example(41)])}
    assert rescue("fetch").code == 0


def learnt() -> list[dict[str, object]]:
    return [json.loads(line) for line in (FOLDER / "learn.jsonl").read_bytes().splitlines()]


def test_it_learns_from_the_users_own_examples_as_they_stand(dressed: DressedServer, rescue: Rescue) -> None:
    rows = [example(n) for n in range(12)]
    fetched(dressed, rescue, b"\xef\xbb\xbf" + jsonl(rows))
    done = rescue("retrain", "m01", keys=())
    assert done.code == 0
    assert done.out.splitlines()[0] == "It learns from 12 examples of your own training file."
    assert learnt() == rows
    config = yaml.safe_load((FOLDER / "retrain.yaml").read_text(encoding="utf-8"))
    assert config == {
        "name": "rescued-tortoise-m01",
        "download": {"source": f"{FOLDER}/learn.jsonl"},
        "load": {"source": "examples"},
        "convert": {"preset": "ready"},
        "create_job": {"seed": 42},
        "smoke_test": {"prompts": ["Question 40?", "Question 41?", "Question 0?"]},
    }


def test_what_the_embedded_trainer_cannot_learn_is_left_out_and_said(dressed: DressedServer, rescue: Rescue) -> None:
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:…"}}]}
    pair = {"input": {"messages": [image]}, "preferred_output": [{"role": "assistant", "content": "a"}],
            "non_preferred_output": [{"role": "assistant", "content": "b"}]}  # fmt: skip
    shown = {"messages": [image, {"role": "assistant", "content": "A tortoise."}]}
    pair["input"] = {"messages": [{"role": "user", "content": "Hi"}]}
    fetched(dressed, rescue, jsonl([example(1), example(2, tools=[TOOL]), shown, pair]) + b"nothing\n")
    done = rescue("retrain", "m01", keys=())
    assert sorted(done.err.splitlines()) == [
        "Left out: 1 example, a pair of answers (DPO).",
        "Left out: 1 example, more than text, which the embedded trainer does not learn.",
        "Left out: 1 example, no JSON.",
        "Left out: 1 example, with tools, which the embedded trainer does not learn.",
    ]
    assert learnt() == [example(1)]
    rescue("retrain", "m01", "--backend", "openai", "--base-model", "gpt-4.1-nano-2025-04-14", keys=())
    assert learnt() == [example(1), example(2, tools=[TOOL]), shown]


def test_recorded_answers_are_learnt_only_if_told_and_never_held_out_ones(
    dressed: DressedServer, rescue: Rescue
) -> None:
    fetched(dressed, rescue, jsonl([example(n) for n in range(4)]))
    assert rescue("record", "m01", "--max-cost", "1", "--samples", "0").code == 0
    rescue("retrain", "m01", keys=())
    assert len(learnt()) == 4
    done = rescue("retrain", "m01", "--distill", keys=())
    assert done.out.splitlines()[:2] == [
        "It learns from 4 examples of your own training file and 2 recorded answers.",
        "The provider's terms limit what its models' answers may be used for: read https://openai.com/policies before "
        "you train on them.",
    ]
    said = [row["messages"][-1]["content"] for row in learnt()]  # type: ignore[index]
    assert said[4:] == ["I say 1 to that.", "I say 3 to that."]


def test_without_a_training_file_there_is_nothing_to_learn_from_but_answers(
    dressed: DressedServer, rescue: Rescue
) -> None:
    fetched(dressed, rescue, 404)
    done = rescue("retrain", "m01", keys=())
    assert done.code == 2
    assert f"error: retrain: nothing to learn from in {FOLDER}. " in done.err


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("ft:gpt-4o:org:my suffix:A1", "rescued-my-suffix-A1"),
        ("ft:gpt-4o:org::A1", "rescued-A1"),
        ("gpt-4.1-mini-2025-04-14.ft-0123", "rescued-gpt-4.1-mini-2025-04-14.ft-0123"),
    ],
)
def test_a_run_is_named_after_the_model(model: str, name: str) -> None:
    assert name_for(model) == name
