"""Step 10: the tuned model is asked, beside its base, and what it says is kept whatever it is."""

import json
from typing import Any

import msgspec
import pytest

from pipeline.durable import describe_artifact
from pipeline.errors import ExpectationNotMet, FinetuneError
from pipeline.steps import smoke_test
from pipeline.steps.outputs import Convert, PollJob, SmokeTest
from tests.fault_server import Fault, FaultServer
from tests.steps.bench import Bench, made_by_convert

TUNED = "ft:m:org:x"


@pytest.fixture
def convert(bench: Bench, server: FaultServer) -> Convert:
    server.commit_job({"model": "m", "training_file": "file-1"})["fine_tuned_model"] = TUNED
    return made_by_convert(bench)


def asked(bench: Bench, convert: Convert, model: str = "m", **keys: Any) -> SmokeTest:
    config = bench.config(smoke_test=keys, create_job={"model": model})
    return smoke_test.run(config, PollJob(TUNED, None, None), convert, None, bench.work)


def exchanges(bench: Bench) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads((bench.run_dir / "10_smoke_test.json").read_bytes())
    return told


def test_both_models_are_asked_and_the_transcript_holds_what_they_said(bench: Bench, convert: Convert) -> None:
    made = asked(bench, convert, prompts=["Who wins?"])
    assert made.answers == 2
    assert made.transcript == describe_artifact(bench.run_dir, "10_smoke_test.json")
    (exchange,) = exchanges(bench)
    assert [exchange[who].pop("seconds") >= 0 for who in ("tuned", "base")] == [True, True]
    assert exchange == {
        "system_prompt": "You are speaking to hare.",
        "prompt": "Who wins?",
        "temperature": 0.0,
        "tuned": {"model": TUNED, "text": "Slow and steady.", "tokens": 3},
        "base": {"model": "m", "text": "Slow and steady.", "tokens": 3},
        "unmet": [],
    }
    assert bench.notes == [
        "system: You are speaking to hare.",
        "user: Who wins?",
        "tuned: Slow and steady.",
        "base: Slow and steady.",
    ]


def test_without_compare_base_the_tuned_model_alone_is_asked(
    bench: Bench, server: FaultServer, convert: Convert
) -> None:
    assert asked(bench, convert, compare_base=False, prompts=["a", "b"]).answers == 2
    assert [exchange["base"] for exchange in exchanges(bench)] == [None, None]
    assert server.requests["chat"] == 2


def test_a_base_that_is_not_served_is_said_and_no_failure(bench: Bench, convert: Convert) -> None:
    assert asked(bench, convert, model="ft:gone").answers == 1
    assert bench.notes[-1] == "the server at base_url does not serve ft:gone itself"


@pytest.mark.parametrize(
    ("expect", "unmet"),
    [
        ({"regex": "hurry"}, "no match for 'hurry'"),
        ({"max_tokens": 2}, "3 tokens, expected at most 2"),
        ({"regex": "^Slow", "max_tokens": 3}, None),
        ({}, None),
    ],
)
def test_an_answer_must_be_as_expected(
    bench: Bench, convert: Convert, expect: dict[str, Any], unmet: str | None
) -> None:
    prompts = [{"prompt": "Who wins?", "expect": expect}]
    if unmet is None:
        asked(bench, convert, prompts=prompts)
        return
    with pytest.raises(ExpectationNotMet) as caught:
        asked(bench, convert, prompts=prompts)
    assert str(caught.value) == (
        f"smoke_test: {TUNED} did not answer as expected (prompt 1: {unmet}). Read {bench.run_dir}/10_smoke_test.json; "
        "change the data, the training or smoke_test.prompts."
    )
    assert exchanges(bench)[0]["unmet"] == [unmet]


def test_an_empty_answer_is_none(bench: Bench, server: FaultServer, convert: Convert) -> None:
    server.says = ""
    with pytest.raises(ExpectationNotMet, match="the answer is empty"):
        asked(bench, convert, prompts=[{"prompt": "Who wins?", "expect": {}}])


@pytest.mark.parametrize(
    ("keys", "prompt"),
    [({}, "You are speaking to hare."), ({"system_prompt": "Hi."}, "Hi."), ({"system_prompt": None}, None)],
)
def test_the_model_is_asked_with_the_prompt_that_the_config_says(
    bench: Bench, convert: Convert, keys: dict[str, Any], prompt: str | None
) -> None:
    asked(bench, msgspec.structs.replace(convert, system_prompt="Of training."), **keys)
    assert exchanges(bench)[0]["system_prompt"] == prompt


@pytest.mark.parametrize("kind", [500, "garbage", "nulls"])
def test_a_backend_that_fails_or_makes_no_sense_is_one_message_and_leaves_no_transcript(
    bench: Bench, server: FaultServer, convert: Convert, kind: str | int
) -> None:
    server.faults.append(Fault("chat", kind, times=99))
    with pytest.raises(FinetuneError) as caught:
        asked(bench, convert)
    assert (caught.value.where, caught.value.exit_code) == ("smoke_test", 75)
    assert not (bench.run_dir / "10_smoke_test.json").exists()
