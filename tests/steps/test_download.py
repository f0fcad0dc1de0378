"""Step 1: the archive is there whole, or as it was."""

from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.steps import download
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
