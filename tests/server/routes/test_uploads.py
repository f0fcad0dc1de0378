"""Uploads: parts in any order, joined in the order asked for, and nothing left of what does not become a file."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import openai
import pytest
from openai.types import Upload

from pipeline.server.main import serving
from pipeline.server.records import NewFile, NewUpload
from pipeline.server.settings import ServerSettings
from pipeline.server.storage.store import Store
from pipeline.server.upload_rules import UploadRefused
from pipeline.testing import MockServer, serve_in_thread
from tests.server.harness import BASE, ServerProcess, connect, examples, finish, peak_memory

TEXT = examples(12)


def _begin(client: openai.OpenAI, size: int = len(TEXT)) -> Upload:
    return client.uploads.create(bytes=size, filename="train.jsonl", mime_type="text/jsonl", purpose="fine-tune")


def _left(server: MockServer) -> list[str]:
    """Everything of uploads that is on the disk."""
    folders = ("incoming", "uploads")
    return [path.name for folder in folders for path in (server.data_dir / folder).rglob("*")]


def test_parts_become_a_file_in_the_order_asked_for(client: openai.OpenAI, shared: MockServer) -> None:
    upload = _begin(client)
    assert (upload.status, upload.expires_at - upload.created_at, upload.file) == ("pending", 3600, None)
    last = client.uploads.parts.create(upload.id, data=TEXT[500:])
    first = client.uploads.parts.create(upload.id, data=TEXT[:500])
    assert (first.upload_id, first.id.startswith("part_")) == (upload.id, True)

    done = client.uploads.complete(
        upload.id, part_ids=[first.id, last.id], md5=hashlib.md5(TEXT, usedforsecurity=False).hexdigest()
    )

    assert (done.id, done.status) == (upload.id, "completed")
    assert done.file is not None
    assert done.file == client.files.retrieve(done.file.id)
    assert (done.file.bytes, done.file.filename, done.file.purpose, done.file.status) == (
        len(TEXT),
        "train.jsonl",
        "fine-tune",
        "processed",
    )
    assert client.files.content(done.file.id).read() == TEXT
    assert _left(shared) == []
    job = client.fine_tuning.jobs.create(model=BASE, training_file=done.file.id)
    assert finish(client, job.id).status == "succeeded"


def test_the_sdks_own_way_to_upload_in_parts_works(client: openai.OpenAI) -> None:
    done = client.uploads.upload_file_chunked(
        file=TEXT, filename="train.jsonl", bytes=len(TEXT), mime_type="text/jsonl", purpose="fine-tune", part_size=100
    )

    assert done.file is not None
    assert client.files.content(done.file.id).read() == TEXT


def test_a_file_from_parts_can_expire(client: openai.OpenAI) -> None:
    upload = client.uploads.create(
        bytes=2,
        filename="a.txt",
        mime_type="text/plain",
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    part = client.uploads.parts.create(upload.id, data=b"ab")

    file = client.uploads.complete(upload.id, part_ids=[part.id]).file

    assert file is not None
    assert file.expires_at == file.created_at + 3600


@pytest.mark.parametrize(
    ("changes", "message", "param", "code"),
    [
        (
            {"part_ids": []},
            "part_ids: List should have at least 1 item after validation, not 0.",
            "part_ids",
            "empty_array",
        ),
        ({"part_ids": ["part_none"]}, "No such part of this upload: part_none", "part_ids[0]", "invalid_upload"),
        ({"twice": True}, "A part is named more than once.", "part_ids", "invalid_upload"),
        (
            {"size": len(TEXT) + 1},
            f"The parts hold {len(TEXT)} bytes together, but the upload was created for {len(TEXT) + 1}.",
            "part_ids",
            "invalid_upload",
        ),
        ({"md5": "0" * 32}, "The MD5 checksum of the parts together is another one.", "md5", "invalid_upload"),
    ],
)
def test_what_does_not_agree_is_refused_and_may_be_mended(
    client: openai.OpenAI, shared: MockServer, changes: dict[str, object], message: str, param: str, code: str | None
) -> None:
    size = changes.get("size", len(TEXT))
    assert isinstance(size, int)
    upload = _begin(client, size)
    part = client.uploads.parts.create(upload.id, data=TEXT)
    given: dict[str, object] = {"part_ids": [part.id, part.id] if "twice" in changes else [part.id]}
    given |= {name: value for name, value in changes.items() if name in ("part_ids", "md5")}

    with pytest.raises(openai.BadRequestError) as refused:
        client.post(f"/uploads/{upload.id}/complete", cast_to=Upload, body=given)

    assert refused.value.body == {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    assert sorted(_left(shared)) == sorted([upload.id, part.id])
    assert client.uploads.cancel(upload.id).status == "cancelled"


def test_a_cancelled_upload_is_gone_and_takes_no_part(client: openai.OpenAI, shared: MockServer) -> None:
    upload = _begin(client)
    part = client.uploads.parts.create(upload.id, data=TEXT)

    assert client.uploads.cancel(upload.id).status == "cancelled"

    assert _left(shared) == []
    for act in (
        lambda: client.uploads.parts.create(upload.id, data=b"x"),
        lambda: client.uploads.complete(upload.id, part_ids=[part.id]),
        lambda: client.uploads.cancel(upload.id),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            act()
        assert refused.value.body == {
            "message": f"The upload `{upload.id}` cannot be changed: its status is `cancelled`.",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_upload_status",
        }
    assert _left(shared) == []


@pytest.mark.parametrize(
    ("first", "second"), [(b"", b"abcde"), (b"abcd", b"x"), (b"ab", b"abc"), (b"ab", b"x" * 3_000_000)]
)
def test_a_part_beyond_the_declared_bytes_is_refused_as_it_comes(
    client: openai.OpenAI, shared: MockServer, first: bytes, second: bytes
) -> None:
    upload = _begin(client, 4)
    kept = [client.uploads.parts.create(upload.id, data=first).id] if first else []

    with pytest.raises(openai.BadRequestError) as refused:
        client.uploads.parts.create(upload.id, data=second)

    assert refused.value.body == {
        "message": "The part is too large: the upload was created for 4 bytes, and its other parts hold"
        f" {len(first)} of them.",
        "type": "invalid_request_error",
        "param": "data",
        "code": "invalid_upload",
    }
    assert sorted(_left(shared)) == sorted([upload.id, *kept] if kept else [])
    client.uploads.cancel(upload.id)


def test_parts_that_come_together_hold_no_more_than_was_declared(tmp_path: Path) -> None:
    store = Store(tmp_path)
    upload = store.uploads.begin(NewUpload(NewFile("a.jsonl", "fine-tune"), 4))
    assert store.uploads.room(upload.id) == 4
    kept = _part(store, upload.id, b"abc")  # while another part, which had room too, was on its way
    with pytest.raises(UploadRefused) as refused:
        _part(store, upload.id, b"de")

    assert refused.value.message == (
        "The part is too large: the upload was created for 4 bytes, and its other parts hold 3 of them."
    )
    assert [path.name for path in (tmp_path / "uploads" / upload.id).iterdir()] == [kept]
    store.close()


def test_a_part_whose_answer_was_lost_is_kept_once(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve(requests=[{"path": "/v1/uploads/*/parts", "status": 503, "after": True}])
    upload = _begin(client)
    first = client.with_options(max_retries=1).uploads.parts.create(upload.id, data=TEXT[:500])
    last = client.uploads.parts.create(upload.id, data=TEXT[500:])

    done = client.uploads.complete(upload.id, part_ids=[first.id, last.id])

    assert done.file is not None
    assert client.files.content(done.file.id).read() == TEXT


def test_an_unknown_upload_is_not_found_whatever_is_asked_of_it(shared: MockServer) -> None:
    headers = {"Authorization": f"Bearer {shared.api_key}"}
    for body in (b'{"part_ids": []}', b'{"part_ids": 1}', b"{", b""):
        answer = httpx.post(f"{shared.base_url}/uploads/upload_none/complete", headers=headers, content=body)

        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == "No such Upload object: upload_none"


def test_an_unknown_upload_is_not_found(client: openai.OpenAI, shared: MockServer) -> None:
    for act in (
        lambda: client.uploads.parts.create("upload_none", data=b"x"),
        lambda: client.uploads.complete("upload_none", part_ids=["part_none"]),
        lambda: client.uploads.cancel("upload_none"),
    ):
        with pytest.raises(openai.NotFoundError) as refused:
            act()
        assert refused.value.body == {
            "message": "No such Upload object: upload_none",
            "type": "invalid_request_error",
            "param": "upload_id",
            "code": None,
        }
    assert _left(shared) == []


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockServer]:
    """A server that takes 100 bytes in parts of at most 10."""
    data_dir = tmp_path_factory.mktemp("small") / "store"
    settings = ServerSettings(data_dir, "sk-small", trainer="scripted", max_upload_bytes=100, max_part_bytes=10)
    with serving(settings) as server, serve_in_thread(server):
        yield MockServer(server.base_url, "sk-small", data_dir)


def test_uploads_and_parts_have_their_limits(small: MockServer) -> None:
    with connect(small) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            _begin(client, 101)
        assert refused.value.body == {
            "message": "The upload is too large: at most 100 bytes.",
            "type": "invalid_request_error",
            "param": "bytes",
            "code": "file_too_large",
        }
        upload = _begin(client, 100)
        client.uploads.parts.create(upload.id, data=b"x" * 10)
        with pytest.raises(openai.APIStatusError) as too_large:
            client.uploads.parts.create(upload.id, data=b"x" * 11)
        assert (too_large.value.status_code, too_large.value.code) == (413, "file_too_large")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"filename": "a.txt"}, "filename"),
        ({"purpose": "theft"}, "purpose"),
        ({"purpose": "evals"}, "purpose"),
        ({"bytes": 0}, "bytes"),
        ({"expires_after": {"anchor": "created_at", "seconds": 3599}}, "expires_after.seconds"),
    ],
)
def test_a_bad_upload_is_refused_at_once(client: openai.OpenAI, changes: dict[str, object], param: str) -> None:
    good: dict[str, object] = {"bytes": 3, "filename": "a.jsonl", "mime_type": "text/jsonl", "purpose": "fine-tune"}

    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/uploads", cast_to=Upload, body={**good, **changes})

    assert refused.value.param == param


def test_a_large_upload_takes_no_memory(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server()
    part = bytes(16 * 2**20)
    small = server.client.uploads.upload_file_chunked(
        file=b"ab", filename="a.txt", bytes=2, mime_type="text/plain", purpose="user_data"
    )
    assert small.status == "completed"
    before = peak_memory(server.process.pid)

    upload = server.client.uploads.create(
        bytes=4 * len(part), filename="large.bin", mime_type="application/octet-stream", purpose="user_data"
    )
    parts = [server.client.uploads.parts.create(upload.id, data=part).id for _ in range(4)]
    done = server.client.uploads.complete(upload.id, part_ids=parts)

    assert done.file is not None
    assert done.file.bytes == 64 * 2**20
    assert peak_memory(server.process.pid) - before < 8 * 2**20


class _Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def _part(store: Store, upload_id: str, content: bytes) -> str | None:
    incoming = store.incoming / "part"
    incoming.write_bytes(content)
    part = store.uploads.add_part(upload_id, incoming)
    return None if part is None else part.id


def test_an_upload_expires_after_an_hour_and_takes_its_parts_along(tmp_path: Path) -> None:
    clock = _Clock()
    store = Store(tmp_path, clock=clock)
    upload = store.uploads.begin(NewUpload(NewFile("a.jsonl", "fine-tune"), 2))
    part = _part(store, upload.id, b"ab")
    assert part is not None

    clock.now += 3600
    assert _part(store, upload.id, b"cd") is None
    expired = store.uploads.get(upload.id)

    assert expired is not None
    assert expired.status == "expired"
    assert list((tmp_path / "uploads").iterdir()) == []
    with pytest.raises(UploadRefused):
        store.uploads.complete(upload.id, [part], None)
    store.close()


def _complete(store: Store, upload_id: str, part: str, start: threading.Barrier, outcomes: list[str]) -> None:
    start.wait()
    try:
        outcomes.append(store.uploads.complete(upload_id, [part], None).status)
    except UploadRefused:
        outcomes.append("refused")


def test_two_that_complete_at_once_make_one_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for _ in range(10):
        upload = store.uploads.begin(NewUpload(NewFile("a.jsonl", "fine-tune"), 2))
        part = _part(store, upload.id, b"ab")
        assert part is not None
        start = threading.Barrier(2)
        outcomes: list[str] = []

        threads = [threading.Thread(target=_complete, args=(store, upload.id, part, start, outcomes)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["completed", "refused"]
    page = store.files.page(purpose=None, after=None, limit=100, oldest_first=True)
    assert len(page.items) == 10
    assert {path.name for path in store.files.blobs.iterdir()} == {file.id for file in page.items}
    store.close()


def test_parts_outlive_a_killed_server_and_what_is_torn_does_not(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server()
    upload = _begin(server.client)
    first = server.client.uploads.parts.create(upload.id, data=TEXT[:500])
    server.kill()
    folder = server.data_dir / "uploads" / upload.id
    (folder / "part_torn").write_bytes(b"published, but never answered for")

    again = start_server()

    assert [path.name for path in folder.iterdir()] == [first.id]
    last = again.client.uploads.parts.create(upload.id, data=TEXT[500:])
    done = again.client.uploads.complete(upload.id, part_ids=[first.id, last.id])
    assert done.file is not None
    assert again.client.files.content(done.file.id).read() == TEXT
