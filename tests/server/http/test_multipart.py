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
from pipeline.server.http.multipart import MAX_FORM_BYTES, SLICE_BYTES, Form, read_form


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


_FILE = b'--B\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx'


@pytest.mark.parametrize(
    ("before", "filling", "after"),
    [
        (b"", b"\r\n", _FILE + b"\r\n--B--\r\n"),
        (_FILE + b"\r\n--B", b" ", b"\r\n\r\n--B--\r\n"),
        (_FILE + b"\r\n--B--\r\n", b"x", b""),
    ],
    ids=["before the first part", "behind a boundary", "behind the last part"],
)
def test_what_belongs_to_no_part_is_bounded(tmp_path: Path, before: bytes, filling: bytes, after: bytes) -> None:
    chunks = [before, *[filling * (100_000 // len(filling))] * (MAX_FORM_BYTES // 100_000 + 1), after]

    with pytest.raises(ApiError) as refused:
        _read(chunks, tmp_path / "upload")

    assert (refused.value.status_code, refused.value.code) == (413, "request_too_large")
    assert refused.value.message == f"The form is too large: at most {MAX_FORM_BYTES} bytes are read besides its file."


def test_a_file_may_be_larger_than_all_else_in_its_form(tmp_path: Path) -> None:
    content = b"\r\n--C" * (MAX_FORM_BYTES // 4)

    _read([_body({}, content)], tmp_path / "upload", max_bytes=2 * MAX_FORM_BYTES)

    assert (tmp_path / "upload").read_bytes() == content


def test_others_have_their_turn_while_a_form_is_read(tmp_path: Path) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def receive() -> MutableMapping[str, Any]:
        body = _FILE + b"\r\n--B" + b" " * (SLICE_BYTES * 10) + b"\r\n\r\n\r\n--B--\r\n"
        return {"type": "http.request", "body": body, "more_body": False}

    async def read() -> Form:
        scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"multipart/form-data; boundary=B")]}
        beside = asyncio.create_task(others())
        try:
            return await read_form(Request(scope, receive), tmp_path / "upload", file_field="file", max_bytes=10_000)
        finally:
            beside.cancel()

    assert asyncio.run(read()).complete
    assert turns >= 10
