"""What the server says on stderr: one JSON object a line, whoever speaks and whatever is said, and not without end."""

import json
import logging
import sqlite3
import warnings

import pytest

from pipeline.server import logs
from pipeline.server.interfaces import StorageError
from pipeline.server.logs import BURST, WINDOW_S, JsonLines, Sparing
from tests.conftest import FakeClock


def _record(message: str, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord("asyncio", level, __file__, 1, message, None, None)


def test_trouble_that_repeats_is_written_a_few_times_and_then_counted(clock: FakeClock) -> None:
    sparing = Sparing(clock.monotonic)

    written = [sparing.filter(_record("no descriptors")) for _ in range(1000)]

    assert written == [True] * BURST + [False] * (1000 - BURST)
    assert sparing.filter(_record("another trouble"))
    clock.sleep(WINDOW_S)
    again = _record("no descriptors")
    assert sparing.filter(again)
    assert f'"left_out":{1000 - BURST}' in JsonLines().format(again)


def test_a_failure_of_the_store_is_logged_under_the_name_of_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise StorageError("secret") from sqlite3.DatabaseError("secret")
    except StorageError as error:
        logs.log_failure("job 1", error)

    (line,) = caplog.messages
    assert line.startswith("job 1: DatabaseError at ")
    assert "secret" not in line


def test_requests_are_always_written(clock: FakeClock) -> None:
    sparing = Sparing(clock.monotonic)

    assert all(sparing.filter(_record("request", logging.INFO)) for _ in range(100))


def test_a_librarys_warning_is_a_line_of_json_that_steers_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        try:
            logs.write_to_stderr(requests=False)
            warnings.warn_explicit("mind \x9b2J and \u202e", UserWarning, "there.py", 7)
        finally:
            logging.captureWarnings(False)
    (line,) = capsys.readouterr().err.splitlines()
    assert "mind \\u009b2J and \\u202e" in line
    assert json.loads(line)["message"] == "there.py:7: UserWarning: mind \x9b2J and \u202e\n"
