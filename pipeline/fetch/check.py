"""Whether what arrived is what was asked for."""

import sqlite3
from pathlib import Path

from pipeline.archives.sqlite import HEADER, first_row, opened
from pipeline.errors import InputError
from pipeline.fetch.web_page import WebPage, looks_like_html

_HEAD = 64 * 1024
_GET_IT_AGAIN = "Get the file again from where it comes from, and check `download.source`."


def check_sqlite(path: Path) -> None:
    """Check that `path` is a whole iMessage database with messages in it.

    Raises:
        InputError: it is empty, a web page, something else, damaged, or without messages.
    """
    _refuse_empty_file_and_page(path, "an iMessage database")
    if not _begins_like_a_database(path):
        raise InputError(
            "download.source",
            "not a SQLite database",
            fix="Point it at a chat.db, or say with `load.source` and `load.loader` what the archive is.",
        )
    try:
        with opened(path, ("message",), where="download.source") as db:
            (found,) = first_row(db, "PRAGMA quick_check(1)")
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            if not db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'message'").fetchone():
                raise InputError(
                    "download.source",
                    "a SQLite database, but not of iMessage: it has no table message",
                    fix="Point it at a chat.db.",
                )
            if not db.execute("SELECT 1 FROM message LIMIT 1").fetchone():
                raise InputError(
                    "download.source",
                    "an empty database: it holds no messages",
                    fix="On the Mac, sign in to Messages, let it load its history from iCloud, and fetch it again.",
                )
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # SQLite quotes damaged names as they are
        raise InputError("download.source", "the database is damaged", fix=_GET_IT_AGAIN) from None


def check_any(path: Path) -> None:
    """Check that `path`, a file or a folder of any kind, holds something, and is no web page unless named as one.

    Raises:
        InputError: it is empty, or a web page.
    """
    if not path.is_dir():
        _refuse_empty_file_and_page(path, "a chat archive")
    elif not any(each.is_file() for each in path.rglob("*")):
        raise InputError("download.source", "an empty folder", fix="Point it at the folder of an exported archive.")


def check_by_content(path: Path) -> None:
    """Check what is at `path` as what it seems to be: a database as `check_sqlite` does, all else as `check_any`.

    Raises:
        InputError: see there.
    """
    if path.is_file() and _begins_like_a_database(path):
        check_sqlite(path)
    else:
        check_any(path)


def _begins_like_a_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(HEADER)) == HEADER


def _refuse_empty_file_and_page(path: Path, wanted: str) -> None:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise InputError("download.source", f"an empty file, not {wanted}", fix=_GET_IT_AGAIN)
    if looks_like_html(head) and path.suffix not in (".html", ".htm"):
        title = WebPage(head.decode("utf-8", "replace")).title
        raise InputError(
            "download.source",
            f"what arrived is a web page{f', titled “{title}”' if title else ''}, not {wanted}",
            fix="Open the link in a browser, download the file there and give its path.",
        )
