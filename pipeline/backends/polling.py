"""Wait until something remote has come to an end, however long that takes and however shaky the line is."""

import dataclasses
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from pipeline.config.settings import PollFile, PollJob
from pipeline.errors import TryLater
from pipeline.network import Transient
from pipeline.process.clock import Clock
from pipeline.wording import about

if TYPE_CHECKING:
    import tenacity

T = TypeVar("T")
GROWTH = 1.5
JITTER = 0.2
LONGEST_RETRY_AFTER_S = 3600.0
FIRST_REMINDER_S = 60.0


class Reminder:
    """When to say again what is waited for: after a minute, then after twice as long each time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """What was waited for has come; waiting begins anew."""
        self._since, self._next_s = self._clock.monotonic(), FIRST_REMINDER_S

    def due_after(self) -> float | None:
        """How many seconds it has been, if it is time to say so."""
        waited = self._clock.monotonic() - self._since
        if waited < self._next_s:
            return None
        while self._next_s <= waited:
            self._next_s *= 2
        return waited


@dataclasses.dataclass(frozen=True)
class Pace:
    """How often to look, in seconds; without `timeout_s`, for as long as it takes."""

    interval_s: float
    max_interval_s: float
    outage_s: float
    timeout_s: float | None


def pace_of(config: PollFile | PollJob, interval_s: float, max_interval_s: float) -> Pace:
    """The configured pace; where the config leaves it open, the backend's own."""
    interval = config.interval_s or interval_s
    return Pace(interval, max(interval, config.max_interval_s or max_interval_s), config.outage_s, config.timeout_s)


def wait_until(
    what: str,
    look: Callable[[], T],
    finished: Callable[[T], bool],
    *,
    pace: Pace,
    clock: Clock,
    go_on: str,
    complain: Callable[[str], None],
    jitter: Callable[[], float] = random.random,
) -> T:
    """Call `look` until `finished` says so, and return what it saw then.

    The interval grows by half each time up to `max_interval_s`, give or take a fifth, so that many clients do not
    march in step; a server's Retry-After wins. A look may raise Transient for `outage_s` seconds without a break.

    Args:
        complain: told why looks fail, at the beginning of an outage and from time to time while it lasts.
        go_on: the command that goes on waiting, for the errors.

    Raises:
        TryLater: `timeout_s` has passed, the outage is too long, or Retry-After exceeds an hour.
    """
    import tenacity

    start = last_seen = clock.monotonic()
    failing, reminder = False, Reminder(clock)

    def look_once() -> T:
        nonlocal last_seen, failing
        try:
            seen = look()
        except Transient as trouble:
            if clock.monotonic() - last_seen >= pace.outage_s:
                raise TryLater(what, f"no answer for {about(pace.outage_s)} ({trouble})", fix=go_on) from None
            if trouble.retry_after_s is not None and trouble.retry_after_s > LONGEST_RETRY_AFTER_S:
                after = about(trouble.retry_after_s)
                raise TryLater(what, f"the server asks to come back in {after} ({trouble})", fix=go_on) from None
            if not failing:
                complain(f"{trouble}; trying again")
                reminder.begin()
            elif waited := reminder.due_after():
                complain(f"{trouble}, for {about(waited)} now; still trying")
            failing = True
            raise
        last_seen, failing = clock.monotonic(), False
        return seen

    def wait(retry: "tenacity.RetryCallState") -> float:
        grown = min(pace.interval_s * GROWTH ** min(retry.attempt_number - 1, 60), pace.max_interval_s)
        trouble = retry.outcome.exception() if retry.outcome and retry.outcome.failed else None
        asked = trouble.retry_after_s if isinstance(trouble, Transient) else None
        seconds = grown * (1 - JITTER + 2 * JITTER * jitter()) if asked is None else max(1.0, asked)
        if pace.timeout_s is not None and clock.monotonic() - start + seconds > pace.timeout_s:
            raise TryLater(what, f"not finished after {about(pace.timeout_s)}", fix=go_on)
        return seconds

    retrying = tenacity.Retrying(
        sleep=clock.sleep,
        wait=wait,
        retry=tenacity.retry_if_exception_type(Transient) | tenacity.retry_if_result(lambda seen: not finished(seen)),
        reraise=True,
    )
    return retrying(look_once)


def spread(total: float, parts: int) -> Iterator[float]:
    """`parts` delays that double and add up to `total` seconds; none at all for a total of 0."""
    if total > 0:
        yield from (total * 2**part / (2**parts - 1) for part in range(parts))
