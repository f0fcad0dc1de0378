"""/v1/uploads: large files, in parts."""

import contextlib
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from pipeline.server import requests, responses
from pipeline.server.context import ContextDep
from pipeline.server.http.envelope import ApiError, json_response
from pipeline.server.http.json_bodies import json_body
from pipeline.server.http.multipart import read_form
from pipeline.server.http.openapi import answers, form, takes
from pipeline.server.records import NewFile, NewUpload
from pipeline.server.routes.files import check_purpose, lasts_s, unknown_field
from pipeline.server.upload_rules import UploadRefused, beyond

router = APIRouter(prefix="/v1/uploads")


def _pending(upload_id: str, context: ContextDep) -> responses.Upload:
    """The upload that a path names; what comes with the request is looked at only if it can be changed."""
    upload = context.store.uploads.get(upload_id)
    if upload is None:
        raise ApiError(404, f"No such Upload object: {upload_id}", param="upload_id")
    if upload.status != "pending":
        message = f"The upload `{upload_id}` cannot be changed: its status is `{upload.status}`."
        raise ApiError(400, message, code="invalid_upload_status")  # never 409, which the SDK sends again
    return upload


_Pending = Annotated[responses.Upload, Depends(_pending)]
_UploadBody = Annotated[requests.UploadCreate, Depends(json_body(requests.UploadCreate))]
_CompleteBody = Annotated[requests.UploadComplete, Depends(json_body(requests.UploadComplete))]


@router.post("", responses=answers(responses.Upload), openapi_extra=takes(requests.UploadCreate))
def create_upload(body: _UploadBody, context: ContextDep) -> Response:
    """Begin a file whose parts come one by one, within an hour."""
    check_purpose(body.filename, body.purpose, "filename")
    largest = context.settings.max_upload_bytes
    if body.bytes > largest:
        raise ApiError(400, f"The upload is too large: at most {largest} bytes.", param="bytes", code="file_too_large")
    kept_s = lasts_s(body.purpose, None if body.expires_after is None else body.expires_after.seconds)
    upload = context.store.uploads.begin(NewUpload(NewFile(body.filename, body.purpose, kept_s), body.bytes))
    return json_response(upload)


@router.post("/{upload_id}/parts", responses=answers(responses.UploadPart, 404), openapi_extra=form("data"))
async def add_part(pending: _Pending, request: Request, context: ContextDep) -> Response:
    """Add a part, streamed to disk. Parts may come in any order, and several at a time."""
    uploads = context.store.uploads
    incoming = context.store.incoming / responses.new_id("part-")
    # The SDK asks again when an answer was lost; without this the parts would then hold more than was declared.
    again = request.headers.get("x-stainless-retry-count", "0") != "0"
    room = pending.bytes if again else await run_in_threadpool(uploads.room, pending.id)
    most = context.settings.max_part_bytes
    try:
        if room < most:
            too_large = ApiError(400, beyond(pending.bytes, room), param="data", code="invalid_upload")
            form = await read_form(request, incoming, file_field="data", max_bytes=room, too_large=too_large)
        else:
            form = await read_form(request, incoming, file_field="data", max_bytes=most)
        if form.filename is None or incoming.stat().st_size == 0:
            raise ApiError(400, "'data' is a required property", param="data")
        for name in form.fields:
            raise unknown_field(name)
        part = await run_in_threadpool(uploads.add_part, pending.id, incoming, again=again)
    except UploadRefused as refused:
        raise ApiError(400, refused.message, param=refused.param, code="invalid_upload") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            incoming.unlink()
    if part is None:
        await run_in_threadpool(_pending, pending.id, context)
        raise ApiError(400, "The upload has ended meanwhile.", code="invalid_upload_status")
    return json_response(part)


@router.post(
    "/{upload_id}/complete", responses=answers(responses.Upload, 404), openapi_extra=takes(requests.UploadComplete)
)
def complete_upload(pending: _Pending, body: _CompleteBody, context: ContextDep) -> Response:
    """Join the parts to a file, in the order of `part_ids`."""
    try:
        upload = context.store.uploads.complete(pending.id, body.part_ids, body.md5, fault=context.file_fault)
    except UploadRefused as refused:
        raise ApiError(400, refused.message, param=refused.param, code="invalid_upload") from None
    return json_response(upload)


@router.post("/{upload_id}/cancel", responses=answers(responses.Upload, 404))
def cancel_upload(upload: _Pending, context: ContextDep) -> Response:
    """Give an upload up. No part may be added afterwards."""
    if not context.store.uploads.cancel(upload.id):
        upload = _pending(upload.id, context)
    return json_response(context.store.uploads.get(upload.id) or upload)
