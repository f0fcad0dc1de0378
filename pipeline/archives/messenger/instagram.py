"""Instagram as a row of READERS: its download is in Messenger's classic form."""

from collections.abc import Iterator

from pipeline.archives.members import Members
from pipeline.archives.messenger.conversation import App
from pipeline.archives.messenger.source import read_app, recognise_app
from pipeline.archives.messenger.threads import INSTAGRAM
from pipeline.archives.reader import Asked, Recognised
from pipeline.archives.told import Told
from pipeline.sessions.stream import Stream

SYSTEM = "Instagram's own words"
_APP = App(INSTAGRAM, SYSTEM, has_edits=True)


def recognise(members: Members) -> Recognised | None:
    """See readers.Reading.

    Raises:
        InputError: it is a download in HTML, or without messages.
    """
    return recognise_app(members, INSTAGRAM)


def read(members: Members, told: Told, _asked: Asked) -> Iterator[Stream]:
    """See readers.Reading."""
    return read_app(members, told, _APP)
