"""What kind of archive lies at a path, told by what is in it: names and suffixes are not believed."""

from pathlib import Path
from typing import NamedTuple

from pipeline.archives.members import Members
from pipeline.archives.readers import READERS
from pipeline.errors import InputError


class Archive(NamedTuple):
    """An archive that can be read.

    Attributes:
        source: as `load.source` takes it.
        what: for a person, such as "a chat exported by WhatsApp".
        because: what it was recognised by, to be read after "by".
        path: where it lies; inside what was given if that was a folder with one archive among other things.
    """

    source: str
    what: str
    because: str
    path: Path


def recognise(path: Path) -> Archive:
    """Recognise the file or folder at `path` by its content.

    Raises:
        InputError: nothing is there, or nothing that can be read; says what could be done about it.
        OSError, sqlite3.Error: it may not be read.
    """
    if not path.exists():
        raise InputError(str(path), "no such file or folder", fix="Check how it is spelt; the Tab key completes it.")
    if not path.is_dir() and not path.is_file():  # a pipe would be waited for, a device read without end
        raise InputError(str(path), "neither a file nor a folder", fix=known())
    with Members(path) as members:
        found = [
            (reader, Archive(reader.source, what.what, what.because, what.path or path))
            for reader in READERS
            if (what := reader.code.recognise(members))
        ]
    if len(found) > 1:
        listed = ", ".join(f"{archive.what} ({archive.path})" for _, archive in found)
        raise InputError(
            str(path),
            f"holds archives of several apps: {listed}",
            fix="Give the path of one, or list several in `download.source`.",
        )
    if not found:
        raise InputError(str(path), "not an archive that can be read", fix=known())
    return found[0][1]


def known() -> str:
    """What can be read, in a sentence."""
    return f"Known are: {'; '.join(f'{reader.app}: {reader.reads}' for reader in READERS)}."
