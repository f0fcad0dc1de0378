"""Step 1: the archive is there whole, or as it was."""

from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.fetch import file_name
from pipeline.steps import download
from pipeline.steps.outputs import Download
from tests.steps.bench import Bench


def test_the_sample_is_a_database_whatever_it_is_called(bench: Bench) -> None:
    made = download.run(bench.config(), bench.work)
    assert made.archive.path == "01_archive.db"
    assert bench.read(made.archive).startswith(b"SQLite format 3\0")


def test_another_archive_keeps_the_ending_of_its_name(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "chat.txt").write_text("01/02/2023, 10:00 - Ann: hello\n")
    config = bench.config(download={"source": str(tmp_path / "chat.txt")}, load={"source": "whatsapp"})
    made = download.run(config, bench.work)
    assert (made.archive.path, bench.read(made.archive)) == ("01_archive.txt", (tmp_path / "chat.txt").read_bytes())


def test_a_bad_archive_is_refused_and_a_good_one_stays(bench: Bench, tmp_path: Path) -> None:
    good = download.run(bench.config(), bench.work).archive
    (tmp_path / "page.db").write_text("<!DOCTYPE html><html><title>Sign in</title></html>")
    with pytest.raises(InputError):
        download.run(bench.config(download={"source": str(tmp_path / "page.db")}), bench.work)
    bench.read(good)
    assert [path.name for path in bench.run_dir.iterdir() if not path.name.startswith("state")] == ["01_archive.db"]


def test_an_archive_of_another_sha256_is_refused(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "chat.txt").write_text("hello")
    where = {"source": str(tmp_path / "chat.txt"), "sha256": "0" * 64}
    with pytest.raises(InputError) as caught:
        download.run(bench.config(download=where, load={"source": "whatsapp"}), bench.work)
    assert "sha256" in str(caught.value)
    assert not (bench.run_dir / "01_archive.txt").exists()


def test_what_files_were_called_is_kept_beside_their_copies(bench: Bench, tmp_path: Path) -> None:
    names = ["WhatsApp Chat with Hiking.txt", "a folder", "WhatsApp Chat with Rome.txt"]
    for name in names:
        path = tmp_path / name / "chat.txt" if name == "a folder" else tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("01/02/2023, 10:00 - Ann: hello\n")
    several = {"source": [str(tmp_path / name) for name in names]}
    made = download.run(bench.config(download=several, load={"source": "whatsapp"}), bench.work)
    assert made.names == ("WhatsApp Chat with Hiking.txt", "", "WhatsApp Chat with Rome.txt")
    copies = [bench.run_dir / name for name in ("01_archive-1.txt", "01_archive-2", "01_archive-3.txt")]
    assert made.originals(bench.run_dir) == list(zip(copies, made.names, strict=True))
    before = Download(made.archive, made.more)
    assert before.originals(bench.run_dir) == [(copy, "") for copy in copies], "of a run by an earlier version"


def test_the_sample_has_no_name_of_its_own(bench: Bench) -> None:
    assert download.run(bench.config(), bench.work).names == ()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("https://example.test/a/WhatsApp%20Chat%20-%20Rome.zip?x=1", "WhatsApp Chat - Rome.zip"),
        ("https://example.test/share/1a2b", ""),
        ("sample:tortoise-hare", ""),
    ],
)
def test_what_an_address_calls_a_file(source: str, name: str) -> None:
    assert file_name(source) == name
