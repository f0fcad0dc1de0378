"""Forms off the wire: however the network cuts them, the same form comes out."""

import asyncio
import itertools
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.server.http.envelope import ApiError
from pipeline.server.http.multipart import Form, read_form


def _body(fields: dict[str, str], file: bytes) -> bytes:
    parts = [f'--B\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()]
    parts.append(b'--B\r\nContent-Disposition: form-data; name="file"; filename="f"\r\nX: y\r\n\r\n' + file + b"\r\n")
    return b"".join(parts) + b"--B--\r\n"


def _read(chunks: list[bytes], target: Path, *, max_bytes: int = 10_000) -> Form:
    messages: list[MutableMapping[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
        for number, chunk in enumerate(chunks, start=1)
    ]

    async def receive() -> MutableMapping[str, Any]:
        return messages.pop(0)

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"multipart/form-data; boundary=B")]}
    return asyncio.run(read_form(Request(scope, receive), target, file_field="file", max_bytes=max_bytes))


# Bytes that look like parts of a boundary are the ones that go wrong.
_contents = st.lists(st.sampled_from([b"\r\n--B", b"\r", b"\n", b"-", b"--", b"x", b"\x00", b"\r\n--"]), max_size=20)


@settings(max_examples=150, deadline=None)
@given(pieces=_contents, cuts=st.lists(st.integers(0, 400), max_size=8), value=st.text("ab-é", max_size=5))
def test_a_form_reads_the_same_however_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], cuts: list[int], value: str
) -> None:
    content = b"".join(pieces).replace(b"\r\n--B", b"\r\n--C")
    body = _body({"purpose": value}, content)
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    target = tmp_path_factory.mktemp("form") / "upload"

    form = _read([body[start:end] for start, end in itertools.pairwise(edges)], target)

    assert target.read_bytes() == content
    assert (form.filename, form.fields, form.complete) == ("f", {"purpose": value}, True)
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (_body({}, b"")[:-6], 400, "The form is incomplete: its closing boundary is missing."),
        (b"no form at all", 400, "The form could not be read."),
        (_body({}, b"a").removesuffix(b"--B--\r\n") + _body({}, b"b"), 400, "Only one `file` may be sent."),
        (_body({"purpose": "x" * 70_000}, b"a"), 400, "A form field is too long."),
        (_body({str(n): "x" for n in range(17)}, b"a"), 400, "The form has too many fields."),
        (_body({}, b"x" * 10_001), 413, "The file is too large: at most 10000 bytes may be uploaded."),
    ],
)
def test_a_bad_form_is_refused(tmp_path: Path, body: bytes, status: int, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        _read([body], tmp_path / "upload")

    assert (refused.value.status_code, refused.value.message) == (status, message)
