"""Dates in words, as Google Takeout writes them in the language of its account.

    Friday, May 29, 2026 at 3:00:29 AM UTC      (U+202F before AM)
    2026年5月29日星期五 UTC 03:00:29
    2026년 5월 29일 금요일 AM 3시 0분 29초 UTC
    Freitag, 29. Mai 2026 um 03:00:29 UTC

What is understood: a year of four digits, a month by its number or its name, a day, and a time of day, 12 or 24 hours
long. The names are those of the Unicode CLDR in the languages below; a date in another one has no time.
"""

import re
from datetime import date, datetime
from functools import lru_cache

_NAMES = """
January February March April May June July August September October November December
Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec
Januar Februar März April Mai Juni Juli August September Oktober November Dezember
janvier février mars avril mai juin juillet août septembre octobre novembre décembre
enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro
januari februari maart april mei juni juli augustus september oktober november december
januari februari mars april maj juni juli augusti september oktober november december
januar februar marts april maj juni juli august september oktober november desember
stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia
ledna února března dubna května června července srpna září října listopadu prosince
január február március április május június július augusztus szeptember október november december
Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık
января февраля марта апреля мая июня июля августа сентября октября ноября декабря
січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня
ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie
Januari Februari Maret April Mei Juni Juli Agustus September Oktober November Desember
"""
_MONTHS: dict[str, int] = {}
for _line in _NAMES.strip().splitlines():
    for _month, _name in enumerate(_line.split(), start=1):
        _MONTHS.setdefault(_name.lower(), _month)
_CLOCK = re.compile(r"(\d{1,2})\s?(?:[:.]|[時时시]\s?)(\d\d?)(?:(?:[:.]|[分분]\s?)(\d\d?))?")
_NUMBERED = re.compile(r"(\d{4})\s?[年년./-]\s?(\d{1,2})\s?[月월./-]\s?(\d{1,2})")
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)")
_DAY = re.compile(r"(?<!\d)\d{1,2}(?!\d)")
_WORD = re.compile(r"[^\W\d_]+")
_HALF = re.compile(r"(?i)(?<![a-z])([ap])\.?\s?m\b|([午오]前|上午|오전)|([午오]後|下午|오후)")


_ENGLISH = re.compile(r"[A-Z]\w+, ([A-Z]\w+) (\d{1,2}), (\d{4}) at (\d{1,2}):(\d\d):(\d\d)\s([AP])M UTC")
"""What nearly all are; the general way takes several times as long."""


def worded_date(text: str) -> str | None:
    """A date in words as "2026-05-29T03:00:29Z"; None if it cannot be understood. The words' zone is taken for UTC."""
    if match := _ENGLISH.fullmatch(text):
        name, day, year, hour, minute, second, half = match.groups()
        on = _date(int(year), _MONTHS.get(name.lower(), 0), int(day))
        at = int(hour) % 12 + (12 if half == "P" else 0)
        return f"{on}T{at:02}:{minute}:{second}Z" if on and minute < "60" and second < "60" else None
    return _worded(text)


@lru_cache(4096)
def _date(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


@lru_cache(4096)
def _worded(text: str) -> str | None:
    if len(text) > 200 or (clock := _last(_CLOCK, text)) is None:
        return None
    rest = text[: clock.start()] + " " + text[clock.end() :]
    if numbered := _NUMBERED.search(rest):
        year, month, day = (int(each) for each in numbered.groups())
    else:
        found = [_MONTHS[word] for word in _WORD.findall(rest.lower()) if word in _MONTHS]
        years, days = _YEAR.findall(rest), _DAY.findall(rest)
        if len(found) != 1 or len(years) != 1 or not days:
            return None
        year, month, day = int(years[0]), found[0], int(days[0])
    hour = int(clock[1])
    if half := _HALF.search(rest):
        is_late = bool(half[3]) or (half[1] or "").lower() == "p"
        hour = hour % 12 + (12 if is_late else 0)
    try:
        return f"{datetime(year, month, day, hour, int(clock[2]), int(clock[3] or 0)).isoformat()}Z"
    except ValueError:
        return None


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """A date that is written with dots looks like a time too, and comes first."""
    found = list(pattern.finditer(text))
    return found[-1] if found else None
