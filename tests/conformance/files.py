"""Walks through /v1/files."""

from tests.conformance.api import Api, Case
from tests.server.harness import examples


async def _round(api: Api) -> None:
    made = await api.ask(lambda c: c.files.create(file=("train.jsonl", examples()), purpose="fine-tune"))
    seen = await api.ask(lambda c: c.files.retrieve(made.id))
    content = await api.ask(lambda c: c.files.content(made.id))
    ready = await api.ask(lambda c: c.files.wait_for_processing(made.id, poll_interval=60))
    gone = await api.ask(lambda c: c.files.delete(made.id))

    assert seen == ready == made
    assert (made.bytes, made.filename, made.purpose, made.status) == (
        len(examples()),
        "train.jsonl",
        "fine-tune",
        "processed",
    )
    assert content.read() == examples()
    assert (gone.id, gone.deleted) == (made.id, True)
    assert await api.refused(lambda c: c.files.retrieve(made.id)) == {
        "status": 404,
        "message": f"No such File object: {made.id}",
        "type": "invalid_request_error",
        "param": "id",
        "code": None,
    }


async def _pages(api: Api) -> None:
    made = [await api.ask(lambda c: c.files.create(file=("a.txt", b"a"), purpose="user_data")) for _ in range(3)]
    ids = [file.id for file in made]

    oldest_first = await api.all(lambda c: c.files.list(limit=2, order="asc", purpose="user_data"))
    newest_first = await api.all(lambda c: c.files.list(limit=2, purpose="user_data"))
    assert [file.id for file in oldest_first if file.id in ids] == ids
    assert [file.id for file in newest_first if file.id in ids] == ids[::-1]
    page = await api.ask(lambda c: c.files.list(limit=1, after=ids[1], order="asc"))
    assert [file.id for file in page.data] == [ids[2]]


async def _parts(api: Api) -> None:
    content = examples()
    upload = await api.ask(
        lambda c: c.uploads.create(
            bytes=len(content),
            filename="train.jsonl",
            mime_type="text/jsonl",
            purpose="fine-tune",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )
    )
    last = await api.ask(lambda c: c.uploads.parts.create(upload.id, data=content[50:]))
    first = await api.ask(lambda c: c.uploads.parts.create(upload.id, data=content[:50]))
    done = await api.ask(lambda c: c.uploads.complete(upload.id, part_ids=[first.id, last.id]))

    assert (upload.status, done.status) == ("pending", "completed")
    file = done.file
    assert file is not None
    assert (file.bytes, file.expires_at) == (len(content), file.created_at + 3600)
    assert (await api.ask(lambda c: c.files.content(file.id))).read() == content
    refused = await api.refused(lambda c: c.uploads.cancel(upload.id))
    assert (refused["status"], refused["code"]) == (400, "invalid_upload_status")


async def _cancelled(api: Api) -> None:
    upload = await api.ask(
        lambda c: c.uploads.create(bytes=2, filename="a.txt", mime_type="text/plain", purpose="user_data")
    )
    cancelled = await api.ask(lambda c: c.uploads.cancel(upload.id))

    assert cancelled.status == "cancelled"
    refused = await api.refused(lambda c: c.uploads.parts.create(upload.id, data=b"ab"))
    assert (refused["status"], refused["code"]) == (400, "invalid_upload_status")


UPLOADS = "/v1/uploads"
CASES = [
    Case(
        "a file is made, read, waited for and deleted",
        (
            "POST /v1/files",
            "GET /v1/files/{file_id}",
            "GET /v1/files/{file_id}/content",
            "DELETE /v1/files/{file_id}",
        ),
        _round,
    ),
    Case("files come in pages and both orders", ("GET /v1/files",), _pages),
    Case(
        "a file comes in parts",
        (f"POST {UPLOADS}", f"POST {UPLOADS}/{{upload_id}}/parts", f"POST {UPLOADS}/{{upload_id}}/complete"),
        _parts,
    ),
    Case("an upload is cancelled", (f"POST {UPLOADS}/{{upload_id}}/cancel",), _cancelled),
]
