"""Reads a multipart form off the wire: the one file in it straight to disk, whatever its size, the fields into memory.

The framework's own form parsing would copy every upload through a temporary folder outside the store first.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from pipeline.server.http.envelope import ApiError

MAX_PARTS = 17  # the file and 16 fields
MAX_FIELD_BYTES = 64 * 1024
# What a form may hold besides its file: every field, and every part's headers and boundary.
MAX_FORM_BYTES = MAX_PARTS * 2 * MAX_FIELD_BYTES
SLICE_BYTES = 16 * 1024
"""How much is parsed before other requests have their turn. Most bytes are skipped over, but the parser walks through
blanks after a boundary one by one: so many take 5 ms."""


class Form:
    """What a form held. `filename` is None while no file has come; `fields` hold the last value of each name."""

    def __init__(self, file_field: str, target: BinaryIO, max_bytes: int, too_large: ApiError) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.complete = False
        self._file_field = file_field
        self._target = target
        self._max_bytes = max_bytes
        self._too_large = too_large
        self._received = 0
        self._size = 0  # of the file
        self._parts = 0
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._name: str | None = None
        self._in_file = False

    def count(self, received: int) -> None:
        """Note that so many more bytes were read of the form, whatever they were: some belong to no part.

        Raises:
            ApiError: too many of them are not the file's.
        """
        self._received += received
        if self._received - self._size > MAX_FORM_BYTES:
            message = f"The form is too large: at most {MAX_FORM_BYTES} bytes are read besides its file."
            raise ApiError(413, message, code="request_too_large")

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Part of a header's name."""
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Part of a header's value."""
        self._value += data[start:end]

    def on_header_end(self) -> None:
        """A header is over; only one kind matters."""
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def on_headers_finished(self) -> None:
        """A part begins."""
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise ApiError(400, "The form has too many fields.")
        _, options = parse_options_header(self._disposition)
        self._disposition = b""
        # parse_options_header reads and writes latin-1; clients send UTF-8 (RFC 7578, section 5.1).
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._in_file = self._name == self._file_field
        if self._in_file:
            if self.filename is not None:
                raise ApiError(400, f"Only one `{self._file_field}` may be sent.", param=self._file_field)
            self.filename = options.get(b"filename", b"upload").decode("utf-8", "replace")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Part of a part."""
        if self._in_file:
            self._size += end - start
            if self._size > self._max_bytes:
                raise self._too_large
            self._target.write(memoryview(data)[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MAX_FIELD_BYTES:
            raise ApiError(400, "A form field is too long.", param=self._name)

    def on_part_end(self) -> None:
        """A part is over."""
        if not self._in_file and self._name is not None:
            self.fields[self._name] = self._value.decode("utf-8", "replace")
        self._value.clear()
        self._in_file = False

    def on_end(self) -> None:
        """The form is over: nothing was cut off."""
        self.complete = True


async def read_form(
    request: Request, target: Path, *, file_field: str, max_bytes: int, too_large: ApiError | None = None
) -> Form:
    """Stream a request's form: its file to `target`, which is made with mode 0600, even if no file comes.

    Args:
        too_large: what is raised for a file of more than `max_bytes`; by default a 413 that says so.

    Raises:
        ApiError: not a form, or too large.
        ClientDisconnect: the client left before the end. The caller removes `target` in every case of failure.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise ApiError(400, "The request must be multipart/form-data with a boundary.")
    if too_large is None:
        message = f"The file is too large: at most {max_bytes} bytes may be uploaded."
        too_large = ApiError(413, message, param=file_field, code="file_too_large")
    if int(request.headers.get("content-length", "0")) > max_bytes + MAX_FORM_BYTES:
        raise too_large  # before any of it is read
    fd = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        form = Form(file_field, file, max_bytes, too_large)
        try:
            parser = MultipartParser(
                boundary,
                {
                    "on_header_field": form.on_header_field,
                    "on_header_value": form.on_header_value,
                    "on_header_end": form.on_header_end,
                    "on_headers_finished": form.on_headers_finished,
                    "on_part_data": form.on_part_data,
                    "on_part_end": form.on_part_end,
                    "on_end": form.on_end,
                },
            )
            async for chunk in request.stream():
                for number, piece in enumerate(_slices(chunk)):
                    if number:
                        await asyncio.sleep(0)
                    parser.write(piece)
                    form.count(len(piece))
        except FormParserError:
            raise ApiError(400, "The form could not be read.") from None
    if not form.complete:
        raise ApiError(400, "The form is incomplete: its closing boundary is missing.")
    return form


def _slices(chunk: bytes) -> Iterator[bytes]:
    return (chunk[start : start + SLICE_BYTES] for start in range(0, len(chunk), SLICE_BYTES))
