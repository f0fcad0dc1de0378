"""Where something else stands in a file's place, a server says so, and waits for nothing."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import durable
from pipeline.config.file import load_config
from pipeline.errors import FinetuneError
from pipeline.server.main import serving
from pipeline.server.settings import ServerSettings
from pipeline.server.storage.database import read_store_id
from pipeline.training.scripted import read_script


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    """End a test that waits for a pipe."""

    def give_up(*_: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


KINDS: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "socket": _socket,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "directory": Path.mkdir,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["store.db", "server.lock", "keys.json", "script.json"])
def test_a_server_is_refused_its_start(tmp_path: Path, name: str, kind: str) -> None:
    KINDS[kind](tmp_path / name)
    script = tmp_path / "script.json"
    settings = ServerSettings(tmp_path, "", trainer="scripted", script=script if name == script.name else None)

    with pytest.raises((OSError, FinetuneError)) as refused, serving(settings, show_key=lambda _: None):
        pass

    error = durable.unusable(refused.value) if isinstance(refused.value, OSError) else refused.value
    assert str(error).startswith(f"{tmp_path / name}: ")
    assert isinstance(error, FinetuneError)
    assert error.exit_code in (2, 5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_or_script_or_config_that_is_no_file_is_named(tmp_path: Path, kind: str) -> None:
    for name, read in (
        ("store.db", lambda p: read_store_id(p.parent)),
        ("a.json", read_script),
        ("a.yaml", load_config),
    ):
        KINDS[kind](tmp_path / name)
        with pytest.raises(FinetuneError) as refused:
            read(tmp_path / name)
        assert str(refused.value).startswith(f"{tmp_path / name}: ")


@pytest.mark.parametrize("kind", KINDS)
def test_reading_names_what_is_no_file(tmp_path: Path, kind: str) -> None:
    KINDS[kind](tmp_path / "a")
    what = "Is a directory" if kind == "directory" else "Not a file"
    fix = "Move that directory away" if kind == "directory" else "Put a file in its place"
    for flags in (os.O_RDONLY, os.O_CREAT | os.O_WRONLY, os.O_CREAT | os.O_RDWR):
        with pytest.raises(OSError, match=what) as refused:
            durable.open_file(tmp_path / "a", flags)
        told = str(durable.unusable(refused.value))
        assert told == f"{tmp_path}/a: cannot be used ({what}). {fix}, then run again."
