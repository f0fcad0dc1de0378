"""One row of a day to a message, or to the reason why it is none. Nothing in a row is believed."""

import re
from typing import Any

import msgspec

from pipeline.archives.slack.markup import readable, text_of_blocks
from pipeline.archives.slack.workspace import Workspace, name_of
from pipeline.archives.told import BY_A_BOT, CALL, DELETED, MEDIA, NO_TEXT, Told, writable
from pipeline.archives.typed_json import NOTHING, is_there, value_of
from pipeline.archives.unix_time import at_second
from pipeline.sessions.session import Message

SYSTEM = "Slack's own words"
EARLIER = "earlier version of an edited message"
FORWARDED = "another message shared, without a word"

_SPEECH = frozenset({None, "", "me_message", "thread_broadcast", "file_share", "file_comment"})
_REASONS = {
    "bot_message": BY_A_BOT,
    "slackbot_response": BY_A_BOT,
    "tombstone": DELETED,
    "message_deleted": DELETED,
    "message_changed": EARLIER,
    "huddle_thread": CALL,
    "sh_room_created": CALL,
    "sh_room_shared": CALL,
}
_UPLOADED = re.compile(
    r"<@\w+(?:\|[^<>]*)?> (?:uploaded|shared) a file: <[^<>]*>(?: and commented: (?P<said>.*))?", re.DOTALL
)
_COMMENTED = re.compile(r"<@\w+(?:\|[^<>]*)?> commented on .{1,300}?>: (?P<said>.*)", re.DOTALL)
_STAMP = re.compile(r"(\d{1,11})(?:\.(\d{0,20}))?", re.ASCII)
_NOBODY = "somebody without a name"
_USUAL = len("1714550400.000100")
_LATEST = 99_999_999_999
"""In seconds."""


class Raw(msgspec.Struct, gc=False):
    """What a row may have; what is nested is decoded where it is needed, which is seldom."""

    type: Any = "message"
    subtype: Any = None
    ts: Any = None
    thread_ts: Any = None
    user: Any = None
    bot_id: Any = None
    username: Any = None
    text: Any = None
    reply_count: Any = None
    upload: Any = None
    replies: msgspec.Raw = NOTHING
    user_profile: msgspec.Raw = NOTHING
    comment: msgspec.Raw = NOTHING
    blocks: msgspec.Raw = NOTHING
    files: msgspec.Raw = NOTHING
    file: msgspec.Raw = NOTHING
    attachments: msgspec.Raw = NOTHING
    slackdump_thread_replies: msgspec.Raw = NOTHING


Found = tuple[int, str | None, Message]
"""Microseconds since 1970, which are unique in a channel; the thread that the message is in, or begins, by its first
message's `ts`, None if in none; the message."""


class Rows:
    """Reads the rows of all channels."""

    def __init__(self, workspace: Workspace, told: Told) -> None:
        self._workspace = workspace
        self._told = told
        self._senders: dict[str, str] = {}
        self._unlisted: dict[str, tuple[str, str]] = {}

    def found(self, raw: Raw | None) -> Found | None:
        """A message; None if that is no speech, of which `told` is told."""
        if raw is None:
            self._told.drop(NO_TEXT)
            return None
        at = micros(raw.ts)
        time = at_second(at // 1_000_000) if at else None
        identity, sender = self._sender(raw)
        text = self._text(raw)
        reason = self._why_not(raw, identity, text)
        if reason is not None:
            self._told.drop(reason, sender, time, text)
            return None
        return at, _thread(raw) if raw.thread_ts else None, Message(sender, False, time, text)

    def sender(self, identity: str) -> str:
        """What somebody is called in all that follows."""
        found = self._senders.get(identity)
        if found is None:
            found = self._senders[identity] = self._told.senders.of(identity, self._workspace.user(identity))
        return found

    def _sender(self, raw: Raw) -> tuple[str, str]:
        """Their id, and what they are called."""
        identity = raw.user
        if raw.subtype == "file_comment":
            comment = value_of(raw.comment)
            identity = (comment.get("user") if isinstance(comment, dict) else None) or identity
        identity = identity or raw.bot_id
        if isinstance(identity, str) and identity in self._workspace.users:
            return identity, self.sender(identity)
        if not isinstance(identity, str) or not identity:
            return self._unlisted_sender(raw, None)
        if (known := self._unlisted.get(identity)) is None:
            known = self._unlisted[identity] = self._unlisted_sender(raw, identity)
        return known

    def _unlisted_sender(self, raw: Raw, identity: str | None) -> tuple[str, str]:
        """Somebody whom the export lists nowhere, by what the row says of them."""
        profile = value_of(raw.user_profile)
        name = (name_of(profile) if isinstance(profile, dict) else "") or name_of({"username": raw.username})
        identity = writable(identity or name or _NOBODY)
        return identity, self._told.senders.of(identity, name)

    def _text(self, raw: Raw) -> str:
        workspace = self._workspace
        text: str = raw.text if isinstance(raw.text, str) else ""
        if raw.subtype is not None or raw.upload:
            text = _said_of_file(raw, text)
        if "<" in text or "&" in text:
            text = readable(text, workspace.user, workspace.channel)
        if raw.blocks is not NOTHING and not text.strip():
            text = text_of_blocks(value_of(raw.blocks), workspace.user, workspace.channel)
        return text if text.isascii() else writable(text)

    def _why_not(self, raw: Raw, identity: str, text: str) -> str | None:
        subtype = raw.subtype
        if raw.type != "message" or not (subtype is None or isinstance(subtype, str)):
            return SYSTEM
        if subtype in _REASONS:
            return _REASONS[subtype]
        user = self._workspace.users.get(identity)
        if raw.bot_id or identity == "USLACKBOT" or (user is not None and user.is_bot):
            return BY_A_BOT
        if subtype not in _SPEECH:
            return SYSTEM
        if not text or text.isspace():
            if is_there(raw.files) or is_there(raw.file):
                return MEDIA
            return FORWARDED if is_there(raw.attachments) else NO_TEXT
        return None


def _said_of_file(raw: Raw, text: str) -> str:
    """The comment on a file, without what old exports have around it."""
    if (raw.subtype == "file_share" or raw.upload) and (uploaded := _UPLOADED.fullmatch(text)):
        return uploaded["said"] or _comment(value_of(raw.file), "initial_comment")
    if raw.subtype == "file_comment":
        commented = _COMMENTED.fullmatch(text)
        said = _comment({"comment": value_of(raw.comment)}, "comment")
        return said or (commented["said"] if commented else text)
    return text


def _comment(holder: object, key: str) -> str:
    comment = holder.get(key) if isinstance(holder, dict) else None
    said = comment.get("comment") if isinstance(comment, dict) else None
    return said if isinstance(said, str) else ""


def micros(stamp: object) -> int:
    """Microseconds since 1970 of a `ts` such as "1714550400.000100"; 0 if it is none."""
    if isinstance(stamp, float | int) and not isinstance(stamp, bool) and 0 < stamp < _LATEST:
        return int(stamp * 1_000_000)
    if not isinstance(stamp, str):
        return 0
    if len(stamp) == _USUAL and stamp[10] == "." and stamp.isascii() and (digits := stamp.replace(".", "")).isdigit():
        return int(digits) if len(digits) == _USUAL - 1 else 0
    found = _STAMP.fullmatch(stamp)
    return 0 if found is None else int(found[1]) * 1_000_000 + int((found[2] or "").ljust(6, "0")[:6])


def _thread(raw: Raw) -> str | None:
    """The thread of a message. One whose answers are all gone keeps its thread_ts, but begins none any more."""
    thread = raw.thread_ts
    if not isinstance(thread, str) or not thread:
        return None
    if thread == raw.ts and not raw.reply_count and not is_there(raw.replies):
        return None
    return thread
