import os
import re
import zipfile
from pathlib import Path

import pytest

from pipeline.archives import members
from pipeline.archives.members import Members
from pipeline.errors import InputError


def names(path: Path) -> list[str]:
    with Members(path) as found:
        return [each.name for each in found]


def packed(path: Path, **files: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)
    return path


def test_a_file_a_folder_a_zip_and_zips_in_a_folder_are_alike(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.txt").write_text("1")
    packed(tmp_path / "a" / "more.zip", b__two_txt="2")
    assert names(tmp_path / "a" / "one.txt") == ["one.txt"]
    assert names(tmp_path / "a" / "more.zip") == ["b/two_txt"]
    assert names(tmp_path) == ["a/more.zip/b/two_txt", "a/one.txt"]
    with Members(tmp_path) as found:
        assert [(each.read(), str(each)) for each in found] == [
            (b"2", f"{tmp_path}/a/more.zip, b/two_txt"),
            (b"1", f"{tmp_path}/a/one.txt"),
        ]


def test_what_macos_adds_links_pipes_and_folders_are_no_members(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("s")
    there = tmp_path / "archive"
    there.mkdir()
    (there / "real.txt").write_text("r")
    (there / "._real.txt").write_text("attributes")
    (there / "link.txt").symlink_to(tmp_path / "secret.txt")
    (there / "folder").symlink_to(tmp_path)
    os.mkfifo(there / "pipe.txt")
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(there / "x.zip", "w") as archive:
        archive.writestr("__MACOSX/._real.txt", "attributes")
        archive.writestr("folder/", "")
        archive.writestr(link, "/etc/passwd")
        archive.writestr("../../outside.txt", "o")
    assert names(there) == ["real.txt", "x.zip/../../outside.txt"]


def test_a_zip_is_told_by_its_bytes(tmp_path: Path) -> None:
    packed(tmp_path / "chat.bin", a="1")
    (tmp_path / "chat.zip").write_text("no zip")
    assert names(tmp_path / "chat.bin") == ["a"]
    assert names(tmp_path / "chat.zip") == ["chat.zip"]


def test_what_is_not_opened_does_not_count_as_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path / "chat.zip", chat="hi", photo="\0" * 20_000_000)
    with Members(path) as found:
        assert next(each for each in found if each.name == "chat").read() == b"hi"


@pytest.mark.parametrize("zips", [1, 3])
def test_what_would_unpack_to_very_much_is_refused_before_it_does(tmp_path: Path, zips: int) -> None:
    for number in range(zips):
        packed(tmp_path / f"{number}.zip", bomb="\0" * (18_000_000 // zips))
    path = tmp_path if zips > 1 else tmp_path / "0.zip"
    where = re.escape(str(tmp_path))
    with Members(path) as found, pytest.raises(InputError) as caught:
        for each in found:
            each.read()
    assert re.fullmatch(
        rf"{where}/\d\.zip: would unpack to 1[28] MB, [\d,]+ times its size, the last of it 'bomb'; no chat grows more "
        r"than 100 times\. Export the chat again\.",
        str(caught.value),
    )


def test_opening_a_member_twice_counts_once(tmp_path: Path) -> None:
    path = packed(tmp_path / "chat.zip", chat="hi" * 450_000)
    with Members(path) as found:
        (only,) = found
        assert {len(only.read()) for _ in range(30)} == {900_000}


def test_a_folder_of_very_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MOST_FILES", 3)
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text("x")
    message = f"{tmp_path}: holds more than 3 files. Give the folder of the export alone."
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        names(tmp_path)


def test_many_zips_need_few_descriptors(tmp_path: Path) -> None:
    for number in range(40):
        packed(tmp_path / f"{number:02}.zip", a="1")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Members(tmp_path) as found:
        assert [each.read() for each in found] == [b"1"] * 40
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


@pytest.mark.parametrize("places", [1, 2], ids=["only before the file itself", "in the list too"])
def test_a_zip_with_a_name_that_is_not_utf8_under_the_flag_for_it_is_damaged(tmp_path: Path, places: int) -> None:
    path = packed(tmp_path / "a.zip", **{"é.txt": "1"})
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xfe", places))
    with pytest.raises(InputError) as caught, Members(path) as found:
        found.all[0].open()
    assert str(caught.value) == (
        f"{path}: a damaged or locked zip (UnicodeDecodeError). Export it again, and give it as it is."
    )


def test_a_member_has_a_name_that_can_be_written_whatever_its_file_is_called(tmp_path: Path) -> None:
    try:
        for name in (b"\xfe.txt", b"\xff.txt"):
            with open(os.fsencode(tmp_path) + b"/" + name, "w") as file:  # noqa: PTH123  pathlib knows no bytes
                file.write("1")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    with Members(tmp_path) as found:
        assert [(each.name, each.read()) for each in found] == [("\\xfe.txt", b"1"), ("\\xff.txt", b"1")]


def test_a_member_without_a_name_is_none(tmp_path: Path) -> None:
    path = tmp_path / "chats.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(""), "x")
        archive.writestr("one.txt", "1")
    assert names(path) == ["one.txt"]
