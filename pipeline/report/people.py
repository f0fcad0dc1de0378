"""Who speaks in an archive, how much and when."""

import dataclasses
import datetime
from collections import Counter
from collections.abc import Iterable, Mapping

from pipeline.sessions.session import OWNER, Session
from pipeline.sessions.transform import map_roles

LISTED = 12
_LONGEST_BY_DAY, _LONGEST_BY_MONTH = 62, 62


@dataclasses.dataclass(frozen=True)
class Person:
    """One sender; `label` is a name or stands for one."""

    label: str
    is_assistant: bool
    messages: int
    characters: int


@dataclasses.dataclass(frozen=True)
class Archive:
    """The archive as it was read, before messages were joined.

    Attributes:
        people: those who said most, the assistant first.
        others: how many are not listed, and what they said.
        first, last: of the messages with a time, in UTC: "2021-03-06 09:18".
        periods: a label and the messages by the assistant and by others, without gaps; empty where no message has a
            time.
        unit: what one period is: day, month or year.
    """

    sessions: int
    direct: int
    messages: int
    characters: int
    senders: int
    people: list[Person]
    others: int
    other_messages: int
    first: str | None
    last: str | None
    unit: str
    periods: list[tuple[str, int, int]]


def describe(sessions: Iterable[Session], assistant: str | list[str], with_names: bool) -> Archive:
    """Go through the sessions once.

    Args:
        assistant: who the assistant is, as `map.assistant` says.
        with_names: else people are called by their part and a number, most talkative first.
    """
    said: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    own: set[str] = set()
    days: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    first = last = None
    total = direct = 0
    for session in sessions:
        total += 1
        direct += session.kind == "direct"
        for message in map_roles(session, assistant).messages:
            said[message.sender] += 1
            characters[message.sender] += len(message.content)
            is_own = message.role == "assistant"
            if is_own:
                own.add(message.sender)
            if message.time is not None:
                first = min(first or message.time, message.time)
                last = max(last or message.time, message.time)
                days[is_own][message.time[:10]] += 1
    ranked = sorted(said, key=lambda sender: (sender not in own, -said[sender], sender))
    labels = {sender: sender for sender in ranked} if with_names else _pseudonyms(ranked, own)
    unit, periods = _periods(days[True], days[False])
    return Archive(
        sessions=total,
        direct=direct,
        messages=said.total(),
        characters=characters.total(),
        senders=len(said),
        people=[Person(labels[each], each in own, said[each], characters[each]) for each in ranked[:LISTED]],
        others=len(ranked[LISTED:]),
        other_messages=sum(said[sender] for sender in ranked[LISTED:]),
        first=first and _minute(first),
        last=last and _minute(last),
        unit=unit,
        periods=periods,
    )


def _pseudonyms(ranked: list[str], own: set[str]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for sender in ranked:
        if sender in own:
            labels[sender] = "the assistant" if len(own) == 1 else f"the assistant ({len(labels) + 1})"
        elif sender == OWNER:
            labels[sender] = "the archive's owner"
        else:
            labels[sender] = f"person {sum(label.startswith('person') for label in labels.values()) + 1}"
        if len(labels) == LISTED:
            break
    return labels


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


def _periods(own: Mapping[str, int], others: Mapping[str, int]) -> tuple[str, list[tuple[str, int, int]]]:
    if not own and not others:
        return "day", []
    first, last = (datetime.date.fromisoformat(day) for day in (min({*own, *others}), max({*own, *others})))
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    if (last - first).days < _LONGEST_BY_DAY:
        unit, width = "day", 10
        labels = [str(first + datetime.timedelta(days=n)) for n in range((last - first).days + 1)]
    elif months <= _LONGEST_BY_MONTH:
        unit, width = "month", 7
        begin = first.year * 12 + first.month - 1
        labels = [f"{n // 12}-{n % 12 + 1:02}" for n in range(begin, begin + months)]
    else:
        unit, width = "year", 4
        labels = [str(year) for year in range(first.year, last.year + 1)]
    mine, theirs = _rolled(own, width), _rolled(others, width)
    return unit, [(label, mine[label], theirs[label]) for label in labels]


def _rolled(days: Mapping[str, int], width: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for day, count in days.items():
        found[day[:width]] += count
    return found
