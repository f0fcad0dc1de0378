"""Step 2: every row of the archive is a message or counted among those that are none."""

import io
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.errors import InputError
from pipeline.steps import download, load
from pipeline.steps.outputs import Download, Load
from tests.steps.bench import Bench

CHAT = (
    "01/02/2023, 10:00 - Messages and calls are end-to-end encrypted.\n"
    "01/02/2023, 10:01 - Ann: hello\n"
    "01/02/2023, 10:02 - Bob: hi,\nhow are you?\n"
)


def loaded(bench: Bench, text: str, **keys: Any) -> Load:
    archive = bench.put("01_archive.txt", text.encode())
    config = bench.config(load={"source": "whatsapp", "names": "addresses", **keys})
    return load.run(config, Download(archive), bench.work)


def test_sessions_are_written_one_a_line_and_what_is_no_message_is_counted(bench: Bench) -> None:
    made = loaded(bench, CHAT)
    assert (made.count, made.messages, sum(made.dropped.values())) == (1, 2, 1)
    (session,) = map(msgspec.json.decode, bench.read(made.sessions).splitlines())
    assert [message["content"] for message in session["messages"]] == ["hello", "hi,\nhow are you?"]


def test_an_archive_without_messages_is_refused_and_what_was_loaded_before_stays(bench: Bench) -> None:
    before = loaded(bench, CHAT).sessions
    with pytest.raises(InputError) as caught:
        loaded(bench, CHAT, since="2024-01-01")
    assert str(caught.value).startswith(f"{bench.run_dir}/01_archive.txt: holds no messages to learn from but ")
    assert str(caught.value).endswith(". Check `download.source`, and what `load` leaves out.")
    bench.read(before)


def test_a_filter_that_names_nobody_is_refused(bench: Bench) -> None:
    with pytest.raises(InputError) as caught:
        loaded(bench, CHAT, only_people=["Cy"])
    assert "Cy" in str(caught.value)
    assert not (bench.run_dir / "02_sessions.jsonl").exists()


@pytest.mark.parametrize("source", ["whatsapp", "auto"])
@pytest.mark.parametrize("name", ["WhatsApp Chat with Hiking.txt", "WhatsApp Chat - Hiking.zip"])
def test_a_group_is_called_as_its_file_was_before_it_was_copied(
    bench: Bench, tmp_path: Path, name: str, source: str
) -> None:
    text, path = f"{CHAT}01/02/2023, 10:03 - Cy: me too\n", tmp_path / name
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("_chat.txt", text)
    else:
        path.write_text(text)
    config = bench.config(download={"source": str(path)}, load={"source": source})
    made = load.run(config, download.run(config, bench.work), bench.work)
    (session,) = map(msgspec.json.decode, bench.read(made.sessions).splitlines())
    assert (session["kind"], session["title"]) == ("group", "Hiking")


def test_a_zip_that_is_cut_off_beside_others_is_warned_of(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    for name in ("WhatsApp Chat - Ann.zip", "WhatsApp Chat - Cy.zip"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("_chat.txt", CHAT)
    cut = folder / "WhatsApp Chat - Cy.zip"
    cut.write_bytes(cut.read_bytes()[:-30])
    config = bench.config(download={"source": str(folder)})
    made = load.run(config, download.run(config, bench.work), bench.work)
    assert made.messages == 2
    assert [note for note in bench.notes if "WARNING" in note] == [
        "WARNING: WhatsApp Chat - Cy.zip is a zip that is cut off: its end is missing, and nothing of it is read. "
        "Download or export it again."
    ]


def test_a_zip_that_somebody_sent_is_not_warned_of(bench: Bench, tmp_path: Path) -> None:
    sent, export = io.BytesIO(), tmp_path / "WhatsApp Chat - Ann.zip"
    with zipfile.ZipFile(sent, "w") as archive:
        archive.writestr("photos.txt", "none")
    with zipfile.ZipFile(export, "w") as archive:
        archive.writestr("_chat.txt", CHAT)
        archive.writestr("00000012-photos.zip", sent.getvalue())
    config = bench.config(download={"source": str(export)})
    assert load.run(config, download.run(config, bench.work), bench.work).messages == 2
    assert [note for note in bench.notes if "WARNING" in note] == []
