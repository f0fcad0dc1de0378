"""Time, as something that tests can replace."""

import datetime
import time
from typing import Protocol


class Clock(Protocol):
    """Waits and elapsed times go by `monotonic`; `now` is for records only."""

    def monotonic(self) -> float:
        """Seconds from some fixed point; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def now(self) -> datetime.datetime:
        """The wall clock, in UTC."""


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:  # noqa: D102 - see Clock
        return time.monotonic()

    def sleep(self, seconds: float) -> None:  # noqa: D102
        time.sleep(seconds)

    def now(self) -> datetime.datetime:  # noqa: D102
        return datetime.datetime.now(datetime.UTC)


def stamp(clock: Clock) -> str:
    """The wall clock as it stands in records: "2026-11-22T18:15:00Z"."""
    return clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
