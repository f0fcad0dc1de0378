import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.archives import json_file, typed_json
from pipeline.archives.json_file import Value, values
from pipeline.archives.members import Members
from pipeline.archives.typed_json import NOTHING, value_of
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


class Row(msgspec.Struct):
    a: Any = None
    raw: msgspec.Raw = NOTHING
    renamed: Any = msgspec.field(default=msgspec.UNSET, name="b c")


# Texts and items within items that look like what stands between two items; half characters; numbers too large.
lookalikes = st.sampled_from(['}, {"a"', '"}, {"a": "', "}]", "\ud83d", "\\", "😀", 10**400, -0.0])
inner = st.recursive(
    scalars | lookalikes,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(["a", "raw", "d"]), each, max_size=3),
    max_leaves=6,
)
rows = st.dictionaries(st.sampled_from(["a", "raw", "b c", "other"]), inner, max_size=4)


def as_row(item: Any) -> Any:
    """What is to become of an item."""
    if not isinstance(item, dict):
        return None
    return item.get("a"), item.get("raw"), item.get("b c", msgspec.UNSET)


@settings(max_examples=120)
@given(
    st.lists(rows | scalars, max_size=3), rows, st.integers(1, 30), st.integers(1, 60), st.integers(1, 200),
    st.sampled_from([None, 1, 2]), st.booleans(), st.booleans(),
)  # fmt: skip
def test_items_of_a_kind_are_what_they_are_when_they_are_read_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, some: list[Any], usual: Any, times: int, smallest: int, block: int,
    indent: int | None, is_ascii: bool, is_object: bool,
) -> None:  # fmt: skip
    items = [usual] * times + some + [usual] * times + some[::-1]
    held: Any = {f"{n}{usual.get('a')}"[:9].encode("ascii", "ignore").decode(): item for n, item in enumerate(items)}
    document = {"messages": held if is_object else items, "after": 1}
    path = tmp_path_factory.mktemp("json") / "x.json"
    path.write_text(json.dumps(document, indent=indent, ensure_ascii=is_ascii), "utf-8", "replace")
    items = json.loads(path.read_text("utf-8"))["messages"]
    with pytest.MonkeyPatch.context() as patch, Members(path) as members:
        patch.setattr(json_file, "BLOCK", block)
        patch.setattr(typed_json, "_SMALLEST", smallest)
        patch.setattr(typed_json, "_USUAL", 2 * smallest)
        patch.setattr(typed_json, "_FEW", 1)
        *batches, last = values(members.all[0], {"messages": Row})
    found = [each for batch in batches for each in batch.value]  # type: ignore[attr-defined]
    assert last == Value(("after",), 1)
    assert [each and (each.a, value_of(each.raw), each.renamed) for each in found] == [
        as_row(item) for item in (items.values() if is_object else items)
    ]


def test_both_of_one_key_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"messages": {' + ", ".join(['"1": {"a": 1}'] * 9999) + "}}")
    with Members(tmp_path / "x.json") as members:
        batches = list(values(members.all[0], {"messages": Row}))
    assert len([row for batch in batches for row in batch.value]) == 9999  # type: ignore[attr-defined]


@pytest.mark.parametrize("indent", [None, 1, 4])
@pytest.mark.parametrize("is_object", [False, True])
def test_hardly_any_item_of_a_long_list_is_read_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indent: int | None, *, is_object: bool
) -> None:
    items: list[dict[str, object]] = [
        {"a": n, "other": [{"a": "}, {"}], "more": {"x": {}}, "raw": "\ud83d" if n == 5000 else "é"}
        for n in range(10_000)
    ]
    document = {"messages": dict(enumerate(items)) if is_object else items}
    (tmp_path / "x.json").write_text(json.dumps(document, indent=indent))
    one_by_one: list[object] = []

    def made(kind: type[Row], row: dict[str, object]) -> Row:
        one_by_one.append(row)
        return typed_json.struct_of(kind, row)

    monkeypatch.setattr(json_file, "struct_of", made)
    with Members(tmp_path / "x.json") as members:
        found = [row for batch in values(members.all[0], {"messages": Row}) for row in batch.value]  # type: ignore[attr-defined]
    assert [row.a for row in found] == list(range(10_000))
    assert len(one_by_one) < 200
