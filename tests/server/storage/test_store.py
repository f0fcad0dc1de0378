"""The store: its identity, its versions, and what two threads that disagree can do to it."""

import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipeline.errors import StateDamaged
from pipeline.server import responses
from pipeline.server.records import JobRecord, NewFile, NewJob, NewUpload
from pipeline.server.storage.database import read_store_id
from pipeline.server.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store", clock=lambda: 1_700_000_000.9)
    yield opened
    opened.close()


def _job(store: Store) -> JobRecord:
    upload = store.incoming / "upload"
    upload.write_bytes(b"{}")
    file = store.files.add(upload, NewFile("a.jsonl", "fine-tune"))
    name = f"ft:base:personal::{os.urandom(4).hex()}"
    return store.create_job(NewJob("base", name, file.id, None, 1, None, None, responses.Hyperparameters()))


def test_a_store_has_an_identity_for_life(tmp_path: Path) -> None:
    assert read_store_id(tmp_path / "store") is None
    store = Store(tmp_path / "store")
    identity = store.store_id
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", identity)
    assert read_store_id(tmp_path / "store") == identity
    store.close()

    again = Store(tmp_path / "store")
    assert (again.store_id, again.org_id) == (identity, store.org_id)
    again.close()
    assert read_store_id(tmp_path / "store") == identity


def test_a_store_that_is_only_being_made_has_no_identity_yet(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()

    assert read_store_id(tmp_path) is None


def test_the_identity_is_read_without_the_weight_of_a_server() -> None:
    heavy = ("fastapi", "uvicorn", "openai", "torch")
    code = f"import sys, pipeline.server.storage.store; print([m for m in {heavy} if m in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )

    assert done.stdout == "[]\n"


def test_a_store_that_is_no_database_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"<html>not a database</html>" * 100)

    for opening in (Store, read_store_id):
        with pytest.raises(StateDamaged) as refused:
            opening(tmp_path)
        assert str(refused.value) == (
            f"{tmp_path}/store.db: the server's store cannot be read, got file is not a database. "
            "Put back a copy of this folder, or move it away to start with an empty store."
        )


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "store.db") as db:
        db.execute("PRAGMA user_version = 7")
    db.close()

    with pytest.raises(StateDamaged) as refused:
        Store(tmp_path)

    assert str(refused.value) == (
        f"{tmp_path}/store.db: this store was made by a newer version of finetune, got schema 7. "
        "Use the version that made it; this one reads schemas up to 2."
    )


def _race(store: Store, job: JobRecord) -> list[bool]:
    """Let a success and a cancellation of `job` loose at the same moment; returns whether each took effect."""
    adapter = store.incoming / job.id
    adapter.mkdir()
    outcomes: list[bool] = []
    start = threading.Barrier(2)

    def succeed() -> None:
        start.wait()
        outcomes.append(store.succeed(job.id, adapter=adapter, results=b"step\n", trained_tokens=1))

    def cancel() -> None:
        start.wait()
        outcomes.append(store.move(job.id, ["running"], "cancelled", "stop") is not None)

    threads = [threading.Thread(target=act) for act in (succeed, cancel)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_of_success_and_cancellation_exactly_one_happens(store: Store) -> None:
    for _ in range(20):
        job = _job(store)
        store.move(job.id, ["validating_files"], "running", "go")

        assert sorted(_race(store, job)) == [False, True]

        ended = store.job(job.id)
        assert ended is not None
        succeeded = ended.status == "succeeded"
        assert (ended.result_file is not None) == (store.model(job.model_name) is not None) == succeeded
        page = store.files.page(purpose=None, after=None, limit=1000, oldest_first=False)
        assert {path.name for path in store.files.blobs.iterdir()} == {file.id for file in page.items}
        assert set(store.models_dir.iterdir()) == {store.adapter_path(model.name) for model in store.models()}


def _as_made_by_version_1(data_dir: Path) -> None:
    """Undo what version 2 added, with a file and a job in it."""
    store = Store(data_dir)
    _job(store)
    store.close()
    with sqlite3.connect(data_dir / "store.db") as db:
        db.executescript(
            "DROP INDEX files_by_end; ALTER TABLE files DROP COLUMN expires_at; ALTER TABLE jobs DROP COLUMN method;"
            "DROP TABLE upload_parts; DROP TABLE uploads; PRAGMA user_version = 1;"
        )
    db.close()


def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    _as_made_by_version_1(tmp_path)
    identity = read_store_id(tmp_path)

    store = Store(tmp_path)

    (job,) = store.jobs(metadata={}, without_metadata=False, after=None, limit=9).items
    file = store.files.get(job.training_file)
    assert file is not None
    assert (job.method, file.expires_at, store.store_id) == ("supervised", msgspec.UNSET, identity)
    upload = store.uploads.begin(NewUpload(NewFile("a.jsonl", "fine-tune"), 1))
    assert store.uploads.get(upload.id) == upload
    store.close()
    Store(tmp_path).close()
