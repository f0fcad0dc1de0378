"""From the rows of one conversation to its messages: what is speech, who says it, and why the rest is none.

Who wrote a message is told by `is_from_me` alone. `handle_id` names the writer only of what came in; on the owner's own
messages it is the recipient, 0 or NULL.

What this reader chose where either way is right: an `Edited to "..."` row is dropped (the edited message itself says
it), what Send Later has sent is kept and what it has not sent is dropped, a message sent again after an error is kept.
"""

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import datetime, timedelta

import msgspec

from pipeline.archives.imessage import bodies
from pipeline.archives.imessage.bodies import Attachments
from pipeline.archives.imessage.database import (
    IN_DETAIL,
    IN_WORDS,
    LINK,
    NO_SPEECH,
    SMS,
    Database,
    Detail,
    Row,
    Value,
)
from pipeline.archives.imessage.indexes import text_of
from pipeline.archives.imessage.people import UNKNOWN_SENDER, People
from pipeline.archives.imessage.text_tapbacks import EDIT_WORDS, TAPBACK_WORDS, is_text_edit, is_text_tapback
from pipeline.archives.imessage.times import CLOCK, DAY, DAYS, MICROSECONDS, utc_text
from pipeline.archives.imessage.typedstream import CHARACTERS, HEADER
from pipeline.sessions.session import LONGEST, OWNER, QUOTED, Listener, Message

NO_TEXT, UNREADABLE, TWIN = "no text", "unreadable body", "the same message again"
UNSENT, ONE_TIME_CODE, TAPBACK_IN_WORDS, EDIT_IN_WORDS = "unsent", "one-time code", "tapback in words", "edit in words"

_CODE_ATTRIBUTE = b"__kIMOneTimeCodeAttributeName"
_LINK_TWIN = timedelta(seconds=90)  # between a link and its preview, where Messages keeps both (openclaw/imsg)
_RECENT = 500  # messages back to which a tapback in words may refer
_RECENT_LINKS = 20
_QUOTATIONS = 1024
_HELD_BYTES = 16_000_000  # of rows whose messages are in memory, likewise
_HELD = 8192  # messages in memory at most, and those of one second
_SUSPECTS = "ELDQR\u200a\u200b\u200c\u200d"  # how edits and tapbacks in words begin
_IN_WORDS = (EDIT_WORDS, EDIT_WORDS + TAPBACK_WORDS)  # likewise, by kind of row


class OutOfOrder(Exception):
    """The rows did not come in order of time."""


class Speech:
    """Reads the rows of one conversation.

    Args:
        elsewhere: ROWIDs that another conversation has taken in already.
        attachments: leave no trace of them, or write "[image]" where they stood.
        is_direct: between two people.
        other: who wrote what came in from a handle that nobody has: the only other person, where there is one.
        listener: told of the rows that are no speech.

    Attributes:
        messages: the newest of what was said, in order of time.
        dropped: counts by reason of the rows that are no speech.
        read: how many rows there were.
        rowid: of the row being read.
    """

    def __init__(
        self,
        database: Database,
        people: People,
        elsewhere: Set[int],
        attachments: Attachments,
        is_direct: bool,
        other: str = UNKNOWN_SENDER,
        listener: Listener | None = None,
    ) -> None:
        self._database = database
        self._senders = people.senders
        self._other = other
        self._elsewhere = elsewhere
        self._attachments = attachments
        self._is_direct = is_direct
        self._listener = listener
        self._said = functools.lru_cache(_QUOTATIONS)(self._read_said)  # many may reply to one long message
        self.messages: list[Message] = []
        self.dropped: Counter[str] = Counter()
        self.read = 0
        self.rowid = 0
        self._first = (0, 0)  # of the messages of one second, the first: its instant and its place
        self._same: set[tuple[bool, str, str]] | None = None  # is_me, sender and content of the messages of that second
        self._places: dict[tuple[bool, str, int], int] = {}  # by is_me, content and instant, the first of them

    def hear(self, rows: Iterable[Row]) -> Iterator[list[Message]]:
        """Take in rows, which must come in order of time and ROWID; yield the messages, block by block.

        Raises:
            OutOfOrder: they do not.
            InputError: they are more than the file can hold.
        """
        messages, senders, elsewhere, other = self.messages, self._senders, self._elsewhere, self._other
        days, clock = DAYS, CLOCK  # as utc_text does
        last = last_second = rowid = self.rowid = -(2**64)
        read = taken = 0
        is_full = False
        try:
            for row in rows:
                when, number, kind, is_from_me, handle, text, body = row
                size = len(body) if type(body) is bytes else 0
                if text and type(text) is bytes:
                    size += len(text)
                taken += size
                if taken >= _HELD_BYTES:
                    self._database.add(taken)
                    taken, is_full = 0, True
                if when <= last and (when < last or number <= rowid):
                    if number == rowid:
                        continue  # in two chats of this conversation
                    raise OutOfOrder
                last, rowid = when, number
                if elsewhere and number in elsewhere:
                    continue
                read += 1
                second = when // MICROSECONDS
                content = _plain_text(body, kind) if kind <= IN_WORDS and type(body) is bytes else None
                if content:  # nearly every row
                    time = days[second // DAY] + clock[second % DAY] if second > 0 else utc_text(second)
                    sender = OWNER if is_from_me else senders.get(handle, other)
                    message = Message(sender, bool(is_from_me), time, content)
                else:
                    found = self._look(row, second)
                    if isinstance(found, str):
                        self._drop(found, row)
                        continue
                    message = found
                if size > LONGEST:
                    message.content = message.content[: LONGEST + 1]  # which is left out, whatever else it says
                if second != last_second or not second or is_full:
                    if len(messages) >= _HELD or is_full:
                        recent, is_full = _RECENT_LINKS if is_full else _RECENT, False
                        yield messages[:-recent]
                        del messages[:-recent]
                    last_second, self._first, self._same = second, (when, len(messages)), None
                elif self._is_twin(message, when):
                    self._drop(TWIN, row)
                    continue
                messages.append(message)
        finally:
            self.read, self.rowid = read, rowid
        self._database.add(taken)
        yield messages

    def _drop(self, reason: str, row: Row) -> None:
        self.dropped[reason] += 1
        if self._listener is not None:
            self._listener(reason, read_alone(row, self._senders, self._other))

    def _is_twin(self, message: Message, when: int) -> bool:
        """Whether the same was said in the same second already: Messages syncs rows anew, under new guids.

        Between two people, a row of the owner's can come back as the other's, of the same instant; the owner's stays.
        """
        if self._same is None:
            instant, place = self._first
            first = self.messages[place]
            self._same = {(first.is_me, first.sender, first.content)}
            self._places = {(first.is_me, first.content, instant): place}
        key = (message.is_me, message.sender, message.content)
        if key in self._same:
            return True
        if self._is_direct:
            place = self._places.get((not message.is_me, message.content, when), -1)
            if place >= 0:
                if message.is_me:
                    self.messages[place] = message
                return True
            self._places.setdefault((message.is_me, message.content, when), len(self.messages))
        self._same.add(key)
        return False

    def _look(self, row: Row, second: int) -> Message | str:
        """Read a row that has something about it; returns the reason if it is no speech."""
        _, rowid, kind, is_from_me, handle, text, body = row
        if kind in NO_SPEECH:
            return NO_SPEECH[kind]
        if isinstance(body, bytes) and _CODE_ATTRIBUTE in body:
            return ONE_TIME_CODE
        found = bodies.spoken(text, body)
        sender = _sender(is_from_me, handle, self._senders, self._other)
        message = Message(sender, bool(is_from_me), utc_text(second), bodies.plain(found or ""))
        if kind == IN_DETAIL:
            reason = self._add_detail(message, rowid, found or "", body)
            if reason is not None:
                return reason
        elif kind == IN_WORDS and self._is_tapback(message):
            return TAPBACK_IN_WORDS
        elif kind == LINK and self._is_link_twin(message):
            return TWIN
        if not message.content:
            return UNREADABLE if found is None else NO_TEXT
        return EDIT_IN_WORDS if is_text_edit(message.content) else message

    def _add_detail(self, message: Message, rowid: int, found: str, body: Value) -> str | None:
        """Complete `message` from the row's other columns and attachments; returns the reason if it is no speech."""
        detail = self._database.detail(rowid)
        summary = bodies.summary(detail.message_summary_info, has_text=bool(message.content))
        if bodies.is_unsent(summary, not message.content) or (detail.date_retracted and not message.content):
            return UNSENT
        if detail.service in SMS and self._is_tapback(message):
            return TAPBACK_IN_WORDS
        message.content = message.content or bodies.plain(bodies.last_edit(summary))
        attached = self._database.attachments(rowid) if detail.cache_has_attachments else []
        heard = bodies.transcript(body, [each.user_info for each in attached]) if detail.is_audio_message else ""
        if heard and not message.content:
            message.content = heard
        elif self._attachments == "tokens" and attached:
            words = message.content
            message.content = bodies.with_tokens(found if bodies.plain(found) == words else words, attached)
            message.only_context = msgspec.UNSET if words or not message.content else True
        message.content = "\n".join(filter(None, (bodies.plain(text_of(detail.subject)), message.content)))
        message.content = message.content[: LONGEST + 1]
        message.reply_to = self._quoted(detail, message.sender)
        return None

    def _is_tapback(self, message: Message) -> bool:
        return is_text_tapback(message.content, lambda: (earlier.content for earlier in self.messages[-_RECENT:]))

    def _is_link_twin(self, link: Message) -> bool:
        """Whether the link was said without its preview shortly before."""
        for earlier in self.messages[-_RECENT_LINKS:]:
            if (earlier.sender, earlier.content) == (link.sender, link.content) and earlier.time and link.time:
                return datetime.fromisoformat(link.time) - datetime.fromisoformat(earlier.time) <= _LINK_TWIN
        return False

    def _quoted(self, detail: Detail, sender: str) -> str | msgspec.UnsetType:
        """What the message of `sender` replies to, shortened, if somebody else said that."""
        if not isinstance(detail.original, int):
            return msgspec.UNSET
        author, words = self._said(detail.original)
        return msgspec.UNSET if author == sender else words or msgspec.UNSET

    def _read_said(self, rowid: int) -> tuple[str, str]:
        """Who wrote a message, and how it begins."""
        text, body, is_from_me, handle = self._database.words(rowid)
        author = _sender(is_from_me, handle, self._senders, self._other)
        return author, bodies.plain(bodies.spoken(text, body) or "")[:QUOTED]


def read_alone(row: Row, senders: Mapping[object, str], other: str = UNKNOWN_SENDER) -> Message:
    """A row as a message, whatever it is; its content may be empty."""
    when, _, _, is_from_me, handle, text, body = row
    words = bodies.plain(bodies.spoken(text, body) or "")
    return Message(_sender(is_from_me, handle, senders, other), bool(is_from_me), utc_text(when // MICROSECONDS), words)


def _sender(is_from_me: Value, handle: Value, senders: Mapping[object, str], other: str) -> str:
    return OWNER if is_from_me else senders.get(handle, other)


def _plain_text(body: bytes, kind: int) -> str | None:
    """The body's text, if there is nothing about it but its words; else a closer look is needed."""
    start = body.find(CHARACTERS) + 4  # as decode_attributed_body does, in line for nearly every row
    try:
        length = body[start - 1]
        if length >= 0x80:
            if length != 0x81:
                return None
            length, start = body[start] | body[start + 1] << 8, start + 2
        text = body[start : start + length].decode()
    except (IndexError, UnicodeDecodeError):
        return None
    if (
        start < 4
        or body[0] != HEADER[0]
        or start + length > len(body)
        or "\ufffc" in text
        or "\ufffd" in text
        or body.rfind(_CODE_ATTRIBUTE) >= 0  # twice as fast as `in` for what is mostly not there
    ):
        return None
    text = text.strip()
    return None if text[:1] in _SUSPECTS and text.startswith(_IN_WORDS[kind]) else text
