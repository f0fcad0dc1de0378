"""Step 5: examples in two files, every message accounted for."""

import json
from typing import Any

import msgspec
import pytest

from pipeline.dataset.funnel import Unaccounted
from pipeline.durable import Artifact
from pipeline.errors import InputError
from pipeline.sessions.session import Message, Session
from pipeline.sessions.transform import map_roles
from pipeline.steps import convert
from pipeline.steps.outputs import Convert, Load, Map
from tests.steps.bench import Bench

NOWHERE = Artifact("02_sessions.jsonl", "", 0)


def sessions(number: int) -> list[Session]:
    """Of two messages each, a question and the assistant's answer."""
    said = [("Ann", "Slow?"), ("me", "Steady.")]
    made = []
    for n in range(number):
        messages = [Message(who, who == "me", f"2023-01-{n + 1:02}T10:00:00Z", f"{what} {n}") for who, what in said]
        made.append(Session(f"s{n}", "direct", None, messages))
    return made


def converted(bench: Bench, number: int = 12, messages: int | None = None, **keys: Any) -> Convert:
    mapped = [map_roles(session, "me") for session in sessions(number)]
    lines = b"".join(msgspec.json.encode(session) + b"\n" for session in mapped)
    load = Load(NOWHERE, number, 2 * number if messages is None else messages, {})
    made = Map(bench.put("04_mapped.jsonl", lines), number, number)
    return convert.run(bench.config(convert=keys), made, load, bench.work)


def test_each_session_is_an_example_in_openais_format(bench: Bench) -> None:
    made = converted(bench, system_prompt="You are me.")
    lines = bench.read(made.train).splitlines()
    assert (made.examples, made.valid, len(lines)) == (12, None, 12)
    assert json.loads(lines[0]) == {
        "messages": [
            {"role": "system", "content": "You are me."},
            {"role": "user", "content": "Slow? 0"},
            {"role": "assistant", "content": "Steady. 0"},
        ]
    }
    assert made.system_prompt == "You are me."
    assert made.tokens_least <= made.tokens_median <= made.tokens_most <= made.tokens
    assert (made.funnel.target, made.funnel.context) == (12, 12)


def test_some_are_held_out_the_same_each_time_and_none_stands_in_both_files(bench: Bench) -> None:
    first, again = (converted(bench, 40, validation_fraction=0.25) for _ in range(2))
    assert first == again
    assert first.valid is not None
    train, valid = (set(bench.read(each).splitlines()) for each in (first.train, first.valid))
    assert (len(train), len(valid)) == (first.examples, first.valid_examples)
    assert not train & valid
    assert 0 < len(valid) < len(train)


def test_too_little_to_measure_with_is_said(bench: Bench) -> None:
    made = converted(bench, preset="texting", validation_fraction="auto")
    assert (made.valid, made.valid_examples) == (None, 0)
    assert (
        "nothing is held out: a tenth of these chats has fewer than 30 replies that are not learnt elsewhere, "
        "too few to measure the model with"
    ) in bench.notes


def test_a_validation_file_of_an_earlier_config_is_removed(bench: Bench) -> None:
    converted(bench, 40, validation_fraction=0.25)
    assert converted(bench, 40).valid is None
    assert not (bench.run_dir / "05_valid.jsonl").exists()


def test_too_few_examples_are_refused_and_the_file_of_before_stays(bench: Bench) -> None:
    before = converted(bench).train
    with pytest.raises(InputError) as caught:
        converted(bench, 9)
    assert str(caught.value) == (
        "convert.min_examples: needs at least 10 examples to train on, got 9. Load more conversations "
        "(OpenAI and the embedded server refuse fewer than 10)."
    )
    bench.read(before)


def test_a_message_that_got_lost_is_a_bug_of_ours_and_said_so(bench: Bench) -> None:
    with pytest.raises(Unaccounted):
        converted(bench, messages=25)
    assert not (bench.run_dir / "05_train.jsonl").exists()


def test_texting_learns_own_turns_and_knows_with_whom(bench: Bench) -> None:
    made = converted(bench, preset="texting", me="Ann's friend")
    examples = [json.loads(line) for line in bench.read(made.train).splitlines()]
    assert made.system_prompt == "You are Ann's friend, texting Ann on a messenger."
    assert made.funnel.target == 12
    assert not made.weights, "the server at base_url is not known to understand them"
    assert {example["messages"][-1]["role"] for example in examples} == {"assistant"}
