import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.fetch import archive_suffix, check_any, check_sqlite, fetch_archive
from pipeline.samples import sample_path
from pipeline.samples.chatdb import create_chat_db
from tests.fetch.site import says

GET_AGAIN = "Get the file again from where it comes from, and check `download.source`."


def fetch(
    source: Path | str, target: Path, check: Callable[[Path], None] = check_any, sha256: str | None = None
) -> Path:
    return fetch_archive(
        str(source),
        target,
        check=check,
        sha256=sha256,
        timeout_s=5,
        attempts=1,
        progress=lambda _done, _total: None,
    )


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_the_sample_is_fetched_by_name(run_dir: Path) -> None:
    target = fetch("sample:tortoise-hare", run_dir / "01_archive.db", check_sqlite)
    with closing(sqlite3.connect(target)) as db:
        assert db.execute("SELECT count(*) FROM chat").fetchone() == (10,)
    assert names(run_dir) == {"01_archive.db"}


def test_fetching_again_makes_the_same_bytes(run_dir: Path) -> None:
    first = fetch("sample:tortoise-hare", run_dir / "01_archive.db", check_sqlite).read_bytes()
    assert fetch("sample:tortoise-hare", run_dir / "01_archive.db", check_sqlite).read_bytes() == first


def test_a_file_of_any_kind_is_copied_for_its_owner_only(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "chat.txt").write_text("[8/15/23, 9:12:43 AM] Hare: Go!")
    target = fetch(tmp_path / "chat.txt", run_dir / "01_archive.txt")
    assert target.read_text() == "[8/15/23, 9:12:43 AM] Hare: Go!"
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_folder_is_copied_and_replaced_as_a_whole(run_dir: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "export" / "inbox"
    inbox.mkdir(parents=True)
    (inbox / "old.json").write_text("{}")
    target = run_dir / "01_archive"
    fetch(tmp_path / "export", target)
    (inbox / "old.json").rename(inbox / "new.json")
    fetch(tmp_path / "export", target)
    assert names(target / "inbox") == {"new.json"}
    assert names(run_dir) == {"01_archive"}
    (inbox / "new.json").unlink()
    with says(InputError, "download.source: an empty folder. Point it at the folder of an exported archive."):
        fetch(tmp_path / "export", target)
    assert names(target / "inbox") == {"new.json"}
    assert names(run_dir) == {"01_archive"}


def test_a_file_gives_way_to_a_folder_and_a_folder_to_a_file(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "chat.json").write_text("{}")
    target = run_dir / "01_archive"
    fetch(tmp_path / "export" / "chat.json", target)
    fetch(tmp_path / "export", target)
    assert names(target) == {"chat.json"}
    fetch(tmp_path / "export" / "chat.json", target)
    assert target.read_text() == "{}"
    assert names(run_dir) == {"01_archive"}


def test_a_folder_whose_replacement_was_killed_half_way_is_put_back(run_dir: Path, tmp_path: Path) -> None:
    (run_dir / ".old-01_archive").mkdir()
    (run_dir / ".old-01_archive" / "chat.json").write_text("good")
    with says(InputError, f"{tmp_path / 'gone'}: no such file or folder. Check `download.source`."):
        fetch(tmp_path / "gone", run_dir / "01_archive")
    assert (run_dir / "01_archive" / "chat.json").read_text() == "good"


def test_a_folder_that_holds_the_run_directory_is_refused(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "chat.json").write_text("{}")
    message = f"{tmp_path}: holds the run directory itself. Point `download.source` at the archive's own folder."
    with says(InputError, message):
        fetch(tmp_path, run_dir / "01_archive")


def test_what_a_killed_run_left_is_cleared_away(run_dir: Path) -> None:
    (run_dir / ".new-01_archive.db").write_text("half")
    (run_dir / ".new-01_archive.db-wal").write_text("half")
    (run_dir / ".new-01_archive.db.copy").mkdir()
    (run_dir / ".01_archive.db.part").write_text("half")
    (run_dir / ".01_archive.db.part.json").write_text("{}")
    fetch("sample:tortoise-hare", run_dir / "01_archive.db", check_sqlite)
    assert names(run_dir) == {"01_archive.db"}


def test_the_sha256_of_a_local_database_is_that_of_its_file(run_dir: Path) -> None:
    sha256 = hashlib.sha256(sample_path("tortoise-hare").read_bytes()).hexdigest()
    fetch("sample:tortoise-hare", run_dir / "01_archive.db", check_sqlite, sha256)
    message = (
        f"download.sha256: the archive is another than expected, got {sha256}. If it is the one you want, set "
        "`download.sha256` to this; else get the right one."
    )
    with says(InputError, message):
        fetch("sample:tortoise-hare", run_dir / "01_archive.db", check_sqlite, "0" * 64)


def test_a_folder_has_no_sha256(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "chat.json").write_text("{}")
    message = "download.sha256: goes with a file, but `download.source` is a folder. Take `download.sha256` out."
    with says(InputError, message):
        fetch(tmp_path / "export", run_dir / "01_archive", sha256="0" * 64)


@pytest.mark.parametrize("source", ["ftp://example.test/chat.db", "http://", "https://a/\x00"])
def test_an_unusable_url_is_refused(run_dir: Path, source: str) -> None:
    message = (
        f"download.source: expected an http or https URL, a path or `sample:NAME`, got {source.partition(':')[0]}://…. "
        "If this is the right address, download the archive by other means and give its path."
    )
    with says(InputError, message):
        fetch(source, run_dir / "01_archive.db")


@pytest.mark.parametrize(
    ("source", "suffix"),
    [
        ("sample:tortoise-hare", ".db"),
        ("https://example.test/export.zip?key=a.b#c.d", ".zip"),
        ("https://drive.google.com/file/d/FILE/view", ""),
        ("~/WhatsApp Chat.txt", ".txt"),
        ("result.json", ".json"),
        ("no suffix", ""),
    ],
)
def test_the_suffix_comes_from_the_source(source: str, suffix: str) -> None:
    assert archive_suffix(source) == suffix


def test_a_folder_has_no_suffix(tmp_path: Path) -> None:
    (tmp_path / "export.2023").mkdir()
    assert archive_suffix(str(tmp_path / "export.2023")) == ""


def whole(path: Path) -> None:
    path.write_bytes(sample_path("tortoise-hare").read_bytes())


def empty(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("[8/15/23, 9:12:43 AM] Hare: Go!")


def cut(path: Path) -> None:
    path.write_bytes(sample_path("tortoise-hare").read_bytes()[:100_000])


def miscounted(path: Path) -> None:
    content = bytearray(sample_path("tortoise-hare").read_bytes())
    content[36:40] = b"\0\0\0\x05"  # free pages: there are none (SQLite, database file format)
    path.write_bytes(content)


def other(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE chat (guid TEXT)")


def silent(path: Path) -> None:
    create_chat_db(path).close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (empty, f"download.source: an empty file, not an iMessage database. {GET_AGAIN}"),
        (
            text,
            "download.source: not a SQLite database. Point it at a chat.db, or say with `load.source` and "
            "`load.loader` what the archive is.",
        ),
        (cut, f"download.source: the database is damaged. {GET_AGAIN}"),
        (miscounted, f"download.source: the database is damaged. {GET_AGAIN}"),
        (
            other,
            "download.source: a SQLite database, but not of iMessage: it has no table message. Point it at a chat.db.",
        ),
        (
            silent,
            "download.source: an empty database: it holds no messages. On the Mac, sign in to Messages, let it load "
            "its history from iCloud, and fetch it again.",
        ),
    ],
)
def test_what_is_no_good_database_is_told_apart(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path / "chat.db")
    with says(InputError, message):
        check_sqlite(tmp_path / "chat.db")


def test_a_good_database_passes_and_is_left_alone(tmp_path: Path) -> None:
    whole(tmp_path / "chat.db")
    check_sqlite(tmp_path / "chat.db")
    assert names(tmp_path) == {"chat.db"}


@pytest.mark.parametrize(
    ("page", "titled"),
    [
        ("<!DOCTYPE html><title>Sign in</title>", ", titled “Sign in”"),
        ("\ufeff  <HTML><body>Hi", ""),
        ("<!-- saved --><html><head><title>A &amp; B</title><svg><title>C</title>", ", titled “A & B”"),
    ],
)
def test_a_web_page_is_no_archive_unless_it_is_named_as_one(tmp_path: Path, page: str, titled: str) -> None:
    (tmp_path / "chat.zip").write_text(page)
    message = (
        f"download.source: what arrived is a web page{titled}, not a chat archive. Open the link in a browser, "
        "download the file there and give its path."
    )
    with says(InputError, message):
        check_any(tmp_path / "chat.zip")
    (tmp_path / "chat.zip").rename(tmp_path / "messages.html")
    check_any(tmp_path / "messages.html")


def test_an_empty_file_is_no_archive(tmp_path: Path) -> None:
    empty(tmp_path / "chat.txt")
    with says(InputError, f"download.source: an empty file, not a chat archive. {GET_AGAIN}"):
        check_any(tmp_path / "chat.txt")
