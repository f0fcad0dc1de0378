"""The archives that can be read: one row here and one module each. Everything else asks this table.

`load.source`, what `init` offers and recognises, the config's schema and the page docs/archives.md follow from it.
"""

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from pipeline.archives.members import Members
    from pipeline.archives.reader import Asked, Recognised
    from pipeline.archives.told import Told
    from pipeline.sessions.stream import Stream


class Reading(Protocol):
    """What the module of a reader has."""

    def recognise(self, members: "Members") -> "Recognised | None":
        """What is there, if it is of this app; decided by content, in the time that a look at the heads takes.

        Raises:
            InputError: it is of this app, in a form that cannot be read; says how to export it right.
        """

    def read(self, members: "Members", told: "Told", asked: "Asked") -> "Iterator[Stream]":
        """The conversations, one after the other; `blocks` of one end before the next is asked for.

        Raises:
            InputError: it cannot be read; names the file in it.
        """


class Reader(NamedTuple):
    """A row.

    Attributes:
        source: as `load.source` takes it.
        app: as people call it; becomes `Session.platform`.
        reads: what to give, to be read after the app's name.
        export: a sentence that says how to get that out of the app.
        module: where `recognise` and `read` are; imported when they are needed.
    """

    source: str
    app: str
    reads: str
    export: str
    module: str

    @property
    def code(self) -> Reading:
        """The module."""
        return cast(Reading, importlib.import_module(self.module))


READERS = (
    Reader(
        "imessage",
        "iMessage",
        "chat.db of a Mac (~/Library/Messages/chat.db), or sms.db of a phone's backup",
        "On the Mac, give ~/Library/Messages/chat.db itself.",
        "pipeline.archives.imessage.source",
    ),
    Reader(
        "whatsapp",
        "WhatsApp",
        "the .zip or .txt that Export chat makes, or a folder of several",
        "In WhatsApp, open the chat, choose Export chat > Without media, and give the .zip or .txt.",
        "pipeline.archives.whatsapp.source",
    ),
)
"""In the order in which an archive is tried."""

LANGCHAIN = "langchain"
"""The source that is read by one of LangChain's loaders, named by `load.loader`; never recognised by itself."""

AUTO = "auto"
"""The source that is found out by looking at the archive."""

READ_BY_HALVES = ("imessage",)
"""The sources whose readers know `Asked.half`: reading such an archive is bound by the processor."""

SOURCES = (AUTO, *(reader.source for reader in READERS), LANGCHAIN)
"""What `load.source` takes."""


def reader_of(source: str) -> Reader:
    """The row of a source."""
    return next(reader for reader in READERS if reader.source == source)
