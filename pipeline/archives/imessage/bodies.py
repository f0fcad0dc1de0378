"""What a row says: its body, its edits, its attachments, its transcript.

Sources: ReagentX/imessage-exporter (edited.rs: the keys of message_summary_info), crabstep's samples and openclaw/imsg
(audio transcripts), imessage-chatdb (attachments).
"""

import plistlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pipeline.archives.imessage.database import Attachment, Value, text_of
from pipeline.archives.imessage.typedstream import decode_attribute, decode_attributed_body

Attachments = Literal["drop", "tokens"]

PLACEHOLDERS = re.compile("[\ufffc\ufffd]")
"""Where attachments and apps stand in a text."""

_UNSENT_KEY = b"Rrp"  # as a binary plist writes it: a string of two characters
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
    """The text without the places of attachments."""
    if "\ufffc" in text or "\ufffd" in text:
        text = PLACEHOLDERS.sub("", text)
    return text.strip()


def summary(info: Value, *, has_text: bool = False) -> Mapping[str, object]:
    """message_summary_info, read; empty if it cannot be, or holds nothing new about a message whose text is there."""
    if not isinstance(info, bytes) or (has_text and info.startswith(b"bplist") and _UNSENT_KEY not in info):
        return {}
    try:
        found = plistlib.loads(info)
    except Exception:  # noqa: BLE001 - plistlib raises half a dozen kinds of errors on damaged files
        return {}
    return found if isinstance(found, dict) else {}


def is_unsent(found: Mapping[str, object], is_empty: bool) -> bool:
    """Whether every part of the message was taken back; `otr` lists the parts there were, `rp` those taken back."""
    gone, parts = found.get("rp"), found.get("otr")
    if not isinstance(gone, list) or not gone:
        return False
    return is_empty or (isinstance(parts, dict) and {str(part) for part in parts} <= {str(part) for part in gone})


def last_edit(found: Mapping[str, object]) -> str:
    """The newest version of an edited message, from its history: `ec` holds each part's versions, oldest first."""
    parts = found.get("ec")
    if not isinstance(parts, dict):
        return ""
    texts = []
    for versions in parts.values():
        newest = versions[-1] if isinstance(versions, list) and versions else None
        body = newest.get("t") if isinstance(newest, dict) else None
        texts.append((decode_attributed_body(body) if isinstance(body, bytes) else None) or "")
    return "".join(texts)


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
    placed = PLACEHOLDERS.sub(lambda _: next(waiting, ""), text)
    return "\n".join(filter(None, (placed.strip(), *waiting)))


def _token(attachment: Attachment) -> str:
    kind = attachment.mime_type.partition("/")[0]
    if attachment.is_sticker:
        kind = "sticker"
    elif attachment.uti in _KINDS_BY_UTI or attachment.mime_type == "text/vcard":
        kind = _KINDS_BY_UTI.get(attachment.uti, "contact")
    return f"[{kind if kind in _TOKENS else 'file'}]"
