"""One row of a download to a message, or to the reason why it is none. Both forms; nothing in a row is believed."""

import unicodedata
from collections.abc import Iterable
from typing import Any

import msgspec

from pipeline.archives.messenger.own_words import OwnWords
from pipeline.archives.messenger.text import repaired
from pipeline.archives.told import BY_A_BOT, CALL, DELETED, MEDIA, NO_TEXT, TWICE, Told, writable
from pipeline.archives.typed_json import NOTHING, is_there, value_of
from pipeline.archives.unix_time import at_second
from pipeline.sessions.session import OWNER, Message

_NAMELESS = "somebody without a name"
_META_AI = "Meta AI"
_SERVICE = frozenset({"Subscribe", "Unsubscribe", "Payment", "Plan"})
_TEXT_TYPES = frozenset({None, "text", "media", "link"})
_LATEST = 253_402_300_000_000
"""The year 9999, in milliseconds."""


class Raw(msgspec.Struct, gc=False):
    """What a row of either form may have; the encrypted form has its own names for who, when and what."""

    sender_name: Any = None
    timestamp_ms: Any = None
    content: Any = None
    sender: Any = msgspec.field(default=None, name="senderName")
    timestamp: Any = None
    text: Any = None
    type: Any = None
    is_unsent: Any = None
    unsent: Any = msgspec.field(default=None, name="isUnsent")
    is_taken_down: Any = None
    call_duration: Any = None
    missed: Any = None
    reactions: msgspec.Raw = NOTHING
    bumped_message_metadata: msgspec.Raw = NOTHING
    photos: msgspec.Raw = NOTHING
    videos: msgspec.Raw = NOTHING
    audio_files: msgspec.Raw = NOTHING
    files: msgspec.Raw = NOTHING
    gifs: msgspec.Raw = NOTHING
    sticker: msgspec.Raw = NOTHING
    share: msgspec.Raw = NOTHING
    media: msgspec.Raw = NOTHING


def text_of(value: object, *, is_encrypted: bool = False) -> str:
    """A string as it was meant; "" if it is none."""
    if not isinstance(value, str):
        return ""
    if value.isascii():
        return value
    return writable(value) if is_encrypted else repaired(value)


def name_of(value: object, *, is_encrypted: bool = False) -> str:
    """A name as it was meant; both forms, and what people type, agree on its blanks and accents then."""
    return unicodedata.normalize("NFC", text_of(value, is_encrypted=is_encrypted)).strip()


def stamp_of(value: Any) -> int:
    """Milliseconds since 1970; 0 if that is none."""
    if type(value) is not int:
        is_number = isinstance(value, float) and 0 < value < _LATEST
        if not is_number and not (isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 18):
            return 0
        value = int(value)
    return value if 0 < value < _LATEST else 0


class Rows:
    """Reads the rows of one conversation.

    Args:
        told: is told of what is left out.
        place: tells this conversation from the others.
        twin: whom this conversation is with, if somebody else in the archive has the same name.
        own_words: why the app's own sentences are left out.
    """

    def __init__(self, told: Told, place: str, own_words: str, twin: str = "") -> None:
        self._told = told
        self._place = place
        self._own_words = own_words
        self._twin = twin
        self._words = OwnWords()
        self._senders: dict[str, str] = {}
        self._written: dict[object, tuple[str, str]] = {}

    def meet(self, names: Iterable[str]) -> None:
        """These are in the conversation, whether they say anything or not."""
        for name in names:
            self._words.meet(name)

    def sender(self, name: str) -> str:
        """What somebody of this name is called in all that follows."""
        found = self._senders.get(name)
        if found is None:
            self._words.meet(name)
            found = (
                OWNER if name in self._told.owner else self._told.senders.of(self._identity(name), name or _NAMELESS)
            )
            self._senders[name] = found
        return found

    def meet_reactions(self, batch: Iterable[Raw | None], *, is_encrypted: bool) -> None:
        """Remember the reactions to messages, some of which are told in messages of their own, and such sentences."""
        for raw in batch:
            if raw is None:
                continue
            written, text = (raw.sender, raw.text) if is_encrypted else (raw.sender_name, raw.content)
            if written and isinstance(written, str) and isinstance(text, str) and text.startswith(written):
                self._words.began(text_of(text, is_encrypted=is_encrypted), name_of(written, is_encrypted=is_encrypted))
            if raw.reactions is not NOTHING:
                reactions = value_of(raw.reactions)
                for each in reactions if isinstance(reactions, list) else ():
                    if isinstance(each, dict):
                        actor = name_of(each.get("actor"), is_encrypted=is_encrypted)
                        sign = text_of(each.get("reaction"), is_encrypted=is_encrypted)
                        stamp = each.get("timestamp")
                        self._words.reacted(actor, sign, stamp if isinstance(stamp, int) else None)

    def message(self, raw: Raw | None, *, is_encrypted: bool) -> tuple[int, Message] | None:
        """When, in milliseconds, and what was said; None if that is no speech, of which `told` is told."""
        if raw is None:
            self._told.drop(NO_TEXT)
            return None
        stamp, name, sender, text = self._said(raw, is_encrypted)
        time = at_second(stamp // 1000) if stamp else None
        reason = self._why_not(raw, text, name, stamp // 1000, is_encrypted)
        if reason is not None:
            self._told.drop(reason, sender, time, text, is_me=sender is OWNER)
            return None
        return stamp, Message(sender, sender is OWNER, time, text)

    def leave_out(self, raw: Raw | None, reason: str, *, is_encrypted: bool) -> None:
        """Tell of a row that is left out whatever it is."""
        if raw is None:
            self._told.drop(reason)
            return
        stamp, _, sender, text = self._said(raw, is_encrypted)
        self._told.drop(reason, sender, (at_second(stamp // 1000) if stamp else None), text, is_me=sender is OWNER)

    def _said(self, raw: Raw, is_encrypted: bool) -> tuple[int, str, str, str]:
        """When, by whom as written, by whom as called, and what."""
        if is_encrypted:
            stamp, written, text = raw.timestamp, raw.sender, raw.text
        else:
            stamp, written, text = raw.timestamp_ms, raw.sender_name, raw.content
        who = self._written.get(written) if isinstance(written, str) else ("", self.sender(""))
        if who is None:
            name = name_of(written, is_encrypted=is_encrypted)
            who = self._written[written] = name, self.sender(name)
        return stamp_of(stamp), *who, text_of(text, is_encrypted=is_encrypted)

    def _why_not(self, raw: Raw, text: str, name: str, second: int, is_encrypted: bool) -> str | None:
        if raw.is_unsent or raw.unsent or raw.is_taken_down:
            return DELETED
        if raw.call_duration is not None or raw.missed:
            return CALL
        kind = raw.type
        if kind is not None and (reason := self._by_type(kind, is_encrypted)):
            return reason
        if name == _META_AI:
            return BY_A_BOT
        if raw.bumped_message_metadata is not NOTHING and _is_bumped(raw.bumped_message_metadata):
            return TWICE
        with_file = _has_file(raw)
        if not text or text.isspace():
            return MEDIA if with_file else NO_TEXT
        if self._words.are(text, name, second, with_file=with_file):
            return MEDIA if with_file else self._own_words
        return None

    def _by_type(self, kind: object, is_encrypted: bool) -> str | None:
        if kind == "Call":
            return CALL
        if kind == "placeholder":
            return DELETED
        if not isinstance(kind, str) or kind in _SERVICE or (is_encrypted and kind not in _TEXT_TYPES):
            return self._own_words
        return None

    def _identity(self, name: str) -> str:
        """Who somebody of this name is.

        No download has ids, so one name is one person, everywhere. Not so those who have left: all are called "Facebook
        user" or "Instagram User", in the language of the account, or nothing.
        """
        if not name:
            return f"{_NAMELESS}, {self._place}"
        plain = name.casefold()
        return self._place if name == self._twin or "facebook" in plain or "instagram" in plain else name


def _is_bumped(metadata: msgspec.Raw) -> bool:
    """Whether a message was brought down to the end of the conversation again, as it was."""
    value = value_of(metadata)
    return isinstance(value, dict) and value.get("is_bumped") is True


def _has_file(raw: Raw) -> bool:
    if (
        raw.photos is raw.videos is raw.audio_files is raw.files is raw.gifs is raw.sticker is raw.share is raw.media
        is NOTHING
    ):  # fmt: skip
        return False
    files = (raw.photos, raw.videos, raw.audio_files, raw.files, raw.gifs, raw.sticker, raw.share, raw.media)
    return any(is_there(each) for each in files)
