"""A signal stops a run at once, but never between a request and the record of its answer."""

import os
import signal
import subprocess
import sys
import time

import pytest

from pipeline.process.signals import Signals, SignalStop
from tests.command import ROOT

BOUND_S = 30


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_run(signum: signal.Signals) -> None:
    signals = Signals()
    with pytest.raises(SignalStop) as caught, signals.handled():
        signal.raise_signal(signum)
    assert caught.value.signum == signum


def test_a_signal_waits_for_the_end_of_a_shielded_block() -> None:
    signals, seen = Signals(), []
    with pytest.raises(SignalStop), signals.handled():
        with signals.uninterrupted():
            signal.raise_signal(signal.SIGTERM)
            seen.append("answer recorded")
        seen.append("never reached")
    assert seen == ["answer recorded"]


def test_after_the_first_signal_the_next_one_kills() -> None:
    signals = Signals()
    with pytest.raises(SignalStop), signals.handled(), signals.uninterrupted():
        signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_no_library_that_catches_exceptions_swallows_a_stop() -> None:
    assert not issubclass(SignalStop, Exception)


def test_the_handlers_of_before_are_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Signals().handled():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_has_to_wait_is_answered_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    signals = Signals()
    with pytest.raises(SignalStop), signals.handled(), signals.uninterrupted():
        signal.raise_signal(signal.SIGINT)
        said = capfd.readouterr().err
    assert said == "stopping as soon as the backend has answered what was just sent; once more stops at once\n"


class Dropping:
    """An object in whose finalizer a signal arrives: Python drops what is raised there."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def test_a_stop_that_python_drops_is_raised_again_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    signals = Signals()
    until = time.monotonic() + BOUND_S
    with pytest.raises(SignalStop), signals.handled():
        Dropping()
        while time.monotonic() < until:
            pass
        pytest.fail("the work went on to its end")
    assert capfd.readouterr().err == ""


def test_a_stop_that_a_library_catches_is_not_lost_though_the_work_is_done_by_then() -> None:
    signals, seen = Signals(), []
    with pytest.raises(SignalStop) as caught, signals.handled():
        try:
            signal.raise_signal(signal.SIGHUP)
        except BaseException:  # noqa: BLE001 - as some libraries do
            seen.append("caught")
    assert (seen, caught.value.signum) == (["caught"], signal.SIGHUP)


def test_a_stop_that_a_library_makes_an_error_of_is_still_a_stop() -> None:
    signals = Signals()
    with pytest.raises(SignalStop), signals.handled():
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException as stop:
            raise ImportError("no such module") from stop


def test_an_error_in_hand_can_be_asked_whether_it_is_a_stop() -> None:
    signals = Signals()
    signals.stop_if_asked()
    with pytest.raises(SignalStop), signals.handled():
        try:
            signal.raise_signal(signal.SIGINT)
        except SignalStop:
            signals.stop_if_asked()
        pytest.fail("it went on")


def test_an_error_that_comes_of_a_shielded_block_does_not_hide_the_signal() -> None:
    signals = Signals()
    with pytest.raises(SignalStop), signals.handled(), signals.uninterrupted(b""):
        signal.raise_signal(signal.SIGINT)
        raise ValueError("refused")


def test_an_outer_block_does_not_stop_a_second_time_for_what_an_inner_one_has_answered() -> None:
    signals = Signals()
    with signals.handled():
        pass
    with pytest.raises(SignalStop), signals.handled(), signals.handled():
        signal.raise_signal(signal.SIGINT)
    with signals.handled():  # nothing is left of it
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_hangup_that_nohup_has_had_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals().handled():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_command_is_imported_ends_it_with_its_code_and_no_traceback(signum: signal.Signals) -> None:
    program = (
        "import sys; before = {*sys.modules, '_signal', 'os'}; import pipeline.__main__ as program\n"
        "assert {*sys.modules} - before == {'pipeline', 'pipeline.__main__'}, 'all else is imported later'\n"
        "program.leave_at_once()\n"
        f"import signal; signal.raise_signal({int(signum)})\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (128 + signum, "", "")


def test_a_signal_after_the_end_does_not_change_how_the_command_ended() -> None:
    program = (
        "import atexit, signal, sys, pipeline.__main__ as program\n"
        "atexit.register(signal.raise_signal, signal.SIGTERM)\n"
        "sys.argv = ['finetune', '--help']\n"
        "program.main()\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
