"""LangChain's loaders behind our wrapper: on anything at all, sessions that can be written down, or one error."""

import io
import itertools
import json
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.archives.langchain import read_langchain
from pipeline.errors import InputError
from pipeline.sessions.session import read_sessions
from tests.fuzz.conftest import fuzz
from tests.fuzz.values import json_values, mutated, spoilt
from tests.sessions.files import write_sessions

WHATSAPP = (
    "[8/15/23, 9:12:43 AM] Tortoise: Slow and steady\n[8/15/23, 9:12:44 AM] Hare: Speed is key!\nReally!\n"
    "[8/15/23, 9:13:00 AM] Hare: <Media omitted>\n1/23/23, 3:22 AM - Tortoise: No 💥\n"
).encode()
TELEGRAM = {
    "name": "Race",
    "messages": [
        {"from": "Hare", "date": "2023-08-28T00:32:03", "text": ["See ", {"type": "link", "text": "this"}]},
        {"from": None, "date": "2023-08-28T00:32:05+02:00", "text": "Half \ud83d"},
    ],
}
FACEBOOK = {
    "participants": [{"name": "Hare"}, {"name": "Tortoise"}],
    "messages": [
        {"sender_name": "Hare", "timestamp_ms": 1693182723000, "content": "Fast", "type": "Generic"},
        {"sender_name": "Tortoise", "timestamp_ms": 1693182724000, "content": "Slow"},
    ],
}
SLACK = [
    {"type": "message", "user": "U1", "text": "Fast", "ts": "1693182723.000100"},
    {"type": "message", "user": "U2", "text": "Slow", "ts": "1693182724.000200", "subtype": "x"},
]
EXPORTS = {"telegram": TELEGRAM, "facebook_messenger": FACEBOOK, "slack": SLACK}


def _zipped(content: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("race/2023-08-28.json", content)
    return data.getvalue()


@pytest.fixture
def check(tmp_path: Path) -> Callable[[str, bytes], None]:
    """Read an export; whatever is in it."""
    names = {"whatsapp": "chat.txt", "slack": "export.zip"}
    numbers = itertools.count()

    def read(loader: str, content: bytes) -> None:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        path = folder / names.get(loader, "result.json")
        path.write_bytes(content)
        refused, sessions = None, []
        try:
            sessions = list(read_langchain(loader, path, Counter()))
        except InputError as error:
            refused = str(error)
        assert refused is None or str(path) in refused
        write_sessions(folder / "sessions.jsonl", sessions)
        assert list(read_sessions(folder / "sessions.jsonl")) == sessions

    return read


@fuzz(80)
@given(content=mutated(WHATSAPP) | st.binary(max_size=100))
def test_any_text_is_a_chat_or_none(check: Callable[[str, bytes], None], content: bytes) -> None:
    check("whatsapp", content)


@pytest.mark.parametrize("loader", EXPORTS)
@fuzz(80)
@given(data=st.data())
def test_any_json_is_a_chat_or_none(check: Callable[[str, bytes], None], loader: str, data: st.DataObject) -> None:
    valid = EXPORTS[loader]
    content = data.draw(
        (spoilt(valid) | json_values).map(lambda document: json.dumps(document).encode())
        | mutated(json.dumps(valid).encode())
    )
    check(loader, _zipped(content) if loader == "slack" else content)


@fuzz(60)
@given(content=mutated(_zipped(json.dumps(SLACK).encode())))
def test_any_zip_is_an_export_or_none(check: Callable[[str, bytes], None], content: bytes) -> None:
    check("slack", content)


@fuzz(30)
@given(content=mutated(b"SQLite format 3\0" + b"\0" * 100))
def test_any_database_is_a_chat_or_none(check: Callable[[str, bytes], None], content: bytes) -> None:
    check("imessage", content)
