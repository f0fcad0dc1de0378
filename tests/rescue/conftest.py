"""The dressed server, and the command in this process against it."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import cli
from tests.command import Finished
from tests.rescue.dressed import DressedServer, dressed_server

KEY = "sk-one-0123456789"
Rescue = Callable[..., Finished]


@pytest.fixture
def dressed(monkeypatch: pytest.MonkeyPatch) -> Iterator[DressedServer]:
    monkeypatch.setenv("KEY_ONE", KEY)
    with dressed_server() as server:
        yield server


@pytest.fixture
def rescue(
    dressed: DressedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Rescue:
    """`finetune rescue VERB …` in an empty folder, with the key and the address of the dressed server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(verb: str, *arguments: str, keys: tuple[str, ...] = ("KEY_ONE",)) -> Finished:
        options = [word for name in keys for word in ("--key-env", name)]
        options += ["--base-url", dressed.base_url] if keys else []
        monkeypatch.setattr(sys, "argv", ["finetune", "rescue", verb, *arguments, *options])
        return called(capfd)

    return run


def called(capfd: pytest.CaptureFixture[str]) -> Finished:
    """The command as sys.argv has it; what it sets for its whole process is put back."""
    environment, mask = dict(os.environ), os.umask(0o077)
    capfd.readouterr()
    code: object = 0
    try:
        with contextlib.suppress(SystemExit):
            try:
                cli.main()
            except SystemExit as stop:
                code = stop.code
                raise
    finally:
        os.umask(mask)
        os.environ.clear()
        os.environ.update(environment)
    out, err = capfd.readouterr()
    return Finished(code if isinstance(code, int) else 0, out, err)
