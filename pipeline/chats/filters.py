"""Which sessions and messages of an archive to read: by person, chat, kind and date. What is left out is counted.

People are named as the archive's senders, or by any of their addresses in any spelling.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

import msgspec

from pipeline.chats.imessage.addresses import normal_address
from pipeline.chats.session import OWNER, QUOTED, Message, Person, Session
from pipeline.errors import InputError

OTHER_CHAT, OTHER_KIND = "not in only_chats", "not of these kinds"
NOT_WITH, EXCLUDED = "not by only_people", "by or with exclude_people"
TOO_EARLY, TOO_LATE, UNDATED = "before since", "after until", "without a date"


class Filters(NamedTuple):
    """What to keep; all that is empty keeps everything.

    Attributes:
        only_people: the owner and these: no conversation without them, and in groups nobody else's messages.
        exclude_people: none of their messages, no conversation between two with them, and no group of nobody else;
            wins over `only_people`.
        only_chats: ids or titles of sessions.
        kinds: "direct", "group".
        since: the first day, in UTC.
        until: the last day, in UTC.
    """

    only_people: Sequence[str] = ()
    exclude_people: Sequence[str] = ()
    only_chats: Sequence[str] = ()
    kinds: Sequence[str] = ("direct", "group")
    since: date | None = None
    until: date | None = None


def keep(
    sessions: Iterable[Session], filters: Filters, dropped: Counter[str], *, strict: bool = True
) -> Iterator[Session]:
    """Yield what `filters` keep of the sessions, one at a time; those with nothing left are left out.

    Of replies that stay, a quotation stays only if what it quotes does: it may be somebody's who was taken out.

    Args:
        dropped: counts by reason of the messages left out.
        strict: whether somebody, or a chat, that is nowhere in the archive is a mistake.

    Raises:
        InputError: a name in a filter stands for nobody in the archive; once all is read.
    """
    chosen = _Chosen(filters)
    for session in sessions:
        kept = chosen.of(session, dropped)
        if kept is not None:
            yield kept
    if strict:
        chosen.require_all_found()


class _Chosen:
    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self._only = {normal_address(name): name for name in filters.only_people}
        self._excluded = {normal_address(name): name for name in filters.exclude_people}
        self._chats = set(filters.only_chats)
        self._found: set[str] = set()
        self._chats_found: set[str] = set()
        self._since = filters.since.isoformat() if filters.since else ""
        self._until = filters.until.isoformat() if filters.until else "9999-99-99"

    def of(self, session: Session, dropped: Counter[str]) -> Session | None:
        """What is left of a session, None if nothing is."""
        hidden = self._hidden(session)
        reason = self._why_not(session, hidden)
        if reason is not None:
            dropped[reason] += len(session.messages)
            return None
        kept = [message for message in session.messages if self._keeps(message, hidden, dropped)]
        if not kept:
            return None
        if hidden:
            _forget_quotations(kept, {m.content[:QUOTED] for m in session.messages if _speaker(m) not in hidden})
        people = {sender: person for sender, person in session.people.items() if sender not in hidden}
        return msgspec.structs.replace(session, messages=kept, people=people)

    def require_all_found(self) -> None:
        for key, wanted in (("only_people", self._only), ("exclude_people", self._excluded)):
            for normal, name in wanted.items():
                if normal not in self._found:
                    raise InputError(
                        f"load.{key}",
                        "nobody in the archive has this name or address",
                        got=name,
                        fix="Take it out or correct it; `finetune senders CONFIG` lists who is there.",
                    )
        for name in sorted(self._chats - self._chats_found):
            raise InputError(
                "load.only_chats",
                "no chat has this id or title",
                got=name,
                fix="Take it out or correct it; `finetune senders CONFIG` with --chats lists them.",
            )

    def _hidden(self, session: Session) -> dict[str, str]:
        """Why messages are left out, by sender; the owner stands under OWNER."""
        if not self._only and not self._excluded:
            return {}
        present = {sender: _names(sender, person) for sender, person in session.people.items()}
        for sender in {_speaker(message) for message in session.messages} - present.keys():
            present[sender] = {normal_address(sender)}
        self._found |= (self._only.keys() | self._excluded.keys()) & set().union(*present.values())
        hidden = {sender: EXCLUDED for sender, names in present.items() if not names.isdisjoint(self._excluded)}
        if self._only:
            for sender, names in present.items():
                if sender != OWNER and names.isdisjoint(self._only):
                    hidden.setdefault(sender, NOT_WITH)
            if session.kind == "direct" and hidden.keys() != present.keys() - {OWNER}:
                hidden = {sender: why for sender, why in hidden.items() if why == EXCLUDED}
        return hidden

    def _why_not(self, session: Session, hidden: dict[str, str]) -> str | None:
        """The reason to leave out all of a session, or None."""
        if self._chats:
            names = self._chats & {session.id, session.title}
            self._chats_found |= names
            if not names:
                return OTHER_CHAT
        if session.kind not in self._filters.kinds:
            return OTHER_KIND
        reasons = set(hidden.values())
        if session.kind == "direct" and EXCLUDED in reasons:
            return EXCLUDED
        if session.people and session.people.keys() <= hidden.keys():
            return EXCLUDED if EXCLUDED in reasons else NOT_WITH
        return None

    def _keeps(self, message: Message, hidden: dict[str, str], dropped: Counter[str]) -> bool:
        reason = hidden.get(_speaker(message)) if hidden else None
        if reason is None and (self._filters.since or self._filters.until):
            day = (message.time or "")[:10]
            if not day:
                reason = UNDATED
            elif day < self._since:
                reason = TOO_EARLY
            elif day > self._until:
                reason = TOO_LATE
        if reason is not None:
            dropped[reason] += 1
        return reason is None


def _speaker(message: Message) -> str:
    return OWNER if message.is_me else message.sender


def _names(sender: str, person: Person) -> set[str]:
    return {normal_address(name) for name in (sender, *person.addresses)}


def _forget_quotations(kept: list[Message], known: set[str]) -> None:
    for message in kept:
        if message.reply_to is not msgspec.UNSET and message.reply_to not in known:
            message.reply_to = msgspec.UNSET
