"""A signal stops a run at once, but never between a request and the record of its answer."""

import signal

import pytest

from pipeline.signals import Signals, SignalStop


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
