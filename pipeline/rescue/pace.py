"""How fast to ask: learnt from the refusals of the API (429) and from what it says is left."""

import re
from collections.abc import Mapping

from pipeline.process.clock import Clock

MOST_REFUSALS = 12
"""In a row, after which it is no storm but the weather."""

_LONGEST_S = 120.0
_FIRST_S, _FASTER, _SLOWER = 0.25, 0.9, 2.0
_PART = re.compile(r"(?<![\d.])(\d++(?:\.\d++)?+)(ms|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_COUNTS = ("requests", "tokens")


class Pace:
    """Waits before each request.

    Attributes:
        refusals: in a row.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gap_s = 0.0
        self._not_before = clock.monotonic()
        self.refusals = 0

    def wait(self) -> None:
        """Wait until the next request may leave."""
        seconds = self._not_before - self._clock.monotonic()
        if seconds > 0:
            self._clock.sleep(seconds)
        self._not_before = self._clock.monotonic() + self._gap_s

    def answered(self, headers: Mapping[str, str]) -> None:
        """Go a little faster; but where nothing is left, not before that is over."""
        self.refusals = 0
        self._gap_s = self._gap_s * _FASTER if self._gap_s > _FIRST_S / 10 else 0.0
        for what in _COUNTS:
            if headers.get(f"x-ratelimit-remaining-{what}") == "0":
                self._hold(seconds_of(headers.get(f"x-ratelimit-reset-{what}", "")))

    def refused(self, retry_after_s: float | None) -> None:
        """Go slower from now on, and not before the API wants to hear again."""
        self.refusals += 1
        longest = _LONGEST_S if retry_after_s is None else max(retry_after_s, _FIRST_S)
        self._gap_s = min(max(self._gap_s * _SLOWER, _FIRST_S), longest)
        self._hold(self._gap_s if retry_after_s is None else retry_after_s)

    def _hold(self, seconds: float) -> None:
        self._not_before = max(self._not_before, self._clock.monotonic() + min(seconds, _LONGEST_S))


def seconds_of(text: str) -> float:
    """Of a time as OpenAI writes it in x-ratelimit-reset-…: "6m0s", "120ms"; 0 where it is none."""
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
