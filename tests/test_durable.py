"""Files are whole or not there."""

import errno
import fcntl
import hashlib
import os
import stat
import sys
from pathlib import Path

import pytest

from pipeline import durable
from pipeline.durable import (
    Artifact,
    atomic_writer,
    describe_artifact,
    expand_home,
    keep_as,
    make_private_dir,
    publish,
    write_atomically,
)
from pipeline.errors import InputError

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_written_file_is_private_even_under_an_open_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_atomically(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == 0o600


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"old")
    with pytest.raises(ZeroDivisionError), atomic_writer(tmp_path / "a") as file:
        file.write(b"new")
        _ = 1 / 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old"}


@pytest.mark.skipif(sys.platform != "darwin", reason="fsync reaches the platter elsewhere; F_FULLFSYNC is macOS's")
def test_on_macos_every_write_is_flushed_to_the_platter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = fcntl.fcntl, []

    def noting(fd: int, command: int) -> object:
        asked.append(command)
        return real(fd, command)

    monkeypatch.setattr(fcntl, "fcntl", noting)
    write_atomically(tmp_path / "a", b"x")
    assert asked == [getattr(fcntl, "F_FULLFSYNC", None)]


@pytest.mark.skipif(sys.platform != "darwin", reason="APFS is macOS's")
def test_on_macos_the_state_before_is_a_second_name_of_the_same_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"x")
    keep_as(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").samefile(tmp_path / "b")


def test_where_there_are_no_hard_links_the_state_before_is_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(_self: Path, _target: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", cannot)
    write_atomically(tmp_path / "a", b"x")
    keep_as(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"x"
    assert not (tmp_path / "a").samefile(tmp_path / "b")
    assert mode(tmp_path / "b") == 0o600


def test_the_writer_knows_the_hash_and_size_of_what_it_wrote(tmp_path: Path) -> None:
    with atomic_writer(tmp_path / "a") as file:
        file.write(b"ab")
        file.write(b"c")
    assert file.artifact("a") == describe_artifact(tmp_path, "a")
    assert file.size == 3


def test_a_published_folder_is_private_and_whole(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "sub").mkdir()
    (made / "sub" / "f").write_bytes(b"x")
    (made / "sub" / "f").chmod(0o644)
    publish(made, tmp_path / "final")
    assert not made.exists()
    assert (mode(tmp_path / "final"), mode(tmp_path / "final" / "sub" / "f")) == (0o700, 0o600)


def test_a_folder_is_described_by_names_and_contents(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    assert describe_artifact(tmp_path, "d") == Artifact("d", EMPTY, 0)
    (folder / "a").write_bytes(b"1")
    first = describe_artifact(tmp_path, "d")
    (folder / "a").rename(folder / "b")
    renamed = describe_artifact(tmp_path, "d")
    (folder / "b").write_bytes(b"2")
    changed = describe_artifact(tmp_path, "d")
    assert len({first.sha256, renamed.sha256, changed.sha256}) == 3


def test_directories_are_made_private_with_their_parents(tmp_path: Path) -> None:
    made = make_private_dir(tmp_path / "a" / "b")
    assert (mode(made), mode(made.parent)) == (0o700, 0o700)


@pytest.mark.parametrize("text", ["a" * 300, "~/" + "a" * 300, "a/" * 3000], ids=["name", "home", "path"])
def test_a_path_that_is_too_long_is_an_error_that_names_who_asked_for_it(text: str) -> None:
    with pytest.raises(InputError, match=r"^load.contacts: longer than a path can be, got .* Choose a shorter one\.$"):
        expand_home(text, "load.contacts")


def test_a_home_that_nobody_has_is_an_error_that_names_who_asked_for_it(tmp_path: Path) -> None:
    assert expand_home(str(tmp_path), "download.source") == tmp_path
    with pytest.raises(InputError) as caught:
        expand_home("~nobody-of-that-name/x", "download.source")
    assert str(caught.value) == (
        "download.source: this machine knows no such home directory, got ~nobody-of-that-name/x. Write the whole path."
    )


def test_what_is_written_is_on_the_disk_before_it_has_its_name_and_its_name_before_anything_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power may go at any moment; which calls reach the disk in which order decides what is there then."""
    calls: list[str] = []
    replace, sync_directory = os.replace, durable.sync_directory

    def noted_sync(fd: int) -> None:
        calls.append(f"{os.fstat(fd).st_size} bytes synced")

    def noted_replace(source: Path, target: Path) -> None:
        calls.append("renamed")
        replace(source, target)

    def noted_directory(directory: Path) -> None:
        calls.append("the name synced")
        sync_directory(directory)

    monkeypatch.setattr(durable, "sync_fd", noted_sync)
    monkeypatch.setattr(durable, "sync_directory", noted_directory)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_atomically(tmp_path / "a", b"new")
    calls.append("went on")
    assert calls == ["3 bytes synced", "renamed", "the name synced", "went on"]


def test_a_folder_with_a_name_that_is_not_utf8_has_a_digest(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.txt"
    try:
        with open(name, "wb") as file:  # noqa: PTH123  pathlib knows no bytes
            file.write(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    digest = hashlib.sha256(b"\xff.txt\0" + hashlib.sha256(b"x").hexdigest().encode() + b"\n").hexdigest()
    assert describe_artifact(tmp_path.parent, tmp_path.name) == Artifact(tmp_path.name, digest, 1)
