"""/v1/files: what goes in for training, and the results that come out."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from pipeline.server import responses
from pipeline.server.context import After, Context, ContextDep, list_response
from pipeline.server.http.envelope import ApiError, json_response
from pipeline.server.http.multipart import Form, read_form
from pipeline.server.http.openapi import Json, answers, form, lists, streams
from pipeline.server.records import NewFile

router = APIRouter(prefix="/v1/files")

# Those that OpenAI takes and its type of a file knows (SDK, FileObject). It takes `evals` too, answers it, and its own
# strict client refuses that answer; there are no evals here to use such a file for.
PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data")

# OpenAI API reference, files: expires_after
EXPIRES_S = (3600, 2_592_000)
_BLOCK_BYTES = 1024 * 1024


_EXPIRY_FIELDS: Json = {
    "expires_after": {"type": "string", "description": "JSON: an object of the two below, in place of them."},
    "expires_after[anchor]": {"const": "created_at"},
    "expires_after[seconds]": {"type": "integer", "minimum": EXPIRES_S[0], "maximum": EXPIRES_S[1]},
}


@router.post(
    "",
    responses=answers(responses.File),
    openapi_extra=form("file", "purpose", purpose={"enum": list(PURPOSES)}, **_EXPIRY_FIELDS),
)
async def create_file(request: Request, context: ContextDep) -> Response:
    """Upload a file, streamed to disk. The answer means that it is there to stay."""
    incoming = context.store.incoming / responses.new_id("upload-")
    try:
        form = await read_form(request, incoming, file_field="file", max_bytes=context.settings.max_file_bytes)
        new = _check(form, context)
        file = await run_in_threadpool(_keep, context, incoming, new)
    finally:
        with contextlib.suppress(FileNotFoundError):
            incoming.unlink()
    return json_response(file)


def _keep(context: Context, incoming: Path, new: NewFile) -> responses.File:
    if incoming.stat().st_size == 0:
        raise ApiError(400, "File is empty.", param="file", code="invalid_file")
    return context.store.files.add(incoming, new)


def _check(form: Form, context: Context) -> NewFile:
    """Refuse what OpenAI refuses."""
    fields = dict(form.fields)
    purpose = fields.pop("purpose", None)
    if form.filename is None:
        raise ApiError(400, "'file' is a required property", param="file")
    if purpose is None:
        raise ApiError(400, "'purpose' is a required property", param="purpose")
    check_purpose(form.filename, purpose, "file")
    asked_s = _lasts_s(fields)
    for name in fields:
        raise unknown_field(name)
    return NewFile(form.filename, purpose, lasts_s(purpose, asked_s), context.file_fault)


def unknown_field(name: str) -> ApiError:
    """The answer to a field of a form that no route of that form knows."""
    return ApiError(400, f"Unrecognized request argument supplied: {name}", param=name, code="unknown_parameter")


def check_purpose(filename: str, purpose: str, param: str) -> None:
    """Refuse a purpose that there is not, or that wants another kind of file; `param` is the field of the name.

    Raises:
        ApiError: as OpenAI does.
    """
    if purpose not in PURPOSES:
        raise ApiError(400, f"'{purpose}' is not one of {list(PURPOSES)}", param="purpose", code="invalid_value")
    if purpose == "fine-tune" and not filename.endswith(".jsonl"):
        message = "Invalid file format for Fine-Tuning API. Must be .jsonl"
        raise ApiError(400, message, param=param, code="invalid_file_format")


def lasts_s(purpose: str, asked_s: int | None) -> int | None:
    """How long a file is kept: as asked, else for ever, but for batches (OpenAI API reference, files: 30 days)."""
    return EXPIRES_S[1] if asked_s is None and purpose == "batch" else asked_s


def _lasts_s(fields: dict[str, str]) -> int | None:
    """Take `expires_after` out of a form's fields, as seconds from now.

    The SDK sends a field for each member, `expires_after[seconds]`; others send one field of JSON.
    """
    names = {f"expires_after[{member}]": member for member in ("anchor", "seconds")}
    given: dict[str, object] = {member: fields.pop(name) for name, member in names.items() if name in fields}
    whole = fields.pop("expires_after", None)
    if whole is not None:
        given = _members(whole, given)
    elif not given:
        return None
    if given.get("anchor") != "created_at":
        raise ApiError(400, "`expires_after[anchor]` must be `created_at`.", param="expires_after[anchor]")
    lowest, highest = EXPIRES_S
    seconds = str(given.get("seconds"))
    if not re.fullmatch("[0-9]{1,9}", seconds) or not lowest <= int(seconds) <= highest:
        message = f"`expires_after[seconds]` must be an integer from {lowest} to {highest}."
        raise ApiError(400, message, param="expires_after[seconds]")
    return int(seconds)


def _members(text: str, given_besides: dict[str, object]) -> dict[str, object]:
    members = None
    with contextlib.suppress(ValueError, RecursionError):
        members = json.loads(text)
    if given_besides or not isinstance(members, dict) or members.keys() - {"anchor", "seconds"}:
        message = "`expires_after` must be one JSON object of `anchor` and `seconds`, or a field for each."
        raise ApiError(400, message, param="expires_after", code="invalid_value")
    return members


@router.get("", responses=lists(responses.File, ends=True))
def list_files(
    context: ContextDep,
    after: After = None,
    limit: Annotated[int, Query(ge=0, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
    purpose: str | None = None,
) -> Response:
    """A page of files, newest first unless `order` is asc."""
    page = context.store.files.page(purpose=purpose, after=after, limit=limit, oldest_first=order == "asc")
    return list_response(page, ends=True)


@router.get("/{file_id}", responses=answers(responses.File, 404))
def retrieve_file(file_id: str, context: ContextDep) -> Response:
    """One file's description."""
    return json_response(_file(file_id, context))


@router.get(
    "/{file_id}/content", responses=streams({"application/octet-stream": None}, 404), response_class=StreamingResponse
)
def retrieve_content(file_id: str, context: ContextDep) -> Response:
    """One file's bytes, streamed from disk."""
    file = _file(file_id, context)
    try:
        # Opened here and not by the response: once open, the bytes are there to the end, whoever deletes the file.
        content = context.store.files.open(file.id)
    except FileNotFoundError:  # deleted meanwhile
        raise _unknown(file_id) from None
    headers = {"Content-Length": str(file.bytes)}
    return _OpenFile(content, headers)


class _OpenFile(StreamingResponse):
    """Streams a file, and closes it whether or not its reader stays to the end."""

    def __init__(self, content: BinaryIO, headers: dict[str, str]) -> None:
        blocks: Iterator[bytes] = iter(lambda: content.read(_BLOCK_BYTES), b"")
        super().__init__(blocks, media_type="application/octet-stream", headers=headers)
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        with self._content:
            await super().__call__(scope, receive, send)


@router.delete("/{file_id}", responses=answers(responses.Deleted, 404))
def delete_file(file_id: str, context: ContextDep) -> Response:
    """Forget a file and its bytes."""
    if not context.store.files.delete(file_id):
        raise _unknown(file_id)
    return json_response(responses.Deleted(file_id, "file"))


def _file(file_id: str, context: Context) -> responses.File:
    file = context.store.files.get(file_id)
    if file is None:
        raise _unknown(file_id)
    return file


def _unknown(file_id: str) -> ApiError:
    return ApiError(404, f"No such File object: {file_id}", param="id")
