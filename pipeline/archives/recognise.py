"""What kind of archive lies at a path, told by what is in it: names and suffixes are not believed."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.archives.json_file import values
from pipeline.archives.members import Member, Members
from pipeline.archives.readers import READERS
from pipeline.errors import InputError

CUT = "is a zip that is cut off: its end is missing, and nothing of it is read. Download or export it again."
"""What to say of one beside archives that can be read, after its name."""


class Archive(NamedTuple):
    """An archive that can be read.

    Attributes:
        source: as `load.source` takes it.
        what: for a person, such as "a chat exported by WhatsApp".
        because: what it was recognised by, to be read after "by".
        path: where it lies; inside what was given if that was a folder with one archive among other things.
        cut: zips beside it of which nothing can be read, as their end is missing.
    """

    source: str
    what: str
    because: str
    path: Path
    cut: Sequence[str] = ()


def recognise(path: Path, name: str = "") -> Archive:
    """Recognise the file or folder at `path` by its content.

    Args:
        name: what a file was called before it was copied there; "" where that is its own name.

    Raises:
        InputError: nothing is there, or nothing that can be read; says what could be done about it.
        OSError, sqlite3.Error: it may not be read.
    """
    if not path.exists():
        raise InputError(str(path), "no such file or folder", fix="Check how it is spelt; the Tab key completes it.")
    if not path.is_dir() and not path.is_file():  # a pipe would be waited for, a device read without end
        raise InputError(str(path), "neither a file nor a folder", fix=known())
    with Members(path, name) as members:
        cut = members.cut()
        if members.only is not None and cut:  # what is in it may look like text all the same
            raise _cut(members.only)
        found, complaints = _found(members)
        if not found:
            raise complaints[0] if complaints else _unknown(members)
    if len(found) > 1:
        listed = ", ".join(f"{archive.what} ({archive.path})" for archive in found)
        raise InputError(
            str(path),
            f"holds archives of several apps: {listed}",
            fix="Give the path of one, or list several in `download.source`.",
        )
    return found[0]._replace(cut=cut)


def _found(members: Members) -> tuple[list[Archive], list[InputError]]:
    """What readers recognise, and what they say of forms that they cannot read, which may lie beside others."""
    found, complaints = [], []
    for reader in READERS:
        try:
            what = reader.code.recognise(members)
        except InputError as error:
            complaints.append(error)
            continue
        if what is not None:
            found.append(Archive(reader.source, what.what, what.because, what.path or members.path))
    return found, complaints


def _unknown(members: Members) -> InputError:
    """What to say of an archive that is of no known app.

    Raises:
        InputError: it is JSON that is damaged, for which that may be the reason.
    """
    if cut := members.cut():
        return _cut(next(each for each in members if each.name == cut[0]))
    only = members.only
    if only is None:
        return InputError(str(members.path), "not an archive that can be read", fix=known())
    head = only.head().lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"SQLite format 3\0"):
        return InputError(str(members.path), "a database, but of no app that can be read", fix=known())
    if head.startswith((b"{", b"[")):
        for _ in values(only, ()):
            pass
    return InputError(str(members.path), "not an archive that can be read", fix=known())


def _cut(member: Member) -> InputError:
    what = "a zip that is cut off: its end is missing"
    return InputError(str(member), what, fix="Download or export it again, and give it as it is.")


def known() -> str:
    """What can be read, in a sentence."""
    *apps, last = (reader.app for reader in READERS)
    return f"Known are {', '.join(apps)} and {last}; docs/archives.md says what to give of each."
