"""Rows of Telegram's export: who wrote them, when, and whether they are speech.

A text is a string, or a list of strings and objects that have a `text`: links, mentions, code, custom emoji. Captions
are texts, too. Exports until 2021 have no `date_unixtime`, only the exporting computer's local time, and numbers as
`from_id`.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from pipeline.archives.conversation import Row, utc_text
from pipeline.archives.told import CALL, MEDIA, NO_TEXT, Told
from pipeline.archives.typed_json import NOTHING, value_of
from pipeline.archives.unix_time import at_second
from pipeline.sessions.session import OWNER, QUOTED, Message

SYSTEM = "Telegram's own words"
UNSUPPORTED = "not in the export, as it says"
UNREADABLE = "not a message"
POLL = "poll"
LOCATION = "location"
CONTACT = "contact card"
OTHER = "game, invoice or giveaway"
FORWARDED = "forwarded, read as context"
VIA_BOT = "by way of a bot, read as context"
OF_A_CHANNEL = "by a channel or a group itself, read as context"

DELETED_ACCOUNT = "Deleted account"

_CALLS = ("phone_call", "group_call", "conference_call")
_INSTEAD = (
    ("poll", POLL),
    ("todo_list", POLL),
    ("location_information", LOCATION),
    ("place_name", LOCATION),
    ("contact_information", CONTACT),
    ("photo", MEDIA),
    ("file", MEDIA),
    ("media_type", MEDIA),
    ("paid_stars_amount", MEDIA),
    ("game_title", OTHER),
    ("invoice_information", OTHER),
    ("giveaway_information", OTHER),
    ("giveaway_results", OTHER),
)
_SHOWN = ("sticker_emoji", "media_type", "file_name", "place_name", "game_title", "mime_type")
_OLD_CHANNELS = 1 << 33  # where the numbers of channels began, when ids were numbers
_EARLIEST = 3600  # seconds after 1970; what is earlier is no time, but a missing one
_LARGEST = 1 << 63  # ids beyond are none


class Raw(msgspec.Struct, gc=False):
    """What a row may have; of much it matters only whether it is there."""

    type: Any = "message"
    id: Any = None
    date_unixtime: Any = None
    date: Any = None
    name: Any = msgspec.field(default=None, name="from")
    from_id: Any = None
    text: Any = None
    text_entities: msgspec.Raw = NOTHING
    reply_to_message_id: Any = None
    reply_to_peer_id: Any = UNSET
    actor: Any = None
    actor_id: Any = None
    action: Any = None
    via_bot: Any = UNSET
    inline_bot_buttons: Any = UNSET
    forwarded_from: Any = UNSET
    forwarded_from_id: Any = UNSET
    saved_from: Any = UNSET
    poll: Any = UNSET
    todo_list: Any = UNSET
    location_information: Any = UNSET
    place_name: Any = UNSET
    contact_information: Any = UNSET
    photo: Any = UNSET
    file: Any = UNSET
    media_type: Any = UNSET
    paid_stars_amount: Any = UNSET
    game_title: Any = UNSET
    invoice_information: Any = UNSET
    giveaway_information: Any = UNSET
    giveaway_results: Any = UNSET
    sticker_emoji: Any = UNSET
    file_name: Any = UNSET
    mime_type: Any = UNSET

    @property
    def is_forwarded(self) -> bool:
        """Whether it was said elsewhere."""
        return not self.forwarded_from is self.forwarded_from_id is self.saved_from is UNSET

    @property
    def is_by_a_bot(self) -> bool:
        """Only bots can put buttons under a message."""
        return not self.via_bot is self.inline_bot_buttons is UNSET


class Owner(NamedTuple):
    """Whose account it is.

    Attributes:
        identity: such as "user12".
        name: as the archive calls them; "" if it does not.
    """

    identity: str
    name: str = ""


class Who(NamedTuple):
    """A sender."""

    sender: str
    is_me: bool
    is_person: bool


class Rows:
    """Makes rows of what the export has.

    Args:
        told: tells the archive's people apart.
        owner: None where the archive does not say who that is.
    """

    def __init__(self, told: Told, owner: Owner | None) -> None:
        self._told = told
        self._owner = owner
        self._met: dict[object, Who] = {}

    def of(self, blocks: Iterator[list[Raw | None]]) -> Iterator[list[Row]]:
        """The rows of one chat in one file."""
        last = ""
        for block in blocks:
            rows = []
            for each in block:
                if each is not None:
                    row = self._row(each, last)
                else:
                    row = Row(last, None, Message("", False, None, ""), UNREADABLE)
                last = row.at
                rows.append(row)
            yield rows

    def _row(self, row: Raw, last: str) -> Row:
        at = time = _time(row.date_unixtime)
        if time is None:
            # Local times go back by an hour once a year, while the order of the file is right.
            time = utc_text(row.date)
            at = last if time is None else max(last, time)
        number = _number(row.id)
        if row.type != "message":
            who = self._who(row.actor_id or row.from_id, row.actor or row.name)
            reason, words = _service(row)
            return Row(at or last, number, Message(who.sender, who.is_me, time, words), reason)
        who, text = self._who(row.from_id, row.name), text_of(row)
        message = Message(who.sender, who.is_me, time, text)
        if not text:
            reason, message.content = _instead(row)
            return Row(at or last, number, message, reason)
        noted = None
        if not who.is_person or row.is_by_a_bot or row.is_forwarded:
            message.only_context, noted = True, _not_their_own(row)
        # With reply_to_peer_id it answers a message of another chat.
        answered = row.reply_to_message_id
        answers = None if answered is None or row.reply_to_peer_id is not UNSET else _number(answered)
        return Row(at or last, number, message, None, answers, noted)

    def _who(self, identity: object, name: object) -> Who:
        """The sender who has this id; where there is none, who has this name."""
        key = name if identity is None else identity
        try:
            return self._met[key]
        except KeyError:
            self._met[key] = who = self._meet(identity, name)
            return who
        except TypeError:  # a list or the like, as other programs than Telegram's write it
            return self._meet(None, name)

    def _meet(self, identity: object, name: object) -> Who:
        called = " ".join(name.split()) if isinstance(name, str) else ""
        known = identity_of(identity)
        if self._owner is not None:
            if known == self._owner.identity:
                return Who(OWNER, is_me=True, is_person=True)
            if called in (OWNER, self._owner.name) and called:  # whatever their name, they are not the owner
                called = f"{called} ({known or 'another'})"
        sender = self._told.senders.of(known or called or DELETED_ACCOUNT, called or DELETED_ACCOUNT)
        return Who(sender, is_me=False, is_person=known is None or known.startswith("user"))


def _time(stamp: object) -> str | None:
    if stamp is None:
        return None
    try:
        second = int(stamp)  # type: ignore[call-overload] # whatever it is, int() says so
        return at_second(second) if second >= _EARLIEST else None
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def identity_of(identity: object) -> str | None:
    """An id such as "user12", also of exports that have numbers; None if it is none."""
    if isinstance(identity, str):
        return f"user{identity}" if identity.isdecimal() else identity or None
    if isinstance(identity, int):
        if identity < 0:
            return f"channel{-identity}"
        return f"user{identity}" if identity < _OLD_CHANNELS else f"channel{identity - _OLD_CHANNELS}"
    return None


def text_of(row: Raw) -> str:
    """What was written, without what it links to."""
    text = row.text
    if isinstance(text, str):
        if text:
            return text.strip()
    elif isinstance(text, list) and (joined := _joined(text)):
        return joined
    entities = value_of(row.text_entities)
    return _joined(entities) if entities and isinstance(entities, list) else ""


def _joined(parts: list[object]) -> str:
    pieces = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return "".join(piece for piece in pieces if isinstance(piece, str)).strip()


def _not_their_own(row: Raw) -> str:
    """Why a text is not its sender's own words."""
    if row.is_forwarded:
        return FORWARDED
    return VIA_BOT if row.is_by_a_bot else OF_A_CHANNEL


def _instead(row: Raw) -> tuple[str, str]:
    """Why a message without a text has none, and what it is, in short."""
    for key, reason in _INSTEAD:
        if getattr(row, key) is not UNSET:
            question = row.poll.get("question") if isinstance(row.poll, dict) else None
            shown = [question, *(getattr(row, each) for each in _SHOWN), key]
            return reason, next(each for each in shown if isinstance(each, str))[:QUOTED]
    return NO_TEXT, ""


def _service(row: Raw) -> tuple[str, str]:
    if row.type == "unsupported":
        return UNSUPPORTED, ""
    words = row.action if isinstance(row.action, str) else text_of(row)
    return (CALL if row.action in _CALLS else SYSTEM), words[:QUOTED]


def _number(identity: object) -> int | str | None:
    if type(identity) is int:
        return identity if -_LARGEST < identity < _LARGEST else None
    return identity if type(identity) is str else None
