"""What libraries say of themselves is heard once by whoever listens, and never lands between our own words."""

import logging
import warnings

import pytest

from pipeline.terminal import libraries


def bare_root(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """The root logger without pytest's own handlers, which come only once a test begins."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    return root


def test_a_warning_and_a_record_are_heard_once_and_printed_nowhere(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bare_root(monkeypatch)
    heard: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        libraries.quieten_warnings()
        libraries.quieten_logging()
        libraries.quieten_logging()
        with libraries.heard_by(heard.append):
            for _ in range(3):
                warnings.warn_explicit("mind the gap", UserWarning, "there.py", 7)
                logging.getLogger("far.away").warning("proxies %s", "ahead")
                logging.getLogger("far.away").info("all is well")
        warnings.warn_explicit("nobody listens", UserWarning, "there.py", 8)
    assert heard == ["there.py:7: UserWarning: mind the gap", "far.away: proxies ahead"]
    assert capfd.readouterr() == ("", "")


def test_a_warning_that_is_to_be_an_error_stays_one() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        libraries.quieten_warnings()
        with pytest.raises(UserWarning, match="mind the gap"):
            warnings.warn_explicit("mind the gap", UserWarning, "there.py", 7)


def test_logging_that_is_set_up_already_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    root, theirs = bare_root(monkeypatch), logging.NullHandler()
    root.addHandler(theirs)
    libraries.quieten_logging()
    assert root.handlers == [theirs]
