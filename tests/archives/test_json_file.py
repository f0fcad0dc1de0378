import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.archives import json_file
from pipeline.archives.json_file import Value, values
from pipeline.archives.members import Members
from pipeline.errors import InputError

scalars = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text()
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
)


def read(path: Path, lists: set[str] | None = None) -> list[Value]:
    with Members(path) as members:
        (member,) = members
        return list(values(member, lists or set()))


def flat(document: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    if isinstance(document, dict):
        return [each for key, value in document.items() for each in flat(value, (*path, key))]
    if isinstance(document, list):
        return [each for n, value in enumerate(document) for each in flat(value, (*path, n))]
    return [(path, document)]


@settings(max_examples=150)
@given(documents, st.integers(1, 12), st.sampled_from([None, 1]))
def test_every_value_comes_out_with_its_path_however_little_is_read_at_a_time(
    tmp_path_factory: pytest.TempPathFactory, document: Any, block: int, indent: int | None
) -> None:
    path = tmp_path_factory.mktemp("json") / "x.json"
    path.write_text(json.dumps(document, indent=indent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_file, "BLOCK", block)
        assert [tuple(each) for each in read(path)] == flat(document)


@settings(max_examples=100)
@given(st.lists(documents, max_size=6), st.integers(1, 40))
def test_a_long_list_comes_in_batches_that_are_the_list(
    tmp_path_factory: pytest.TempPathFactory, items: list[Any], block: int
) -> None:
    path = tmp_path_factory.mktemp("json") / "x.json"
    path.write_text(json.dumps({"name": "a", "messages": items, "after": 1}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_file, "BLOCK", block)
        first, *batches, last = read(path, {"messages"})
    assert (first, last) == (Value(("name",), "a"), Value(("after",), 1))
    assert [each for batch in batches for each in batch.value] == items  # type: ignore[attr-defined]
    assert {batch.path for batch in batches} == {("messages",)}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_encodings_of_editors_are_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "x.json").write_bytes('{"a": "tschüß 🐢",\r\n "b": 1}'.encode(encoding))
    assert read(tmp_path / "x.json") == [Value(("a",), "tschüß 🐢"), Value(("b",), 1)]


@pytest.mark.parametrize("block", range(1, 9))
def test_telegrams_hex_escapes_are_read_and_backslashes_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(json_file, "BLOCK", block)
    (tmp_path / "x.json").write_text(r'{"messages": ["a\x0Bb", "C:\\x0B", "\\\x0b"]}')
    batches = read(tmp_path / "x.json", {"messages"})
    assert [each for batch in batches for each in batch.value] == ["a\x0bb", r"C:\x0B", "\\\x0b"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "near byte 0: expecting value"),
        ('{"a": [1, 2', "near byte 11: it ends too early"),
        ('{"messages": [{"a": 1}, {"b', "near byte 24: unterminated string starting at"),
        ('{"a" 1}', "near byte 5: a colon is missing"),
        ("{1: 2}", "near byte 1: a key is missing"),
        ('{"a": 1} {', "near byte 9: something follows its end"),
        ('{"a": nul}', "near byte 6: expecting value"),
        ("[" * 60, "near byte 41: nested more than 40 times"),
    ],
)
def test_what_is_damaged_is_said_with_its_place(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    message = f"{path}: JSON that is damaged or cut off {what}. Export it again, or take it out of its zip again."
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read(path, {"messages"})


def test_bytes_that_are_no_text_are_said(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(InputError, match="it holds bytes that are no text"):
        read(tmp_path / "x.json")


def test_a_value_without_an_end_is_not_read_to_the_end_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_file, "LARGEST", 1000)
    monkeypatch.setattr(json_file, "BLOCK", 100)
    (tmp_path / "x.json").write_text('{"messages": ["' + "x" * 5000)
    with pytest.raises(InputError, match=r"a value of more than 1,000 characters, or one that does not end"):
        read(tmp_path / "x.json", {"messages"})


@pytest.mark.parametrize("depth", [2000, 100_000])
def test_an_item_that_is_nested_too_deeply_is_refused(tmp_path: Path, depth: int) -> None:
    (tmp_path / "x.json").write_text('{"messages": [' + "[" * depth + "]" * depth + "]}")
    with pytest.raises(InputError, match="a value nested too deeply"):
        read(tmp_path / "x.json", {"messages"})
