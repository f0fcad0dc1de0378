"""A document that is decoded at once, and one that is read piece by piece, are the same to readers."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.archives.members import Members
from pipeline.archives.typed_json import NOTHING, decoded, is_there, struct_of, value_of


class Row(msgspec.Struct):
    name: Any = None
    kind: Any = msgspec.field(default=None, name="type")
    files: msgspec.Raw = NOTHING


DECODER = msgspec.json.Decoder(list[Row])


def read(path: Path, content: bytes) -> list[Row] | None:
    path.write_bytes(content)
    with Members(path) as members:
        return decoded(members.all[0], DECODER)


@pytest.mark.parametrize(
    "row",
    [{"name": "a", "type": 1, "files": [1]}, {"files": None, "more": {}}, {"files": {}}, {"name": None, "type": None}],
)
def test_both_ways_lead_to_the_same_rows(tmp_path: Path, row: dict[str, object]) -> None:
    (at_once,) = read(tmp_path / "a.json", b"\xef\xbb\xbf" + json.dumps([row]).encode()) or []
    piece_by_piece = struct_of(Row, row)
    assert (
        (at_once.name, at_once.kind) == (piece_by_piece.name, piece_by_piece.kind) == (row.get("name"), row.get("type"))
    )
    assert value_of(at_once.files) == value_of(piece_by_piece.files) == row.get("files")
    assert is_there(at_once.files) == is_there(piece_by_piece.files) == bool(row.get("files"))


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b'["\xff"]', b'[{"name": "\\ud83d"}]', b'[{"name": NaN}]', b"[" * 100_000]
)
def test_what_is_not_as_expected_is_left_to_the_other_way(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path / "a.json", content) is None


def test_a_value_that_is_none_is_none() -> None:
    assert [value_of(NOTHING), value_of(msgspec.Raw(b"\xff")), value_of(msgspec.Raw(b"[1]"))] == [None, None, [1]]


@pytest.mark.parametrize("empty", [b"", b"null", b"[]", b"{ }", b"[\n      \n]", b'""', b"false", b"0", b"0.0"])
def test_what_is_empty_is_not_there_however_it_is_written(empty: bytes) -> None:
    assert not is_there(msgspec.Raw(empty))
