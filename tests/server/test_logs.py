"""What the server says on stderr."""

import logging

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


def test_requests_are_always_written(clock: FakeClock) -> None:
    sparing = Sparing(clock.monotonic)

    assert all(sparing.filter(_record("request", logging.INFO)) for _ in range(100))
