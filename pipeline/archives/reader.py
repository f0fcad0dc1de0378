"""What readers are asked for, and what they say of an archive: pure data."""

from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.archives.pseudonyms import Names

Half = Literal[1, 2]


class Asked(NamedTuple):
    """How to read, as far as a reader must know.

    Attributes:
        attachments: whether "[image]" and the like stand where one stood. iMessage only.
        contacts: an AddressBook folder, None to read none. iMessage only.
        names: what training data call people.
        half: only the conversations that hold that half of the messages. iMessage only.
    """

    attachments: Literal["drop", "tokens"] = "drop"
    contacts: Path | None = None
    names: Names = "pseudonyms"
    half: Half | None = None


class Recognised(NamedTuple):
    """An archive of an app.

    Attributes:
        what: for a person, such as "a chat exported by WhatsApp".
        because: what it was recognised by, to be read after "by".
        path: where it lies, if that is within what was given: a chat.db in a folder of other things.
    """

    what: str
    because: str
    path: Path | None = None
