"""iMessage as a row of READERS: a database alone or in its folder, recognised by its tables."""

from collections.abc import Iterator

from pipeline.archives import sqlite
from pipeline.archives.imessage.reader import stream_imessage
from pipeline.archives.members import Members
from pipeline.archives.reader import Asked, Recognised
from pipeline.archives.told import Told
from pipeline.sessions.stream import Stream

NAMES = ("chat.db", "sms.db")
_BECAUSE = "its tables, which are those of Messages on a Mac or an iPhone"


def recognise(members: Members) -> Recognised | None:
    """See readers.Reading."""
    only = members.only
    candidates = [only] if only is not None and only.path == members.path else members.named(*NAMES)
    for each in candidates:
        if each.head(len(sqlite.HEADER)) != sqlite.HEADER:
            continue
        with sqlite.opened(each.path) as db:
            tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if {"message", "handle"} <= tables:
            return Recognised("an iMessage database", _BECAUSE, each.path)
    return None


def read(members: Members, told: Told, asked: Asked) -> Iterator[Stream]:
    """See readers.Reading."""
    told.rows = None  # what the database holds is counted by itself, see require_balance
    return stream_imessage(
        members.path,
        told.dropped,
        attachments=asked.attachments,
        contacts=asked.contacts,
        names=asked.names,
        noted=told.noted,
        half=asked.half,
        listener=told.listener,
    )
