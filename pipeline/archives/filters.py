"""Which sessions and messages of an archive to read: by person, chat, kind and date. What is left out is counted.

People are named as the archive's senders, or by any of their addresses in any spelling.
"""

import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import date
from typing import NamedTuple

import msgspec

from pipeline.archives.addresses import exact_address, is_same_address
from pipeline.errors import InputError
from pipeline.sessions.session import OWNER, QUOTED, Listener, Message, Person, Session
from pipeline.sessions.stream import Stream

OTHER_CHAT, OTHER_KIND = "not in only_chats", "not of these kinds"
NOT_WITH, EXCLUDED = "not by only_people", "by or with exclude_people"
TOO_EARLY, TOO_LATE, UNDATED = "before since", "after until", "without a date"

_PERSON, _CHAT = "person", "chat"


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


class Chosen:
    """Leaves out of sessions, one after the other, what filters do not keep.

    Of replies that stay, a quotation stays only if what it quotes does: it may be somebody's who was taken out.

    Args:
        dropped: counts by reason of the messages left out.
        listener: told of each.

    Attributes:
        found: the names in the filters that stand for somebody, or for a chat, so far.
    """

    def __init__(self, filters: Filters, dropped: Counter[str], listener: Listener | None = None) -> None:
        self.found: set[tuple[str, str]] = set()
        self._filters = filters
        self._dropped = dropped
        self._listener = listener
        self._only = {exact_address(name) for name in filters.only_people}
        self._excluded = {exact_address(name) for name in filters.exclude_people}
        self._chats = set(filters.only_chats)
        self._since = filters.since.isoformat() if filters.since else ""
        self._until = filters.until.isoformat() if filters.until else "9999-99-99"

    def of(self, streams: Iterable[Stream]) -> Iterator[Stream]:
        """What is left of the sessions; some may have no messages any more."""
        for stream in streams:
            present = {
                sender: self._meant(sender, *person.addresses) for sender, person in stream.session.people.items()
            }
            hidden = self._hidden(stream.session, present)
            reason = self._why_not(stream.session, hidden)
            if reason is None:
                yield self._rest(stream, hidden, present)
            else:
                for block in stream.blocks:
                    self._drop(reason, block)

    def _rest(self, stream: Stream, hidden: dict[str, str], present: dict[str, set[str]]) -> Stream:
        session = copy.copy(stream.session)
        said: set[str] = set()

        def shown() -> dict[str, Person]:
            return {name: each for name, each in stream.session.people.items() if name not in hidden}

        def kept() -> Iterator[list[Message]]:
            session.people = shown()
            for block in stream.blocks:
                if self._only or self._excluded:
                    for sender in {_speaker(message) for message in block} - present.keys():
                        present[sender] = self._meant(sender)
                        hidden.update(self._hidden(session, {sender: present[sender]}))
                if hidden:
                    said.update(message.content[:QUOTED] for message in block if _speaker(message) not in hidden)
                left = [message for message in block if self._keeps(message, hidden)]
                if hidden:
                    _forget_quotations(left, said)
                yield left
            session.people = shown()  # by now all have been met

        return Stream(session, kept())

    def _meant(self, *written: str) -> set[str]:
        """The names in the filters that stand for what an archive calls somebody."""
        asked = self._only | self._excluded
        return {name for name in asked if any(is_same_address(name, each) for each in written)}

    def _hidden(self, session: Session, present: dict[str, set[str]]) -> dict[str, str]:
        """Why messages are left out, by sender; the owner stands under OWNER."""
        if present:
            named = (self._only | self._excluded) & set().union(*present.values())
            self.found.update((_PERSON, name) for name in named)
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
            names = self._chats & {session.id, session.title or session.id}
            self.found.update((_CHAT, name) for name in names)
            if not names:
                return OTHER_CHAT
        if session.kind not in self._filters.kinds:
            return OTHER_KIND
        reasons = set(hidden.values())
        if session.kind == "direct" and (EXCLUDED in reasons or OWNER in self._excluded):
            return EXCLUDED
        if session.people and session.people.keys() <= hidden.keys():
            return EXCLUDED if EXCLUDED in reasons else NOT_WITH
        return None

    def _keeps(self, message: Message, hidden: dict[str, str]) -> bool:
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
            self._drop(reason, [message])
        return reason is None

    def _drop(self, reason: str, messages: Sequence[Message]) -> None:
        self._dropped[reason] += len(messages)
        if self._listener is not None:
            for message in messages:
                self._listener(reason, message)


def require_all_found(filters: Filters, found: Set[tuple[str, str]]) -> None:
    """Check the names in the filters, once everything is read.

    Args:
        found: as `Chosen` says, of the whole archive.

    Raises:
        InputError: one stands for nobody in the archive.
    """
    for key, names in (("only_people", filters.only_people), ("exclude_people", filters.exclude_people)):
        for name in names:
            exact = exact_address(name)
            if (_PERSON, exact) not in found and exact != OWNER:
                raise InputError(
                    f"load.{key}",
                    "nobody in the archive has this name or address",
                    got=name,
                    fix="Take it out or correct it; `finetune senders CONFIG` lists who is there.",
                )
    for name in sorted(name for name in filters.only_chats if (_CHAT, name) not in found):
        raise InputError(
            "load.only_chats",
            "no chat has this id or title",
            got=name,
            fix="Take it out or correct it; `finetune senders CONFIG` with --chats lists them.",
        )


def _speaker(message: Message) -> str:
    return OWNER if message.is_me else message.sender


def _forget_quotations(kept: list[Message], known: set[str]) -> None:
    for message in kept:
        if message.reply_to is not msgspec.UNSET and message.reply_to not in known:
            message.reply_to = msgspec.UNSET
