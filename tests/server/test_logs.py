"""The server's log is one JSON object a line, whoever speaks and whatever is said."""

import json
import logging
import warnings

import pytest

from pipeline.server import logs


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
