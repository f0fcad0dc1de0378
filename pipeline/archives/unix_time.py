"""Unix times as archives have them: in seconds, milliseconds or microseconds."""

from datetime import UTC, datetime
from functools import lru_cache

_MILLISECONDS, _MICROSECONDS = 100_000_000_000, 100_000_000_000_000
"""What is larger is no time in seconds (year 5138), or in milliseconds."""

_DAY = 86_400


def unix_time(since: float) -> str | None:
    """A time since 1970 as "2023-08-28T00:32:03Z"; None if no such day exists."""
    size = abs(since)
    try:
        if size > _MILLISECONDS:
            since /= 1_000_000 if size > _MICROSECONDS else 1_000
        day, second = divmod(int(since // 1), _DAY)
        return f"{_date(day)}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"
    except (ValueError, OverflowError, OSError):
        return None


@lru_cache(4096)
def _date(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY, UTC).date().isoformat()
