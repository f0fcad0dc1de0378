"""Training examples that are ready: recognised, checked line by line, carried as they stand."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.archives.filters import Filters
from pipeline.archives.recognise import recognise
from pipeline.errors import InputError
from pipeline.sessions.session import LONGEST, OWNER
from tests.archives.exports import EXPORTS
from tests.archives.reading import read

ROOT = Path(__file__).parents[2]
GOOD = '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}'
ODD = (
    '{ "messages":[{"role":"developer","content":"é\\u00e9"},{"role":"user","name":"Ann","content":'
    '[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:"}}]},{"role":"assistant","weight":0,'
    '"content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},'
    '{"role":"tool","tool_call_id":"1","content":"}],\\"people\\":"},{"role":"assistant","content":"b"}],'
    '"tools":[{"messages":[{"x":1}],"people":2}]}'
)
SHOWN = "docs/jsonl.md shows what a line holds."


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train.jsonl"


def test_each_line_is_a_conversation_that_carries_it_as_it_stands(path: Path) -> None:
    path.write_text(f"\ufeff{GOOD}\r\n\n  {ODD}  \n", encoding="utf-8")
    found = read(path)
    assert [session.example for session in found.sessions] == [GOOD, ODD]
    assert [session.id for session in found.sessions] == ["train.jsonl:1", "train.jsonl:3"]
    assert found.said == [
        ("user", "Hi"),
        (OWNER, "Ho"),
        ("developer", "éé"),
        ("user", "a[image_url]"),
        (OWNER, '[calls {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]'),
        ("tool", '}],"people":'),
        (OWNER, "b"),
    ]
    assert [message.role for message in found.sessions[0].messages] == ["user", "assistant"]


def test_a_file_of_one_example_a_line_is_recognised_by_its_content(path: Path) -> None:
    path.with_suffix(".txt").write_text(GOOD)
    found = recognise(path.with_suffix(".txt"))
    assert (found.source, found.what) == ("examples", "training examples in OpenAI's form")


def test_a_first_line_that_is_longer_than_what_is_looked_at_is_recognised_too(path: Path) -> None:
    path.write_text(GOOD.replace("Hi", "long " * 20_000) + "\n")
    assert recognise(path).source == "examples"
    assert len(read(path).sessions) == 1


def test_several_files_of_a_folder_are_read_as_one(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.ndjson", "notes.md"):
        (tmp_path / name).write_text(GOOD + "\n")
    assert [session.id for session in read(tmp_path).sessions] == ["a.ndjson:1", "b.jsonl:1"]


@pytest.mark.parametrize("name", EXPORTS)
def test_no_export_of_an_app_is_taken_for_it(name: str, tmp_path: Path) -> None:
    assert recognise(EXPORTS[name](tmp_path)).source != "examples"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f"{GOOD},", f"JSON is malformed: trailing characters (byte {len(GOOD) + 1})"),
        ('{"messages": [{"role": "user", "content": "a"}', "Input data was truncated"),
        ('{"messages": [{"role": "user", "content": "a"}]}', "no assistant message to learn from"),
        (GOOD[:-1] + ', "metadata": {}}', "unknown key `metadata`"),
        (GOOD.replace('"Ho"', '"Ho", "weight": 2'), "message 2: `weight` is neither 0 nor 1"),
        (GOOD.replace('"Hi"', "null"), "message 1: no `content`"),
        (
            GOOD.replace("Hi", "\\ud83d"),
            "JSON is malformed: unexpected end of escaped utf-16 surrogate pair (byte 49)",
        ),
        (GOOD.replace("Hi", "x" * (LONGEST + 1)), "message 1: more than a million characters"),
        ("[" * 10_000, "JSON is nested too deeply"),
        ('{"prompt": "a", "completion": "b"}', "unknown key `completion`"),
    ],
)
def test_a_line_that_breaks_a_rule_is_named_with_what_is_wrong(path: Path, line: str, what: str) -> None:
    path.write_text(f"{GOOD}\n\n{line}\n")
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value) == f"{path}:3: no training example ({what}). {SHOWN}"


def test_bytes_that_are_no_text_are_named_too(path: Path) -> None:
    path.write_bytes(GOOD.encode() + b"\n" + GOOD.encode().replace(b"Hi", b"\xff") + b"\n")
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}:2: no training example \(.*utf-?8"):
        read(path)


JQ = "Write each on a line of its own with `jq -c '{}' FILE > train.jsonl`, and give that."
PAIR = {
    "input": {"messages": [{"role": "user", "content": "x"}]},
    "preferred_output": [{"role": "assistant", "content": "y"}],
    "non_preferred_output": [{"role": "assistant", "content": "z"}],
}


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        (f"[{GOOD}, {GOOD}]", "training examples, but not one on each line", JQ.format(".[]")),
        (
            json.dumps([json.loads(GOOD)], indent=1),
            "training examples, but not one on each line",
            JQ.format(".[]"),
        ),
        (json.dumps(json.loads(GOOD), indent=1), "training examples, but not one on each line", JQ.format(".")),
        (
            '{"prompt": "a", "completion": "b"}',
            "prompts with completions, not chats to learn from",
            JQ.format('{messages:[{role:"user",content:.prompt},{role:"assistant",content:.completion}]}'),
        ),
        (
            '{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}',
            "training examples in ShareGPT's form",
            JQ.format(
                '{messages:[.conversations[]|{role:({human:"user",gpt:"assistant"}[.from]//.from),content:.value}]}'
            ),
        ),
        (
            '{"instruction": "a", "input": "", "output": "b"}',
            "training examples in Alpaca's form",
            JQ.format(
                '{messages:[{role:"user",content:([.instruction,.input]|map(strings|select(length>0))|join("\\n"))},'
                '{role:"assistant",content:.output}]}'
            ),
        ),
        (
            json.dumps(PAIR),
            "pairs of answers to choose from (DPO), which the ten steps do not train",
            "Run `finetune serve`, and give the file to its API for a job with the method dpo; docs/server.md says "
            "how.",
        ),
    ],
)
def test_training_data_of_another_form_is_answered_with_how_to_make_it_of_this(
    path: Path, text: str, what: str, fix: str
) -> None:
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        recognise(path)
    assert str(caught.value) == f"{path}: {what}. {fix}"


def test_filters_are_for_chats(path: Path) -> None:
    path.write_text(GOOD)
    with pytest.raises(InputError) as caught:
        read(path, filters=Filters(only_people=("user",)))
    assert str(caught.value) == (
        "load: filters and `people` are for chats, and the archive holds training examples, which stay as they are. "
        "Take them out of `load`."
    )


def test_an_empty_file_holds_none(path: Path) -> None:
    path.write_text("\n")
    with pytest.raises(InputError) as caught:
        read(path, "examples")
    assert str(caught.value) == f"{path}: no training examples. {SHOWN}"


def test_the_lines_of_the_documentation_are_read(path: Path) -> None:
    page = (ROOT / "docs" / "jsonl.md").read_text(encoding="utf-8")
    path.write_text(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[1])
    assert len(read(path).sessions) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(0, len(ODD)), st.binary(max_size=4))
def test_a_damaged_line_is_refused_in_words_or_kept_as_it_stands(path: Path, at: int, put: bytes) -> None:
    data = ODD.encode()
    data = data[:at] + put + data[at + len(put) :]
    path.write_bytes(data)
    try:
        found = read(path, "examples")
    except InputError as error:
        assert str(error).startswith(f"{path}")  # noqa: PT017 - either is right
    else:
        assert "\n".join(str(session.example) for session in found.sessions).encode() == data.strip()
