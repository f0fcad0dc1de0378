"""The dates of chat.db: nanoseconds since 2001-01-01 UTC, whole seconds before macOS 10.13; one database can hold both.

The oldest SMS rows of iOS (5 and before) count seconds since 1970: in seconds since 2001 they would lie past 2032, when
no database counted seconds any more.
"""

from datetime import date as calendar_date
from datetime import timedelta

_FIRST_DAY = calendar_date(2001, 1, 1)
_LATEST_IN_SECONDS = 10**11
_UNIX_EPOCH = 978_307_200  # 2001-01-01 in seconds since 1970
DAY = 86_400

MICROSECONDS = 10**6


def utc_time(date: int) -> str | None:
    """Turn `message.date` into "2023-08-28T00:32:03Z"; None where it is 0 or out of range."""
    if abs(date) > _LATEST_IN_SECONDS:
        return utc_text(date // 10**9)
    return utc_text(date - _UNIX_EPOCH if date > _UNIX_EPOCH else date)


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


def utc_text(second: int) -> str | None:
    """Turn seconds since 2001 into "2023-08-28T00:32:03Z"; None for 0 and out of the calendar's range."""
    if not second:
        return None
    day, rest = divmod(second, DAY)
    try:
        return DAYS[day] + CLOCK[rest]
    except OverflowError:
        return None


class _Days(dict[int, str]):
    """Texts of days since 2001, made when first asked for: an archive has few days and many messages."""

    def __missing__(self, day: int) -> str:
        text = self[day] = f"{_FIRST_DAY + timedelta(days=day)}T"
        return text


class _Clock(dict[int, str]):
    """Texts of the seconds of a day, made when first asked for."""

    def __missing__(self, second: int) -> str:
        text = self[second] = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"
        return text


DAYS, CLOCK = _Days(), _Clock()
