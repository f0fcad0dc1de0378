"""A store that something has happened to: its database lost, cut short or edited by hand."""

import contextlib
import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from pipeline.errors import StateDamaged
from pipeline.server import responses
from pipeline.server.interfaces import StorageDamaged
from pipeline.server.main import serving
from pipeline.server.records import JobRecord, NewFile, NewJob, NewUpload
from pipeline.server.responses import Status
from pipeline.server.settings import ServerSettings
from pipeline.server.storage.database import read_store_id
from pipeline.server.storage.store import Store
from pipeline.testing import MockServer, serve_in_thread
from tests.server.harness import connect, finish, start_job, until

LOST = (
    "{}/store.db: the database of this store is gone, but there is still something in its folder {}. "
    "Put back store.db, or move the whole folder away to start with an empty store."
)
UNREADABLE = (
    "{}/store.db: the server's store cannot be read, got {}. "
    "Put back a copy of this folder, or move it away to start with an empty store."
)


def _settings(data_dir: Path) -> ServerSettings:
    return ServerSettings(data_dir, "sk-damaged", trainer="scripted")


def _everything(data_dir: Path) -> set[Path]:
    return {path.relative_to(data_dir) for path in data_dir.rglob("*") if not path.name.startswith("store.db")}


def _edit(data_dir: Path, *statements: str) -> None:
    db = sqlite3.connect(data_dir / "store.db")
    with db:
        for statement in statements:
            db.execute(statement)
    db.close()


def _add_job(store: Store, name: str) -> JobRecord:
    upload = store.incoming / "upload"
    upload.write_bytes(b"{}")
    file = store.files.add(upload, NewFile("a.jsonl", "fine-tune"))
    new = NewJob("base", name, file.id, None, 1, None, {"a": "b"}, responses.Hyperparameters())
    return store.create_job(new)


@pytest.fixture(scope="module")
def once_used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a finished job in it, whose server has ended."""
    data_dir = tmp_path_factory.mktemp("used") / "store"
    with (
        serving(_settings(data_dir)) as server,
        serve_in_thread(server),
        connect(MockServer(server.base_url, "sk-damaged", data_dir)) as client,
    ):
        assert finish(client, start_job(client).id).status == "succeeded"
    return data_dir


@pytest.fixture
def used(once_used: Path, tmp_path: Path) -> Path:
    """A store of the test's own with a finished job in it."""
    return Path(shutil.copytree(once_used, tmp_path / "store"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store")
    yield opened
    opened.close()


def _remove(database: Path) -> None:
    database.unlink()


def _empty(database: Path) -> None:
    database.write_bytes(b"")


def _begin(database: Path) -> None:
    """As SQLite leaves it when it is ended before it has made a table."""
    database.unlink()
    _edit(database.parent, "PRAGMA journal_mode = WAL")


@pytest.mark.parametrize("lose", [_remove, _empty, _begin])
def test_a_lost_database_takes_no_model_with_it_however_often_the_server_starts(
    used: Path, lose: Callable[[Path], None]
) -> None:
    before = _everything(used)
    lose(used / "store.db")

    for _ in range(2):
        with pytest.raises(StateDamaged) as refused, serving(_settings(used)):
            pass
        assert str(refused.value) == LOST.format(used, "files")

    assert _everything(used) == before


@pytest.mark.parametrize("folder", ["files", "uploads", "jobs", "models"])
def test_no_folder_of_somebody_elses_is_swept_by_a_new_store(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder / "my own").mkdir(parents=True)

    with pytest.raises(StateDamaged) as refused, serving(_settings(tmp_path)):
        pass

    assert str(refused.value) == LOST.format(tmp_path, folder)
    assert (tmp_path / folder / "my own").is_dir()


def test_what_a_file_manager_leaves_behind_keeps_no_store_from_being_made(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / ".DS_Store").touch()

    with serving(_settings(tmp_path)):
        assert (tmp_path / "files" / ".DS_Store").exists()


def test_a_database_that_was_put_back_has_everything_again(used: Path, tmp_path: Path) -> None:
    before = _everything(used)
    (used / "store.db").rename(tmp_path / "kept")
    with pytest.raises(StateDamaged), serving(_settings(used)):
        pass

    shutil.copy(tmp_path / "kept", used / "store.db")
    with serving(_settings(used)) as server:
        assert len(server.context.store.models()) == 1

    assert _everything(used) == before


@pytest.mark.parametrize(
    ("statement", "got"),
    [
        ("DELETE FROM meta WHERE name = 'org_id'", "no org_id"),
        ("DELETE FROM meta WHERE name = 'store_id'", "no store_id"),
        ("DROP TABLE upload_parts", "no upload_parts.bytes"),
        ("DROP TABLE checkpoints", "no checkpoints.created_at"),
        ("ALTER TABLE models RENAME COLUMN folder TO place", "no models.folder"),
    ],
)
def test_a_store_that_lacks_something_is_an_error_that_says_so(used: Path, statement: str, got: str) -> None:
    _edit(used, statement)

    with pytest.raises(StateDamaged) as refused, serving(_settings(used)):
        pass

    assert str(refused.value) == UNREADABLE.format(used, got)


def test_a_store_without_its_name_is_no_bug_to_whoever_asks_for_it(used: Path) -> None:
    _edit(used, "DELETE FROM meta")

    with pytest.raises(StateDamaged) as refused:
        read_store_id(used)

    assert str(refused.value) == UNREADABLE.format(used, "no store_id")


@pytest.mark.parametrize("page", range(1, 8))
def test_a_damaged_page_is_never_a_bug(used: Path, page: int) -> None:
    with (used / "store.db").open("r+b") as file:
        file.seek(4096 * page)
        file.write(b"\xa5" * 4096)

    with contextlib.suppress(StateDamaged), serving(_settings(used)):  # some pages are not read at a start
        pass


@pytest.mark.parametrize("status", ["validating_files", "queued", "running"])
@pytest.mark.parametrize("column", ["asked", "used"])
def test_a_damaged_job_fails_and_the_next_one_is_taken(store: Store, status: Status, column: str) -> None:
    damaged, sound = _add_job(store, "a"), _add_job(store, "b")
    for job in (damaged, sound):
        store.move(job.id, ["validating_files"], status, "moved")
    _edit(store.data_dir, f"UPDATE jobs SET {column} = '{{' WHERE id = '{damaged.id}'")

    claimed = store.claim(status)

    assert claimed is not None
    assert claimed.id == sound.id
    failed = store.job(damaged.id)
    assert failed is not None
    message = f"The record of this job in the server's store is damaged ({column}). Please create the job again."
    assert (failed.status, failed.error) == ("failed", responses.JobError("server_error", message, None))
    assert store.events(damaged.id, after=None, limit=1).items[0].message == f"The job failed: {message}"


@pytest.mark.parametrize("text", ["{", "[]", "", '{"n_epochs": [1]}', "[" * 100_000])
@pytest.mark.parametrize("column", ["asked", "used", "metadata", "error"])
def test_a_damaged_row_hides_no_other(store: Store, column: str, text: str, caplog: pytest.LogCaptureFixture) -> None:
    damaged, sound = _add_job(store, "a"), _add_job(store, "b")
    _edit(store.data_dir, f"UPDATE jobs SET {column} = '{text}' WHERE id = '{damaged.id}'")

    page = store.jobs(metadata={}, without_metadata=False, after=None, limit=10)

    assert [job.id for job in page.items] == [sound.id, damaged.id]
    assert msgspec.structs.replace(page.items[1], metadata=None, asked=page.items[0].asked) == msgspec.structs.replace(
        damaged, metadata=None
    )
    assert f"the column {column} of a row of the store is damaged" in caplog.text
    with_metadata = store.jobs(metadata={"a": "b"}, without_metadata=False, after=None, limit=10)
    assert [job.id for job in with_metadata.items] == [sound.id] + [damaged.id] * (column != "metadata")


def test_damaged_events_checkpoints_and_steps_are_read_as_far_as_they_go(store: Store) -> None:
    job = _add_job(store, "a")
    store.move(job.id, ["validating_files"], "running", "go")
    (store.incoming / "adapter").mkdir()
    store.add_step(job.id, 1, {"train_loss": 2.0}, "Step 1", beside={}, remaining_s=1)
    store.add_checkpoint(job.id, 1, store.incoming / "adapter")
    _edit(
        store.data_dir,
        "UPDATE events SET data = '{'",
        "UPDATE checkpoints SET metrics = '['",
        "UPDATE metrics SET values_json = ''",
        "UPDATE jobs SET crashes = '{}'",
    )

    assert {event.data for event in store.events(job.id, after=None, limit=10).items} == {None}
    assert store.checkpoints(job.id, after=None, limit=10).items[0].metrics == {}
    assert store.steps(job.id) == [{"step": 1}]
    assert store.add_crash(job.id, "was killed by SIGKILL") == ["was killed by SIGKILL"]


def test_a_name_that_is_no_text_hides_no_file(store: Store) -> None:
    job = _add_job(store, "a")
    _edit(store.data_dir, "UPDATE files SET filename = CAST(x'61ff' AS TEXT)")

    (file,) = store.files.page(purpose=None, after=None, limit=10, oldest_first=False).items

    assert (file.id, file.filename) == (job.training_file, "a\ufffd")


@pytest.mark.parametrize("content", [b"", b"{", b"{}\n"])
def test_bytes_that_are_not_those_stored_are_not_answered(
    used: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(_settings(used)) as server, serve_in_thread(server):
        file = server.context.store.files.page(purpose="fine-tune", after=None, limit=1, oldest_first=True).items[0]
        (used / "files" / file.id).write_bytes(content)
        with pytest.raises(StorageDamaged):
            server.context.store.files.open(file.id)
        answer = httpx.get(
            f"{server.base_url}/files/{file.id}/content", headers={"Authorization": "Bearer sk-damaged"}, timeout=10
        )

    assert (answer.status_code, answer.json()["error"]["message"]) == (
        500,
        f"The server's store is damaged: of {file.id}, {file.bytes} bytes were stored and {len(content)} are there.",
    )
    assert "StorageDamaged" in caplog.text


def test_a_server_is_not_ready_while_its_store_refuses_what_the_queue_does(
    used: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.server.queue.supervisor.RECOVERY_S", 0.001)
    with serving(_settings(used)) as server, serve_in_thread(server):
        ready = server.base_url.removesuffix("/v1") + "/readyz"
        _edit(used, "ALTER TABLE jobs RENAME COLUMN seq TO number")
        server.context.queue.wake()
        refused = until(lambda: (a := httpx.get(ready)).status_code == 503 and a, "the server to see that it is stuck")
        _edit(used, "ALTER TABLE jobs RENAME COLUMN number TO seq")
        until(lambda: httpx.get(ready).status_code == 200, "the server to go on")

    assert refused.json()["error"]["message"] == "The server's queue has stopped."


@pytest.mark.parametrize("folder", ["incoming", "files", "uploads", "uploads/x", "models"])
def test_what_lies_about_in_a_store_is_swept_away_and_named(
    store: Store, folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.close()
    place = store.data_dir / folder
    place.mkdir(parents=True, exist_ok=True)
    (place / ".DS_Store").touch()
    (place / "folder").mkdir()
    (place / "folder" / "inside").touch()
    (place / "link").symlink_to("nowhere")

    with caplog.at_level(logging.WARNING), serving(_settings(store.data_dir)):
        assert not place.exists() or list(place.iterdir()) == []

    removed = f".DS_Store in the folder {place.name} belongs to nothing that the store knows of, and is removed"
    assert removed in caplog.text


def test_files_whose_folder_was_away_for_a_start_are_there_again(used: Path, tmp_path: Path) -> None:
    names = {path.name for path in (used / "files").iterdir()}
    (used / "files").rename(tmp_path / "elsewhere")

    with serving(_settings(used)):
        pass
    (used / "files").rmdir()
    (tmp_path / "elsewhere").rename(used / "files")

    with serving(_settings(used)) as server:
        page = server.context.store.files.page(purpose=None, after=None, limit=10, oldest_first=False)
        assert {file.id for file in page.items} == names
    assert {path.name for path in (used / "files").iterdir()} == names


def test_an_upload_that_is_pending_survives_a_sweep(store: Store) -> None:
    upload = store.uploads.begin(NewUpload(NewFile("a.jsonl", "fine-tune"), 2))
    part = store.incoming / "part"
    part.write_bytes(b"{}")
    added = store.uploads.add_part(upload.id, part)
    assert added is not None
    store.close()

    with serving(_settings(store.data_dir)) as server:
        assert server.context.store.uploads.complete(upload.id, [added.id], None).status == "completed"
