"""The dates of chat.db: nanoseconds since 2001-01-01 UTC, whole seconds before macOS 10.13; one database can hold both.

The oldest SMS rows of iOS (5 and before) count seconds since 1970: in seconds since 2001 they would lie past 2032, when
no database counted seconds any more.
"""

from datetime import date as calendar_date
from datetime import timedelta
from functools import lru_cache

_FIRST_DAY = calendar_date(2001, 1, 1)
_LATEST_IN_SECONDS = 10**11
_UNIX_EPOCH = 978_307_200  # 2001-01-01 in seconds since 1970
_DAY = 86_400

MICROSECONDS = 10**6


def utc_time(date: int) -> str | None:
    """Turn `message.date` into "2023-08-28T00:32:03Z"; None where it is 0 or out of range."""
    if abs(date) > _LATEST_IN_SECONDS:
        return second_text(date // 10**9)
    return second_text(date - _UNIX_EPOCH if date > _UNIX_EPOCH else date) if date else None


def when_expression(date: str) -> str:
    """SQL that turns the column `date`, whatever is in it, into microseconds since 2001, 0 where there is none.

    As utc_time does; within the database, so that rows of both units sort together.
    """
    whole = f"CAST({date} AS INTEGER)"
    return (
        f"CASE WHEN {date} > {_LATEST_IN_SECONDS} OR {date} < -{_LATEST_IN_SECONDS} THEN {whole} / 1000 "
        f"WHEN {date} > {_UNIX_EPOCH} THEN ({whole} - {_UNIX_EPOCH}) * 1000000 "
        f"ELSE ifnull({whole}, 0) * 1000000 END"
    )


def second_text(second: int) -> str | None:
    """Turn seconds since 2001 into "2023-08-28T00:32:03Z"; None out of the calendar's range."""
    day, rest = divmod(second, _DAY)
    try:
        return _day_text(day) + _clock_text(rest)
    except OverflowError:
        return None


@lru_cache(maxsize=10_000)
def _day_text(day: int) -> str:
    return f"{_FIRST_DAY + timedelta(days=day)}T"


@lru_cache(maxsize=_DAY)
def _clock_text(second: int) -> str:
    minutes, seconds = divmod(second, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}Z"
