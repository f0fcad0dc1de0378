"""Dates as phones write them: which number is the day, decided over a whole file, and in what calendar."""

import functools
from datetime import date, timedelta
from typing import Literal, NamedTuple

FIRST_YEAR, LAST_YEAR = 2009, 2045
"""WhatsApp began in 2009; numbers of two digits are told to be years by these."""

_BUDDHIST, _ROC = 543, 1911
_JALALI_EPOCH = date(1600, 1, 1).toordinal() + 79  # the first day of 979 in the Persian calendar
_WELL_APART = 5  # as many times as long a stretch of time is no accident

Usual = Literal["day first", "month first", ""]


class Order(NamedTuple):
    """What a file's dates mean.

    Attributes:
        order: "dmy", "mdy" or "ymd".
        is_certain: whether the dates themselves tell; otherwise it is what most people with such a phone write.
    """

    order: str
    is_certain: bool


class _Reading:
    """How the dates of a file look if they are read in one order."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.wrong = 0  # dates that have no such month or day
        self.odd = 0  # dates in years that cannot be
        self.backs = 0  # how often time goes back
        self.first = self.last = self.before = 0

    def met(self, numbers: tuple[int, int, int]) -> None:
        """The next date of the file, if it is another than the last."""
        year, month, day = (numbers[self.order.index(part)] for part in "ymd")
        self.wrong += not (1 <= month <= 12 and 1 <= day <= 31)
        year = full_year(year, is_first=self.order == "ymd")
        self.odd += not FIRST_YEAR <= year <= LAST_YEAR
        at = year * 372 + month * 31 + day
        self.backs += at < self.before
        self.before = at
        self.first = min(self.first or at, at)
        self.last = max(self.last, at)

    def faults(self) -> tuple[int, int, int]:
        """What speaks against this order, the gravest first."""
        return self.wrong, self.odd, self.backs

    def span(self) -> int:
        """About how many days the file covers."""
        return self.last - self.first


class Dates:
    """Collects the dates of a file in their order.

    Args:
        years_at: where the year stands as far as its width says: 0, 2, or None.
    """

    def __init__(self, years_at: int | None) -> None:
        orders = ("ymd",) if years_at == 0 else ("dmy", "mdy") if years_at == 2 else ("dmy", "mdy", "ymd")
        self._readings = [_Reading(order) for order in orders]
        self._differ = False

    def met(self, numbers: tuple[int, int, int]) -> None:
        """The next date, if it is another than the last."""
        self._differ = self._differ or numbers[0] != numbers[1]
        for reading in self._readings:
            reading.met(numbers)

    def order(self, usual: Usual) -> Order:
        """What the dates mean.

        Args:
            usual: what is usual on phones whose headers look so; it decides where the dates leave it open.
        """
        found = sorted(self._readings, key=_Reading.faults)
        same = [each for each in found if each.faults() == found[0].faults()]
        if len(same) > 1 and usual == "day first":
            same = [each for each in same if each.order != "mdy"]
        if len(same) == 1:
            return Order(same[0].order, is_certain=True)
        spans = sorted(same, key=_Reading.span)
        if spans[1].span() > _WELL_APART * max(1, spans[0].span()) > _WELL_APART:
            return Order(spans[0].order, is_certain=False)
        same.sort(key=lambda each: (each.order == "ymd", (each.order == "mdy") != (usual == "month first")))
        return Order(same[0].order, is_certain=not self._differ)

    def goes_back(self, order: str) -> bool:
        """Whether a date is before one that stands above it."""
        return any(each.backs for each in self._readings if each.order == order)


def full_year(year: int, *, is_first: bool) -> int:
    """The year of the Gregorian calendar: phones write two digits, or years of other calendars.

    Args:
        is_first: whether the year comes first; three digits are a year of the Republic of China there.
    """
    if year < 100:
        return 2500 + year - _BUDDHIST if year > LAST_YEAR % 100 else 2000 + year
    if FIRST_YEAR - _ROC <= year <= LAST_YEAR - _ROC and is_first:
        return year + _ROC
    if FIRST_YEAR + _BUDDHIST <= year <= LAST_YEAR + _BUDDHIST:
        return year - _BUDDHIST
    return year + 621 if _is_jalali(year) else year


@functools.lru_cache(maxsize=65536)
def day_of(numbers: tuple[int, int, int], order: str) -> str | None:
    """Such as "2023-08-15"; None for a date that does not exist."""
    year, month, day = (numbers[order.index(part)] for part in "ymd")
    try:
        if _is_jalali(year):
            return _jalali(year, month, day).isoformat()
        return date(full_year(year, is_first=order == "ymd"), month, day).isoformat()
    except ValueError:
        return None


def _is_jalali(year: int) -> bool:
    return FIRST_YEAR - 622 <= year <= LAST_YEAR - 621


def _jalali(year: int, month: int, day: int) -> date:
    """A date of the Persian calendar, by its cycle of 33 years, which holds for all years that phones have seen.

    Raises:
        ValueError: there is no such date.
    """
    if not (1 <= month <= 12 and 1 <= day <= (31 if month <= 6 else 30)):
        raise ValueError("no such date in the Persian calendar")
    if (month, day) == (12, 30) and _jalali(year, 12, 29) + timedelta(1) == _jalali(year + 1, 1, 1):
        raise ValueError("no such date in the Persian calendar")
    years = year - 979
    days = 365 * years + years // 33 * 8 + (years % 33 + 3) // 4
    days += 31 * (month - 1) if month <= 6 else 186 + 30 * (month - 7)
    return date.fromordinal(_JALALI_EPOCH + days + day - 1)
