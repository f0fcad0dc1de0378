"""Files: accepted means on disk, refused means gone, and nothing in between."""

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types import FilePurpose

from pipeline.server.main import serving
from pipeline.server.records import NewFile
from pipeline.server.routes.files import PURPOSES
from pipeline.server.settings import ServerSettings
from pipeline.server.storage.store import Store
from pipeline.testing import MockServer, serve_in_thread
from tests.server.harness import ServerProcess, connect, examples, peak_memory, until, upload


def test_a_file_comes_back_as_it_went_in(client: openai.OpenAI) -> None:
    content = bytes(range(256)) * 5000

    file = client.files.create(file=("sources.bin", content), purpose="user_data")

    assert re.fullmatch(r"file-[0-9a-f]{24}", file.id)
    assert file == client.files.retrieve(file.id)
    assert (file.bytes, file.filename, file.purpose, file.status) == (
        len(content),
        "sources.bin",
        "user_data",
        "processed",
    )
    assert client.files.content(file.id).read() == content


def test_a_training_file_is_processed_at_once(client: openai.OpenAI) -> None:
    file = upload(client)

    assert client.files.wait_for_processing(file.id, poll_interval=60).status == "processed"


def test_a_name_may_hold_any_letters(client: openai.OpenAI) -> None:
    file = client.files.create(file=('Gespräche "mit" 兎.jsonl', examples()), purpose="fine-tune")

    assert file.filename.endswith("兎.jsonl")


def test_a_deleted_file_is_gone_with_its_bytes(client: openai.OpenAI, shared: MockServer) -> None:
    file = upload(client)
    blob = shared.data_dir / "files" / file.id
    assert blob.read_bytes() == examples()
    assert blob.stat().st_mode & 0o777 == 0o600

    deleted = client.files.delete(file.id)

    assert (deleted.id, deleted.object, deleted.deleted) == (file.id, "file", True)
    assert not blob.exists()
    for again in (client.files.retrieve, client.files.delete, client.files.content):
        with pytest.raises(openai.NotFoundError) as refused:
            again(file.id)
        assert refused.value.body == {
            "message": f"No such File object: {file.id}",
            "type": "invalid_request_error",
            "param": "id",
            "code": None,
        }


@pytest.mark.parametrize(
    ("fields", "message", "param"),
    [
        ({"purpose": "fine-tune"}, "'file' is a required property", "file"),
        ({"file": ("a.jsonl", b"{}")}, "'purpose' is a required property", "purpose"),
        (
            {"file": ("a.jsonl", b"{}"), "purpose": "theft"},
            "'theft' is not one of ['assistants', 'batch', 'fine-tune', 'vision', 'user_data']",
            "purpose",
        ),
        (
            {"file": ("a.jsonl", b"{}"), "purpose": "evals"},
            "'evals' is not one of ['assistants', 'batch', 'fine-tune', 'vision', 'user_data']",
            "purpose",
        ),
        (
            {"file": ("a.txt", b"{}"), "purpose": "fine-tune"},
            "Invalid file format for Fine-Tuning API. Must be .jsonl",
            "file",
        ),
        ({"file": ("a.jsonl", b""), "purpose": "fine-tune"}, "File is empty.", "file"),
        (
            {"file": ("a.jsonl", b"{}"), "purpose": "fine-tune", "expires_after[seconds]": "3600"},
            "`expires_after[anchor]` must be `created_at`.",
            "expires_after[anchor]",
        ),
        (
            {
                "file": ("a.jsonl", b"{}"),
                "purpose": "fine-tune",
                "expires_after[anchor]": "created_at",
                "expires_after[seconds]": "3599",
            },
            "`expires_after[seconds]` must be an integer from 3600 to 2592000.",
            "expires_after[seconds]",
        ),
        (
            {"file": ("a.jsonl", b"{}"), "purpose": "fine-tune", "colour": "red"},
            "Unrecognized request argument supplied: colour",
            "colour",
        ),
    ],
)
def test_a_bad_upload_is_refused_and_leaves_nothing(
    client: openai.OpenAI, shared: MockServer, fields: dict[str, object], message: str, param: str
) -> None:
    before = sorted(path.name for path in shared.data_dir.rglob("files/*"))
    parts = {name: value if isinstance(value, tuple) else (None, value) for name, value in fields.items()}

    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/files", cast_to=object, files=parts, options={"headers": {"Content-Type": "multipart/form-data"}})

    assert isinstance(refused.value.body, dict)
    assert (refused.value.body["message"], refused.value.param) == (message, param)
    assert sorted(path.name for path in shared.data_dir.rglob("files/*")) == before
    assert list((shared.data_dir / "incoming").iterdir()) == []


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockServer]:
    """A server that takes files of at most 1000 bytes."""
    data_dir = tmp_path_factory.mktemp("small") / "store"
    small = ServerSettings(data_dir, "sk-small", trainer="scripted", max_file_bytes=1000)
    with serving(small) as server, serve_in_thread(server):
        yield MockServer(server.base_url, "sk-small", data_dir)


def test_a_file_may_be_as_large_as_the_limit_and_no_larger(small: MockServer) -> None:
    with connect(small) as client:
        assert client.files.create(file=("a", b"x" * 1000), purpose="user_data").bytes == 1000
        with pytest.raises(openai.APIStatusError) as refused:
            client.files.create(file=("a", b"x" * 1001), purpose="user_data")

    assert refused.value.status_code == 413
    assert refused.value.body == {
        "message": "The file is too large: at most 1000 bytes may be uploaded.",
        "type": "invalid_request_error",
        "param": "file",
        "code": "file_too_large",
    }
    assert list((small.data_dir / "incoming").iterdir()) == []


def test_the_refusal_of_a_much_too_large_file_reaches_the_client(small: MockServer) -> None:
    with connect(small) as client, pytest.raises(openai.APIStatusError) as refused:
        client.files.create(file=("a", b"x" * 8_000_000), purpose="user_data")

    assert refused.value.status_code == 413


def _connection(server: MockServer) -> socket.socket:
    host, port = server.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def _head(server: MockServer, length: int) -> bytes:
    """The head of an upload that promises `length` bytes of body."""
    return (
        f"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.api_key}\r\n"
        "Content-Type: multipart/form-data; boundary=B\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ).encode()


def _raw_upload(server: MockServer, body: bytes, length: int) -> bytes:
    """Send an upload that promises `length` bytes of body; returns what the server answers."""
    with _connection(server) as connection:
        connection.sendall(_head(server, length) + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


_PART = b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n' + (
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n' + b"{}\n" * 100
)


def test_a_torn_upload_is_never_accepted_and_leaves_nothing(
    serve: Callable[..., openai.OpenAI], tmp_path: Path
) -> None:
    client = serve()
    server = MockServer(str(client.base_url).rstrip("/"), client.api_key, tmp_path / "store")

    answer = _raw_upload(server, _PART, length=len(_PART) + 1000)

    assert not answer.startswith(b"HTTP/1.1 200")
    until(lambda: not list((tmp_path / "store/incoming").iterdir()), "the torn upload to be removed")
    assert list((tmp_path / "store/files").iterdir()) == []
    assert client.files.list().data == []


def test_a_form_without_its_end_is_refused(client: openai.OpenAI, shared: MockServer) -> None:
    answer = _raw_upload(shared, _PART, length=len(_PART))

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"The form is incomplete: its closing boundary is missing." in answer
    assert list((shared.data_dir / "incoming").iterdir()) == []


def test_what_a_killed_server_left_half_written_is_swept_away(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.incoming / "upload-1").write_bytes(b"half")
    (store.incoming / "ckpt-1").mkdir()
    (store.files.blobs / "file-without-row").write_bytes(b"published, but never answered for")
    (store.models_dir / "model-without-row").mkdir()
    whole = store.incoming / "upload-2"
    whole.write_bytes(b"whole")
    file = store.files.add(whole, NewFile("a", "user_data"))

    store.sweep()
    store.close()

    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.parent != tmp_path)
    assert left == [f"files/{file.id}"]


def test_a_server_killed_in_an_upload_keeps_what_it_accepted_and_nothing_else(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server()
    accepted = upload(server.client)
    with _connection(server.server) as connection:
        connection.sendall(_head(server.server, len(_PART) + 1000) + _PART)
        until(lambda: list((server.data_dir / "incoming").iterdir()), "the upload to begin")
        server.kill()

    again = start_server()

    assert [file.id for file in again.client.files.list()] == [accepted.id]
    assert again.client.files.content(accepted.id).read() == examples()
    assert list((server.data_dir / "incoming").iterdir()) == []
    assert [path.name for path in (server.data_dir / "files").iterdir()] == [accepted.id]


def test_a_large_file_takes_no_memory_on_its_way_in_or_out(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = start_server()
    small = server.client.files.content(upload(server.client).id).read()
    assert small == examples()
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(64 * 2**20)
    before = peak_memory(server.process.pid)

    with large.open("rb") as file:
        made = server.client.files.create(file=file, purpose="user_data")

    assert made.bytes == 64 * 2**20
    with server.client.files.with_streaming_response.content(made.id) as content:
        assert sum(map(len, content.iter_bytes(2**20))) == made.bytes
    assert peak_memory(server.process.pid) - before < 8 * 2**20


def test_a_script_can_put_every_file_in_error(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve(files={"status": "error", "status_details": "The file is not readable."})

    file = upload(client)

    assert (file.status, file.status_details) == ("error", "The file is not readable.")
    assert client.files.wait_for_processing(file.id) == file
    with pytest.raises(openai.BadRequestError) as refused:
        client.fine_tuning.jobs.create(model="smollm2-135m-instruct", training_file=file.id)
    assert refused.value.param == "training_file"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(purposes=st.lists(st.sampled_from(["fine-tune", "batch"]), max_size=6), data=st.data())
def test_pages_together_are_the_whole_list(
    tmp_path_factory: pytest.TempPathFactory, purposes: list[str], data: st.DataObject
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    made = []
    for number, purpose in enumerate(purposes):
        incoming = store.incoming / str(number)
        incoming.write_bytes(b"x")
        made.append(store.files.add(incoming, NewFile(str(number), purpose)))
    oldest_first = data.draw(st.booleans())
    wanted = data.draw(st.sampled_from([None, "fine-tune"]))
    limit = data.draw(st.integers(1, 4))
    doomed = data.draw(st.sampled_from(made)) if made else None  # deleted between two pages, right after it was shown

    seen, after = [], None
    while True:
        page = store.files.page(purpose=wanted, after=after, limit=limit, oldest_first=oldest_first)
        seen += page.items
        if doomed is not None and doomed in page.items:
            store.files.delete(doomed.id)
        if not page.has_more:
            break
        after = page.items[-1].id
    store.close()

    expected = [file for file in made if wanted in (None, file.purpose)]
    assert seen == (expected if oldest_first else expected[::-1])


def test_a_page_names_its_ends(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve()
    first, second, third = (upload(client) for _ in range(3))

    page = client.files.with_raw_response.list(limit=2)

    body = msgspec.json.decode(page.http_response.content)
    assert (body["object"], body["has_more"], body["first_id"], body["last_id"]) == ("list", True, third.id, second.id)
    assert [file.id for file in client.files.list(limit=1, order="asc")] == [first.id, second.id, third.id]
    assert client.files.list(after="file-unknown").data == []
    assert client.files.list(limit=0).data == []


def test_a_file_says_when_it_expires(client: openai.OpenAI) -> None:
    file = client.files.create(
        file=("a.txt", b"a"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 7200}
    )

    assert file.expires_at == file.created_at + 7200
    assert client.files.retrieve(file.id) == file
    assert upload(client).expires_at is None


@pytest.mark.parametrize("seconds", ["7200", '"7200"'])
def test_when_a_file_expires_can_be_said_as_json(client: openai.OpenAI, seconds: str) -> None:
    text = f'{{"anchor": "created_at", "seconds": {seconds}}}'

    file = client.files.create(file=("a.txt", b"a"), purpose="user_data", extra_body={"expires_after": text})

    assert file.expires_at == file.created_at + 7200


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        *(
            (
                {"expires_after": text, **more},
                "expires_after",
                "`expires_after` must be one JSON object of `anchor` and `seconds`, or a field for each.",
            )
            for text, more in (
                ("", {}),
                ("7200", {}),
                ("[" * 5000, {}),
                ('{"anchor": "created_at", "seconds": 7200, "colour": 1}', {}),
                ('{"anchor": "created_at"}', {"expires_after[seconds]": "7200"}),
            )
        ),
        ({"expires_after": "{}"}, "expires_after[anchor]", "`expires_after[anchor]` must be `created_at`."),
        *(
            (
                {"expires_after": f'{{"anchor": "created_at", "seconds": {seconds}}}'},
                "expires_after[seconds]",
                "`expires_after[seconds]` must be an integer from 3600 to 2592000.",
            )
            for seconds in ("3599", "7200.5", "true", "1e999", "null", "-7200", "9" * 40)
        ),
    ],
)
def test_an_odd_expiry_is_refused(client: openai.OpenAI, fields: dict[str, str], param: str, message: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.create(file=("a.txt", b"a"), purpose="user_data", extra_body=fields)

    assert isinstance(refused.value.body, dict)
    assert (refused.value.param, refused.value.body["message"]) == (param, message)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_purpose_comes_back_as_it_was_sent(client: openai.OpenAI, purpose: FilePurpose) -> None:
    file = client.files.create(file=("a.jsonl", b"{}"), purpose=purpose)
    upload = client.uploads.create(bytes=2, filename="a.jsonl", mime_type="text/jsonl", purpose=purpose)
    part = client.uploads.parts.create(upload.id, data=b"{}")
    joined = client.uploads.complete(upload.id, part_ids=[part.id]).file

    assert joined is not None
    assert [file.purpose, upload.purpose, joined.purpose] == [purpose] * 3
    lasts_s = 30 * 24 * 3600 if purpose == "batch" else None
    for kept in (file, joined):
        assert kept.expires_at == (None if lasts_s is None else kept.created_at + lasts_s)


def test_an_expired_file_is_gone_at_once_and_its_bytes_soon(tmp_path: Path) -> None:
    now = [1_700_000_000.0]
    store = Store(tmp_path, clock=lambda: now[0])
    incoming = store.incoming / "a"
    incoming.write_bytes(b"a")
    file = store.files.add(incoming, NewFile("a.txt", "user_data", lasts_s=3600))

    now[0] += 3599
    store.expire()
    assert store.files.get(file.id) == file
    assert store.files.blob(file.id).exists()

    now[0] += 1
    assert store.files.get(file.id) is None
    assert store.files.page(purpose=None, after=None, limit=9, oldest_first=True).items == []
    assert store.files.delete(file.id) is False
    store.expire()
    assert list(store.files.blobs.iterdir()) == []
    store.close()
