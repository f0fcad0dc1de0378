"""Training examples that are ready go through the local steps as they stand."""

import json
from typing import Any

import pytest

from pipeline.dataset.funnel import Lost
from pipeline.dataset.preset import inference_prompt
from pipeline.dataset.ready import Ready
from pipeline.dataset.tokens import tokens_of
from pipeline.errors import InputError
from pipeline.sessions.stream import BLOCK
from pipeline.steps import convert, load, merge
from pipeline.steps import map as map_step
from pipeline.steps.outputs import Convert, Download
from tests.steps.bench import Bench

TOLD = {"role": "system", "content": "You are Ada."}
TOOL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def line(number: int, *first: dict[str, Any], **more: Any) -> str:
    """An example with two of one role in a row, and what is not to be learnt."""
    messages = [
        {"role": "user", "content": f"Hi {number}", "name": "Ann"},
        {"role": "user", "content": [{"type": "text", "text": "there"}]},
        {"role": "assistant", "content": "What?", "weight": 0},
        {"role": "assistant", "content": f"Ho {number}"},
    ]
    return json.dumps({"messages": [*first, *messages], **more}, separators=(", ", ":") if number % 2 else None)


def converted(bench: Bench, lines: list[str], *, load_keys: dict[str, Any] | None = None, **keys: Any) -> Convert:
    archive = bench.put("01_archive.jsonl", "".join(f"{each}\n" for each in lines).encode())
    config = bench.config(load=load_keys or {}, convert={"preset": "ready", **keys})
    loaded = load.run(config, Download(archive), bench.work)
    merged = merge.run(config, loaded, bench.work)
    return convert.run(config, map_step.run(config, merged, bench.work), loaded, bench.work)


def test_the_lines_are_written_as_they_stand_and_every_message_is_accounted_for(bench: Bench) -> None:
    lines = [line(number, TOLD, tools=[{"messages": [{}], "people": 1}]) for number in range(11)]
    lines.append(line(11, {"role": "system", "content": "Another."}))
    made = converted(bench, lines)
    assert bench.read(made.train).decode().splitlines() == lines
    assert (made.examples, made.funnel.archive, made.funnel.target, made.funnel.context) == (12, 60, 12, 48)
    assert made.funnel.own_context == {Lost.WEIGHT: 12}
    assert made.system_prompt == "You are Ada."
    config = bench.config(convert={"preset": "ready"})
    assert inference_prompt(config, made.system_prompt) == "You are Ada."


def test_an_example_of_more_than_a_block_comes_through_whole(bench: Bench) -> None:
    long = [{"role": "user", "content": f"{number} " + "x" * 1000} for number in range(BLOCK // 900)]
    lines = [line(number, *(long if number == 3 else [])) for number in range(10)]
    assert bench.read(converted(bench, lines).train).decode().splitlines() == lines


def test_some_are_held_out_and_each_line_stands_in_one_file(bench: Bench) -> None:
    lines = [line(number) for number in range(20)]
    first, again = (converted(bench, lines, validation_fraction=0.1) for _ in range(2))
    assert first == again
    assert first.valid is not None
    both = bench.read(first.train).decode().splitlines() + bench.read(first.valid).decode().splitlines()
    assert (sorted(both), first.valid_examples, first.funnel.held_out_targets) == (sorted(lines), 2, 2)


def test_tools_and_all_words_are_counted(bench: Bench) -> None:
    plain = converted(bench, [line(0)] * 10)
    described = converted(bench, [line(0, tools=[{"type": "function", "function": {"name": "f" * 3500}}])] * 10)
    assert 1000 <= described.tokens_median - plain.tokens_median <= 1020


def test_what_the_trainer_will_cut_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "most_tokens", lambda _: 64)
    long = {"role": "user", "content": "x" * 700}
    converted(bench, [line(number, *([long] if number == 3 else [])) for number in range(10)])
    assert bench.notes[-1] == (
        "WARNING: 1 example is longer than the 64 tokens that the trainer takes, and will be cut: about 1 of 10 "
        "replies will not be learnt. Shorten them, or make several of one."
    )


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ({"role": "assistant", "content": None, "tool_calls": [TOOL]}, "Expected `str | array`, got `null`"),
        ({"role": "tool", "tool_call_id": "1", "content": "x"}, "Invalid enum value 'tool'"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
            "Invalid value 'image_url'",
        ),
    ],
)
def test_what_the_embedded_trainer_cannot_learn_is_told_before_anything_is_sent(
    bench: Bench, message: dict[str, Any], what: str
) -> None:
    made = converted(bench, [line(1, message)] * 10)
    assert made.examples == 10, "another backend may know it"
    ready = Ready(bench.run_dir / "04_mapped.jsonl", tokens_of("m", "estimate"), text_only=True)
    with pytest.raises(InputError) as caught, (bench.run_dir / "x").open("wb") as file:
        ready.write(file, lambda: file)
    assert str(caught.value).startswith(
        f"01_archive.jsonl:1: the embedded trainer learns from text alone ({what} - at `$.messages[0]"
    )
    assert str(caught.value).endswith(
        ". Take out what is no text, or train on a backend that takes it; docs/backends.md names some."
    )


def test_too_few_are_refused(bench: Bench) -> None:
    with pytest.raises(InputError) as caught:
        converted(bench, [line(1)] * 9)
    assert str(caught.value) == (
        "convert.min_examples: needs at least 10 examples to train on, got 9. Add more examples "
        "(OpenAI and the embedded server refuse fewer than 10)."
    )


def test_another_preset_is_refused_before_and_after_the_loading(bench: Bench) -> None:
    lines = [line(number) for number in range(10)]
    expected = (
        "convert.preset: the archive holds training examples already, which are learnt as they are, got texting. "
        "Set `convert.preset: ready`."
    )
    with pytest.raises(InputError) as caught:
        converted(bench, lines, preset="texting")
    assert str(caught.value) == expected
    archive = bench.put("01_archive.jsonl", "\n".join(lines).encode())
    loaded = load.run(bench.config(convert={"preset": "ready"}), Download(archive), bench.work)
    config = bench.config(convert={"preset": "texting"})
    mapped = map_step.run(config, merge.run(config, loaded, bench.work), bench.work)
    with pytest.raises(InputError) as caught:
        convert.run(config, mapped, loaded, bench.work)
    assert str(caught.value) == expected


def test_chats_are_refused_with_the_preset_for_examples(bench: Bench) -> None:
    row = '{"conversation": "a", "sender": "Ann", "text": "Hi"}'
    with pytest.raises(InputError) as caught:
        converted(bench, [row])
    assert str(caught.value) == (
        "convert.preset: this preset takes training examples, and the archive holds chats, got ready. "
        "Set `convert.preset: texting`."
    )


def test_chats_and_examples_are_not_read_as_one(bench: Bench) -> None:
    archive = bench.put("01_archive-1.jsonl", line(1).encode())
    other = bench.put("01_archive-2.jsonl", b'{"conversation": "a", "sender": "Ann", "text": "Hi"}\n')
    with pytest.raises(InputError) as caught:
        load.run(bench.config(convert={"preset": "ready"}), Download(archive, (other,)), bench.work)
    assert str(caught.value) == (
        "download.source: some of these archives hold chats, others training examples that are ready. "
        "Make two runs of them, or write the examples of both into one file."
    )
