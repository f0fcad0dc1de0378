"""Unix times as archives have them: in seconds, milliseconds or microseconds."""

from datetime import UTC, datetime
from functools import lru_cache

_MILLISECONDS, _MICROSECONDS = 100_000_000_000, 100_000_000_000_000
"""What is larger is no time in seconds (year 5138), or in milliseconds."""

_IN_HOUR = tuple(f":{second // 60:02}:{second % 60:02}Z" for second in range(3600))


def unix_time(since: float) -> str | None:
    """A time since 1970 as "2023-08-28T00:32:03Z"; None if no such day exists."""
    size = abs(since)
    try:
        if size > _MILLISECONDS:
            since /= 1_000_000 if size > _MICROSECONDS else 1_000
        return at_second(int(since // 1))
    except (ValueError, OverflowError, OSError):
        return None


def at_second(second: int) -> str:
    """A time in whole seconds since 1970 as "2023-08-28T00:32:03Z".

    Raises:
        ValueError, OverflowError, OSError: no such day exists.
    """
    hour, second = divmod(second, 3600)
    return _hour(hour) + _IN_HOUR[second]


@lru_cache(4096)
def _hour(hour: int) -> str:
    return datetime.fromtimestamp(hour * 3600, UTC).isoformat()[:13]
