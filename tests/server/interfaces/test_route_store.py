"""What a store promises the routes, whatever it is made of: files, uploads, jobs, models."""

import hashlib
from pathlib import Path

import pytest

from pipeline.server.interfaces import StorageError
from pipeline.server.records import NewFile, NewJob, NewUpload
from pipeline.server.responses import File, Upload
from pipeline.server.upload_rules import UploadRefused
from tests.server.interfaces.material import (
    Storage,
    WallClock,
    adapter,
    add_file,
    add_job,
    incoming,
    job_ids,
    new_job,
    running_job,
    story,
)


def test_a_file_is_kept_as_it_came(store: Storage) -> None:
    came = incoming(store, b"one\ntwo\n")

    file = store.files.add(came, NewFile("é.txt", "user_data", lasts_s=3600))

    assert not came.exists()
    assert (file.filename, file.purpose, file.bytes, file.status) == ("é.txt", "user_data", 8, "processed")
    assert (file.created_at, file.expires_at) == (1_700_000_000, 1_700_003_600)
    assert store.files.get(file.id) == file
    with store.files.open(file.id) as content:
        assert content.read() == b"one\ntwo\n"


def test_a_file_with_a_fault_says_so(store: Storage) -> None:
    file = store.files.add(incoming(store, b"x"), NewFile("a", "user_data", fault="It cannot be read."))

    assert (file.status, file.status_details) == ("error", "It cannot be read.")
    assert store.files.get(file.id) == file


def test_a_deleted_file_is_gone_with_its_bytes_but_not_for_who_reads_it(store: Storage) -> None:
    file = add_file(store, b"to the end")
    with store.files.open(file.id) as content:
        assert store.files.delete(file.id)
        assert content.read() == b"to the end"

    assert store.files.get(file.id) is None
    assert not store.files.delete(file.id)
    assert not store.file_path(file.id).exists()
    with pytest.raises(FileNotFoundError):
        store.files.open(file.id)


def test_a_file_that_never_was_is_not_found(store: Storage) -> None:
    assert store.files.get("file-none") is None
    assert not store.files.delete("file-none")


def test_an_expired_file_is_gone_to_the_second(store: Storage, wall: WallClock) -> None:
    file = add_file(store, lasts_s=3600)
    wall.now += 3599
    store.expire()
    assert store.files.get(file.id) == file

    wall.now += 1

    assert store.files.get(file.id) is None
    assert store.files.page(purpose=None, after=None, limit=9, oldest_first=True).items == []
    assert not store.files.delete(file.id)
    store.expire()
    assert not store.file_path(file.id).exists()


@pytest.mark.parametrize("oldest_first", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_together_are_the_whole_list_though_files_go_meanwhile(
    store: Storage, limit: int, oldest_first: bool
) -> None:
    made = [add_file(store, purpose=purpose) for purpose in ("fine-tune", "batch", "fine-tune", "fine-tune", "batch")]
    expected = [file for file in (made if oldest_first else made[::-1]) if file.purpose == "fine-tune"]

    seen: list[File] = []
    has_more, after = True, None
    while has_more:
        page = store.files.page(purpose="fine-tune", after=after, limit=limit, oldest_first=oldest_first)
        seen, has_more, after = [*seen, *page.items], page.has_more, page.items[-1].id
        store.files.delete(after)

    assert seen == expected


def test_a_page_after_what_never_was_is_empty_and_one_of_nothing_may_have_more(store: Storage) -> None:
    add_file(store)

    lost = store.files.page(purpose=None, after="file-none", limit=9, oldest_first=False)
    none = store.files.page(purpose=None, after=None, limit=0, oldest_first=False)

    assert (lost.items, lost.has_more) == ([], False)
    assert (none.items, none.has_more) == ([], True)


def _begin(store: Storage, size: int) -> Upload:
    return store.uploads.begin(NewUpload(NewFile("a.jsonl", "fine-tune", lasts_s=60), size))


def _part(store: Storage, upload: Upload, content: bytes, *, again: bool = False) -> str:
    part = store.uploads.add_part(upload.id, incoming(store, content), again=again)
    assert part is not None
    assert part.upload_id == upload.id
    return part.id


def test_parts_become_a_file_in_the_order_asked_for(store: Storage) -> None:
    upload = _begin(store, 5)
    assert (upload.status, upload.expires_at - upload.created_at) == ("pending", 3600)
    assert store.uploads.get(upload.id) == upload
    last, first = _part(store, upload, b"llo"), _part(store, upload, b"he")
    assert store.uploads.room(upload.id) == 0

    done = store.uploads.complete(
        upload.id, [first, last], hashlib.md5(b"hello", usedforsecurity=False).hexdigest().upper(), fault="No."
    )

    assert done.status == "completed"
    assert isinstance(done.file, File)
    assert (done.file.bytes, done.file.filename, done.file.status_details) == (5, "a.jsonl", "No.")
    assert done.file.expires_at == done.file.created_at + 60
    assert store.uploads.get(upload.id) == done
    assert store.files.get(done.file.id) == done.file
    with store.files.open(done.file.id) as content:
        assert content.read() == b"hello"


def test_an_upload_is_completed_once(store: Storage) -> None:
    upload = _begin(store, 2)
    part = _part(store, upload, b"ab")
    store.uploads.complete(upload.id, [part], None)

    with pytest.raises(UploadRefused):
        store.uploads.complete(upload.id, [part], None)

    assert len(store.files.page(purpose=None, after=None, limit=9, oldest_first=True).items) == 1


@pytest.mark.parametrize(
    ("named", "md5", "message", "param"),
    [
        (["part_none"], None, "No such part of this upload: part_none", "part_ids[0]"),
        (["one", "one"], None, "A part is named more than once.", "part_ids"),
        (["one"], None, "The parts hold 2 bytes together, but the upload was created for 4.", "part_ids"),
        (["one", "two"], "0" * 32, "The MD5 checksum of the parts together is another one.", "md5"),
    ],
)
def test_what_does_not_agree_is_refused_and_may_be_mended(
    store: Storage, named: list[str], md5: str | None, message: str, param: str
) -> None:
    upload = _begin(store, 4)
    parts = {"one": _part(store, upload, b"ab"), "two": _part(store, upload, b"cd")}

    with pytest.raises(UploadRefused) as refused:
        store.uploads.complete(upload.id, [parts.get(name, name) for name in named], md5)

    assert (refused.value.message, refused.value.param) == (message, param)
    assert store.uploads.get(upload.id) == upload
    assert store.uploads.complete(upload.id, list(parts.values()), None).status == "completed"


def test_parts_hold_no_more_than_was_declared(store: Storage) -> None:
    upload = _begin(store, 4)
    kept = _part(store, upload, b"abc")

    with pytest.raises(UploadRefused) as refused:
        store.uploads.add_part(upload.id, incoming(store, b"de"))

    assert (refused.value.message, refused.value.param) == (
        "The part is too large: the upload was created for 4 bytes, and its other parts hold 3 of them.",
        "data",
    )
    assert store.uploads.room(upload.id) == 1
    assert store.uploads.complete(upload.id, [kept, _part(store, upload, b"d")], None).status == "completed"


def test_a_part_that_is_sent_again_is_kept_once(store: Storage) -> None:
    upload = _begin(store, 4)
    first = _part(store, upload, b"ab")

    assert _part(store, upload, b"ab", again=True) == first
    assert _part(store, upload, b"cd", again=True) != first
    assert store.uploads.room(upload.id) == 0


def test_a_cancelled_upload_takes_no_part_and_makes_no_file(store: Storage) -> None:
    upload = _begin(store, 2)
    part = _part(store, upload, b"ab")
    assert store.uploads.cancel(upload.id)

    assert not store.uploads.cancel(upload.id)
    assert store.uploads.add_part(upload.id, incoming(store, b"ab")) is None
    with pytest.raises(UploadRefused):
        store.uploads.complete(upload.id, [part], None)
    ended = store.uploads.get(upload.id)
    assert ended is not None
    assert ended.status == "cancelled"


def test_an_upload_expires_to_the_second(store: Storage, wall: WallClock) -> None:
    upload = _begin(store, 2)
    part = _part(store, upload, b"ab")
    wall.now += 3599
    store.expire()
    assert store.uploads.get(upload.id) == upload

    wall.now += 1

    assert store.uploads.add_part(upload.id, incoming(store, b"ab")) is None
    assert not store.uploads.cancel(upload.id)
    ended = store.uploads.get(upload.id)
    assert ended is not None
    assert ended.status == "expired"
    with pytest.raises(UploadRefused):
        store.uploads.complete(upload.id, [part], None)


def test_an_upload_that_never_was_is_not_found(store: Storage) -> None:
    assert store.uploads.get("upload_none") is None
    assert not store.uploads.cancel("upload_none")


def test_a_job_is_kept_as_it_was_asked_for(store: Storage) -> None:
    asked = new_job(add_file(store).id, metadata={"run": "one"})

    job = store.create_job(asked)

    assert (job.status, job.validated, job.created_at) == ("validating_files", False, 1_700_000_000)
    assert (job.model, job.model_name, job.training_file) == (asked.model, asked.model_name, asked.training_file)
    assert (job.metadata, job.asked, job.used, job.error) == ({"run": "one"}, asked.hyperparameters, None, None)
    assert (job.result_file, job.finished_at, job.trained_tokens, job.estimated_finish) == (None, None, None, None)
    assert store.job(job.id) == job
    assert story(store, job.id) == [
        f"Created fine-tuning job: {job.id}",
        f"Validating training file: {asked.training_file}",
    ]


def test_jobs_come_newest_first_in_pages_by_their_metadata(store: Storage) -> None:
    sets: list[dict[str, str] | None] = [{"a": "1", "b": "x"}, {"a": "1", "b": ""}, {"a": "2"}, None]
    ids = [add_job(store, metadata=metadata).id for metadata in sets]

    def found(metadata: dict[str, str], *, without: bool = False) -> list[int]:
        seen: list[str] = []
        has_more, after = True, None
        while has_more:
            page = store.jobs(metadata=metadata, without_metadata=without, after=after, limit=1)
            seen, has_more = [*seen, *job_ids(page.items)], page.has_more
            after = seen[-1] if seen else None
        return [ids.index(each) for each in seen]

    assert found({}) == [3, 2, 1, 0]
    assert found({"a": "1"}) == [1, 0]
    assert found({"a": "1", "b": ""}) == [1]
    assert found({"a": "3"}) == []
    assert found({}, without=True) == [3]
    assert store.jobs(metadata={}, without_metadata=False, after="ftjob-none", limit=9).items == []


def test_one_key_makes_one_job(store: Storage) -> None:
    file = add_file(store).id
    first = store.create_job(new_job(file), idempotency=("key", "digest"))

    again = store.create_job(new_job(file), idempotency=("key", "another digest"))
    other = store.create_job(new_job(file), idempotency=("another key", "digest"))

    assert again == first
    assert first.idempotency_digest == "digest"
    assert store.job_of_key("key") == first
    assert store.job_of_key("unused") is None
    assert job_ids(store.jobs(metadata={}, without_metadata=False, after=None, limit=9).items) == [other.id, first.id]
    assert len(story(store, first.id)) == 2


def test_a_conflict_changes_nothing(store: Storage) -> None:
    job = add_job(store)
    same = NewJob("base", job.model_name, job.training_file, None, 1, None, None, job.asked)

    with pytest.raises(StorageError):
        store.create_job(same, idempotency=("key", "digest"))

    assert store.jobs(metadata={}, without_metadata=False, after=None, limit=9).items == [job]
    assert store.job_of_key("key") is None


def test_a_job_that_never_was_is_not_found(store: Storage) -> None:
    assert store.job("ftjob-none") is None


def test_jobs_are_counted_by_status(store: Storage) -> None:
    assert store.count_jobs() == {}
    for _ in range(2):
        add_job(store)
    running_job(store)

    assert store.count_jobs() == {"validating_files": 2, "running": 1}


def test_events_come_newest_first_in_pages(store: Storage) -> None:
    job, other = add_job(store), add_job(store)
    for number in range(3):
        store.add_event(job.id, f"event {number}", level="warn", data={"number": number})
        store.add_event(other.id, "of another job")

    page = store.events(job.id, after=None, limit=2)
    rest = store.events(job.id, after=page.items[-1].id, limit=9)

    assert [(event.message, event.level, event.type, event.data) for event in page.items] == [
        ("event 2", "warn", "message", {"number": 2}),
        ("event 1", "warn", "message", {"number": 1}),
    ]
    assert page.has_more
    assert (rest.items[0].message, len(rest.items), rest.has_more) == ("event 0", 3, False)
    assert store.events(job.id, after="ftevent-none", limit=9).items == []


def test_models_are_found_listed_and_forgotten_with_their_checkpoints(
    store: Storage, wall: WallClock, tmp_path: Path
) -> None:
    jobs = []
    for _ in range(2):
        job = running_job(store)
        store.add_checkpoint(job.id, 1, adapter(tmp_path))
        store.succeed(job.id, adapter=adapter(tmp_path), results=b"step\n", trained_tokens=1)
        jobs.append(job)
        wall.now += 1
    older, newer = (job.model_name for job in jobs)
    checkpoint = f"{older}:ckpt-step-1"

    assert [model.name for model in store.models()] == [newer, older]
    found = [store.model(name) for name in (checkpoint, older)]
    assert [model.name for model in found if model is not None] == [checkpoint, older]
    adapters = {store.adapter_path(name) for name in (checkpoint, older)}

    gone = store.delete_model(older)

    assert set(gone) == adapters
    assert not any(each.exists() for each in gone)
    assert store.adapter_path(older) is None
    assert [model.name for model in store.models()] == [newer]
    assert store.model(checkpoint) is None
    assert store.delete_model(older) == []
    assert len(store.delete_model(f"{newer}:ckpt-step-1")) == 1
    assert [model.name for model in store.models()] == [newer]
