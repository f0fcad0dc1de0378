"""Readers keep to their own: what another app exported is neither taken for theirs nor refused by them."""

from pathlib import Path

import pytest

from pipeline.archives.members import Members
from pipeline.archives.readers import reader_of
from tests.archives.exports import EXPORTS


@pytest.mark.parametrize("export", EXPORTS)
@pytest.mark.parametrize("source", ["signal", "google-chat", "wechat", "sms", "jsonl"])
def test_what_another_app_exported_is_not_claimed(tmp_path: Path, source: str, export: str) -> None:
    with Members(EXPORTS[export](tmp_path)) as members:
        assert reader_of(source).code.recognise(members) is None


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty.json", b""),
        ("a.json", b"[]"),
        ("a.json", b'{"date": 1, "sender": "x", "body": null}'),
        ("a.jsonl", b'{"messages": []}'),
        ("a.jsonl", b'{"role": "user", "content": "x"}'),
        ("a.csv", b"id,name\n"),
        ("a.xml", b"<rss><sms/></rss>"),
        ("notes.md", b"# Notes\n[2023] x: y\n"),
        ("db.sqlite", b"SQLite format 3\0" + bytes(100)),
        ("a.backup", b"PK"),
        ("messages.json", b'{"messages": [], "participants": []}'),
        ("x", b"\xff\xfe"),
        ("x", b"\xff\xfe\x00\xd8"),
        ("x", b"\xef\xbb\xbf"),
    ],
)
def test_other_files_are_left_to_others(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    for path in (tmp_path, tmp_path / name):
        with Members(path) as members:
            for source in ("signal", "google-chat", "wechat", "sms", "jsonl"):
                assert reader_of(source).code.recognise(members) is None
