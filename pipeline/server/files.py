"""/v1/files: what goes in for training, and the results that come out."""

import contextlib
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from pipeline.server import wire
from pipeline.server.context import After, Context, ContextDep, list_response
from pipeline.server.envelope import ApiError, json_response
from pipeline.server.multipart import Form, read_form

router = APIRouter(prefix="/v1/files")

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")


@router.post("")
async def create_file(request: Request, context: ContextDep) -> Response:
    """Upload a file, streamed to disk. The answer means that it is there to stay."""
    incoming = context.store.incoming / wire.new_id("upload-")
    try:
        form = await read_form(request, incoming, file_field="file", max_bytes=context.settings.max_file_bytes)
        filename = _check(form)
        file = await run_in_threadpool(_keep, context, incoming, filename, form.fields["purpose"])
    finally:
        with contextlib.suppress(FileNotFoundError):
            incoming.unlink()
    return json_response(file)


def _keep(context: Context, incoming: Path, filename: str, purpose: str) -> wire.File:
    if incoming.stat().st_size == 0:
        raise ApiError(400, "File is empty.", param="file", code="invalid_file")
    fault = context.file_fault
    return context.store.add_file(
        incoming, filename=filename, purpose=purpose, failed=fault is not None, status_details=fault
    )


def _check(form: Form) -> str:
    """Refuse what OpenAI refuses; returns the file's name."""
    purpose = form.fields.get("purpose")
    if form.filename is None:
        raise ApiError(400, "'file' is a required property", param="file")
    if purpose is None:
        raise ApiError(400, "'purpose' is a required property", param="purpose")
    if purpose not in PURPOSES:
        raise ApiError(400, f"'{purpose}' is not one of {list(PURPOSES)}", param="purpose")
    if purpose == "fine-tune" and not form.filename.endswith(".jsonl"):
        raise ApiError(
            400,
            "Invalid file format for Fine-Tuning API. Must be .jsonl",
            param="file",
            code="invalid_file_format",
        )
    for name in form.fields:
        if name != "purpose":
            raise ApiError(400, f"`{name}` is not supported by this server.", param=name, code="unsupported_parameter")
    return form.filename


@router.get("")
def list_files(
    context: ContextDep,
    after: After = None,
    limit: Annotated[int, Query(ge=0, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
    purpose: str | None = None,
) -> Response:
    """A page of files, newest first unless `order` is asc."""
    page = context.store.files(purpose=purpose, after=after, limit=limit, oldest_first=order == "asc")
    return list_response(page, ends=True)


@router.get("/{file_id}")
def retrieve_file(file_id: str, context: ContextDep) -> Response:
    """One file's description."""
    return json_response(_file(file_id, context))


@router.get("/{file_id}/content")
def retrieve_content(file_id: str, context: ContextDep) -> Response:
    """One file's bytes."""
    file = _file(file_id, context)
    return FileResponse(context.store.blob(file.id), media_type="application/octet-stream")


@router.delete("/{file_id}")
def delete_file(file_id: str, context: ContextDep) -> Response:
    """Forget a file and its bytes."""
    if not context.store.delete_file(file_id):
        raise _unknown(file_id)
    return json_response(wire.Deleted(file_id, "file"))


def _file(file_id: str, context: Context) -> wire.File:
    file = context.store.file(file_id)
    if file is None:
        raise _unknown(file_id)
    return file


def _unknown(file_id: str) -> ApiError:
    return ApiError(404, f"No such File object: {file_id}", param="id")
