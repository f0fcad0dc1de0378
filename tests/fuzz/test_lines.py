"""JSONL, ours and OpenAI's: a line is what it should be, or it is refused by its number; trainer and checks agree."""

import json
from pathlib import Path

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.dataset.checks import check_example
from pipeline.errors import InputError
from pipeline.server.queue.validation import check_training_file
from pipeline.sessions.session import Message, Session, read_sessions
from pipeline.training.examples import ExamplesError, read_examples, read_preferences
from tests.fuzz.conftest import fuzz
from tests.fuzz.values import json_values, mutated, spoilt

EXAMPLE = {
    "messages": [
        {"role": "system", "content": "Be slow."},
        {"role": "user", "content": [{"type": "text", "text": "Who won?"}], "name": "Hare"},
        {"role": "assistant", "content": "I did.", "weight": 1},
    ]
}
SESSION = msgspec.to_builtins(Session("c", "direct", None, [Message("me", True, "2023-08-28T00:32:03Z", "Slow")]))
lines = st.one_of(
    spoilt(EXAMPLE).map(lambda value: json.dumps(value).encode()),
    json_values.map(lambda value: json.dumps(value).encode()),
    mutated(json.dumps(EXAMPLE).encode()),
    st.binary(max_size=50),
)


@fuzz(300)
@given(value=spoilt(EXAMPLE) | json_values)
def test_any_value_is_an_example_or_breaks_a_rule(value: object) -> None:
    broken = check_example(value)

    assert broken is None or (0 < len(broken) < 300 and "\n" not in broken)


@fuzz(300)
@given(line=lines)
@example(b"[" * 100_000)
@example(b'{"messages": ' + b"[" * 2000 + b"]" * 2000 + b"}")
@example(b"\xef\xbb\xbf" + json.dumps(EXAMPLE).encode())
@example(b'{"messages": [{"role": "assistant", "content": "\\ud800"}]}')
@example(b"9" * 10_000)
def test_a_line_is_trained_on_or_refused(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(line)

    wrong = check_training_file(path, "training_file", 1, "supervised", lambda: False)
    param, found = None, []
    try:
        found = list(read_examples(path, "training_file"))
    except ExamplesError as error:
        param = error.param
    assert param == "training_file" or wrong is not None or found


@fuzz(300)
@given(
    line=(spoilt(SESSION) | json_values).map(lambda value: json.dumps(value).encode())
    | mutated(json.dumps(SESSION).encode())
    | st.binary(max_size=50)
)
@example(b"[" * 100_000)
@example(b'{"id": "c", "kind": "direct", "title": null, "messages": [], "more": ' + b"[" * 5000 + b"]" * 5000 + b"}")
def test_a_session_is_read_or_refused_by_its_line(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "sessions.jsonl"
    path.write_bytes(line)
    refused = None
    try:
        list(read_sessions(path))
    except InputError as error:
        refused = str(error)
    assert refused is None or refused.startswith(f"{path}:")


def test_the_valid_documents_are_valid(tmp_path: Path) -> None:
    assert check_example(EXAMPLE) is None
    path = tmp_path / "sessions.jsonl"
    path.write_text(json.dumps(SESSION))
    assert [session.id for session in read_sessions(path)] == ["c"]


PAIR = {
    "input": {"messages": [{"role": "user", "content": "Who won?"}], "tools": [], "parallel_tool_calls": True},
    "preferred_output": [{"role": "assistant", "content": "The tortoise."}],
    "non_preferred_output": [{"role": "assistant", "content": "The hare."}],
}


@fuzz(200)
@given(document=spoilt(PAIR))
def test_a_pair_that_passes_is_trained_on_or_refused_by_name(tmp_path: Path, document: object) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(document))

    wrong = check_training_file(path, "training_file", 1, "dpo", lambda: False)
    param, found = None, []
    try:
        found = list(read_preferences(path, "training_file"))
    except ExamplesError as error:
        param = error.param
    assert param == "training_file" or wrong is not None or found
