"""What a row says: its body, its edits, its attachments, its transcript.

Sources: ReagentX/imessage-exporter (edited.rs: the keys of message_summary_info), crabstep's samples and openclaw/imsg
(audio transcripts), imessage-chatdb (attachments).
"""

import plistlib
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pipeline.archives.imessage.database import Attachment, Value
from pipeline.archives.imessage.indexes import text_of
from pipeline.archives.imessage.typedstream import decode_attribute, decode_attributed_body
from pipeline.sessions.session import LONGEST

Attachments = Literal["drop", "tokens"]

PLACEHOLDERS = re.compile("[\ufffc\ufffd]")
"""Where attachments and apps stand in a text."""

_UNSENT_KEY = b"Rrp"  # as a binary plist writes it: a string of two characters
_BINARY = b"bplist"
_TRAILER = struct.Struct(">6xBBQQQ")
_OBJECTS = 4096  # of a plist; a message that was edited all over has some hundred
_TRANSCRIPT = b"IMAudioTranscription"
_TRANSCRIPT_KEY = "audio-transcription"  # in attachment.user_info
_PREVIEW_PAYLOAD = ".pluginPayloadAttachment"  # what a link's preview is kept in
_TOKENS = ("image", "video", "audio", "sticker", "contact", "location")
_KINDS_BY_UTI = {
    "public.vcard": "contact",
    "public.vlocation": "location",
    "com.apple.coreaudio-format": "audio",
}


def spoken(text: Value, body: Value) -> str | None:
    """What was typed: the body's text, else the text column's; None where there is a body that cannot be read."""
    said = decode_attributed_body(body) if isinstance(body, bytes) and body else None
    if said:
        return said
    written = text_of(text)
    return written if written or said is not None or not body else None


def plain(text: str) -> str:
    """The text without the places of attachments; a line ends where one stood between words."""
    if "\ufffc" in text or "\ufffd" in text:
        parts = (PLACEHOLDERS.sub("", part).strip() for part in text.split("\ufffc"))
        return "\n".join(part for part in parts if part)
    return text.strip()


def summary(info: Value, *, has_text: bool = False) -> Mapping[str, object]:
    """message_summary_info, read; empty if it cannot be, or holds nothing new about a message whose text is there."""
    if not isinstance(info, bytes) or (has_text and info.startswith(_BINARY) and _UNSENT_KEY not in info):
        return {}
    try:
        found = plistlib.loads(info) if _is_no_larger_than_it_looks(info) else None
    except Exception:  # noqa: BLE001 - plistlib raises half a dozen kinds of errors on damaged files
        return {}
    return found if isinstance(found, dict) else {}


def _is_no_larger_than_it_looks(info: bytes) -> bool:
    """Whether the objects of a binary plist are few and lie beside each other, as every writer puts them.

    Objects that overlap make a short file as large as one likes. An XML plist has no such means.
    """
    if not info.startswith(_BINARY):
        return True
    width, reference, count, _, table = _TRAILER.unpack(info[-_TRAILER.size :])
    if not width or count > _OBJECTS:
        return False
    ends = range(table + width, min(table + count * width, len(info)) + 1, width)
    offsets = (int.from_bytes(info[end - width : end], "big") for end in ends)
    return sum(_size(info, offset, reference) for offset in offsets if offset < len(info)) <= len(info)


def _size(info: bytes, offset: int, reference: int) -> int:
    """Bytes of the object at `offset` of a binary plist, at least; `reference` is the bytes of one to another."""
    kind, count = info[offset] & 0xF0, info[offset] & 0x0F
    if kind == 0x10:  # integer
        return 1 << count
    if count == 0x0F:
        start = offset + 2
        count = int.from_bytes(info[start : start + (1 << (info[offset + 1] & 3))], "big")
    return 1 + count * {0x40: 1, 0x50: 1, 0x60: 2, 0xA0: reference, 0xD0: 2 * reference}.get(kind, 0)


def is_unsent(found: Mapping[str, object], is_empty: bool) -> bool:
    """Whether every part of the message was taken back; `otr` lists the parts there were, `rp` those taken back."""
    gone, parts = found.get("rp"), found.get("otr")
    if not isinstance(gone, list) or not gone:
        return False
    return is_empty or (isinstance(parts, dict) and _numbers(parts) <= _numbers(gone) - {""})


def _numbers(parts: Iterable[object]) -> set[str]:
    """The numbers of parts, which stand there as integers or in words; "" for all that is no such thing."""
    return {
        part if isinstance(part, str) else str(part) if isinstance(part, int) and abs(part) < _OBJECTS else ""
        for part in parts
    }


def last_edit(found: Mapping[str, object]) -> str:
    """The newest version of an edited message, from its history: `ec` holds each part's versions, oldest first.

    Of one that is longer than LONGEST, only so much that this shows.
    """
    parts = found.get("ec")
    if not isinstance(parts, dict):
        return ""
    text, read = "", dict[bytes, str]()
    for versions in parts.values():
        newest = versions[-1] if isinstance(versions, list) and versions else None
        body = newest.get("t") if isinstance(newest, dict) else None
        if isinstance(body, bytes):
            if body not in read:  # many parts may share one long body
                read[body] = decode_attributed_body(body) or ""
            text += read[body]
        if len(text) > LONGEST:
            break  # which is too long for a message already
    return text


def transcript(body: Value, attachments: Iterable[Value]) -> str:
    """What Messages heard in an audio message; "" if nothing.

    Args:
        attachments: their user_info.
    """
    if isinstance(body, bytes) and (said := decode_attribute(body, _TRANSCRIPT)):
        return said
    for info in attachments:
        heard = summary(info).get(_TRANSCRIPT_KEY)
        if isinstance(heard, str) and heard:
            return heard
    return ""


def with_tokens(text: str, attachments: Sequence[Attachment]) -> str:
    """The text with "[image]" and the like where its attachments stood, or after it if it does not say where."""
    tokens = [_token(each) for each in attachments if not each.transfer_name.endswith(_PREVIEW_PAYLOAD)]
    waiting = iter(tokens)
    placed = PLACEHOLDERS.sub(lambda found: _placed(found, next(waiting, "")), text)
    return "\n".join(filter(None, (placed.strip(), *waiting)))


def _placed(found: re.Match[str], token: str) -> str:
    """A token on a line of its own where it stood right between words, or the end of a line where there is none."""
    before, after = found.string[max(0, found.start() - 1) : found.start()], found.string[found.end() : found.end() + 1]
    begin, end = (
        "\n" if side and not side.isspace() and side not in "\ufffc\ufffd" else "" for side in (before, after)
    )
    return f"{begin}{token}{end}" if token else begin or end


def _token(attachment: Attachment) -> str:
    kind = attachment.mime_type.partition("/")[0]
    if attachment.is_sticker:
        kind = "sticker"
    elif attachment.uti in _KINDS_BY_UTI or attachment.mime_type == "text/vcard":
        kind = _KINDS_BY_UTI.get(attachment.uti, "contact")
    return f"[{kind if kind in _TOKENS else 'file'}]"
