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
]
