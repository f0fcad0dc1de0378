"""An archive as a run reads it, whole."""

from pathlib import Path
from typing import NamedTuple

from pipeline.archives.filters import Filters
from pipeline.archives.reading import Loaded, Reading, read_archive
from pipeline.sessions.session import Message, Session
from pipeline.sessions.stream import whole


class Read(NamedTuple):
    sessions: list[Session]
    loaded: Loaded
    left_out: list[tuple[str, Message]]

    @property
    def said(self) -> list[tuple[str, str]]:
        """Who said what, over all sessions."""
        return [(message.sender, message.content) for session in self.sessions for message in session.messages]


def read(path: Path, source: str = "auto", filters: Filters | None = None) -> Read:
    """Read an archive with its default settings."""
    loaded = Loaded()
    left_out: list[tuple[str, Message]] = []

    def listen(reason: str, message: Message) -> None:
        left_out.append((reason, message))

    reading = Reading(str(path), source, filters=filters or Filters())
    sessions = [whole(stream) for stream in read_archive(reading, loaded, listener=listen)]
    return Read([session for session in sessions if session.messages], loaded, left_out)
