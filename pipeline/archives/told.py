"""What a reader tells beside the messages that it yields: what it left out, and why."""

from collections import Counter

from pipeline.archives.pseudonyms import Senders
from pipeline.sessions.session import Listener, Message

MEDIA = "photo, video or other file"
NO_TEXT = "no text"
BY_A_BOT = "by a bot"
DELETED = "deleted message"
CALL = "call"
TWICE = "there twice"
"""Reasons that several apps share."""


class Told:
    """Counts what became of the rows of an archive.

    Args:
        dropped: counts by reason the rows that are no speech.
        noted: counts what was kept and may be worth a word, to be read after "12 messages".
        listener: told of each row that is dropped.

    Attributes:
        rows: how many rows the reader has met so far; in the end each is a message or dropped, which is checked. None
            where that is not known.
        senders: tells the archive's people apart.
        owner: what the archive calls its owner, whose messages are OWNER's; any of these names.
    """

    def __init__(self, dropped: Counter[str], noted: Counter[str], listener: Listener | None = None) -> None:
        self.dropped = dropped
        self.noted = noted
        self.listener = listener
        self.rows: int | None = 0
        self.senders = Senders()
        self.owner: frozenset[str] = frozenset()

    def drop(
        self, reason: str, sender: str = "", time: str | None = None, text: str = "", *, is_me: bool = False
    ) -> None:
        """Count a row that is no speech; `text` is what stood there instead, in the archive's words."""
        self.dropped[reason] += 1
        if self.listener is not None:
            self.listener(reason, Message(sender, is_me, time, text))


def writable(text: str) -> str:
    """Text that can be written as UTF-8: half characters, which JSON can hold, become question marks."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
