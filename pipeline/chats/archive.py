"""Any archive to sessions, as the config's `load` section says: which reader, whose names, what to leave out."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pipeline.chats.filters import Filters, keep
from pipeline.chats.pseudonyms import introduced
from pipeline.chats.session import Session
from pipeline.config import Load

_CONTACTS = Path("~/Library/Application Support/AddressBook")


def read_archive(
    settings: Load, path: Path, dropped: Counter[str], *, noted: Counter[str] | None = None, strict: bool = True
) -> Iterator[Session]:
    """Yield the sessions that `settings` ask for, one in memory at a time.

    Args:
        path: the archive, as the download step left it.
        dropped: counts by reason what is in no session: rows that are no speech, and what the filters leave out. For
            an iMessage database these and the messages of all sessions add up to its rows.
        noted: counts what was kept and may be worth a word.
        strict: whether a filter that names nobody in the archive is a mistake.

    Raises:
        InputError: the archive or the contacts cannot be read, or a filter names nobody.
    """
    if settings.loader is not None:
        from pipeline.chats.langchain import APPS, read_langchain

        app = APPS.get(settings.loader, settings.loader)
        sessions = introduced(read_langchain(settings.loader, path, dropped), settings.names, app)
    elif settings.source == "whatsapp":
        from pipeline.chats.whatsapp import read_whatsapp

        sessions = introduced(read_whatsapp(path, dropped), settings.names, "WhatsApp")
    else:
        from pipeline.chats.imessage import read_imessage

        sessions = read_imessage(
            path,
            dropped,
            attachments=settings.attachments,
            contacts=contacts_path(settings),
            names=settings.names,
            noted=noted,
        )
    filters = filters_of(settings)
    return sessions if filters == Filters() else keep(sessions, filters, dropped, strict=strict)


def filters_of(settings: Load) -> Filters:
    """The filters of a `load` section."""
    return Filters(
        tuple(settings.only_people),
        tuple(settings.exclude_people),
        tuple(settings.only_chats),
        tuple(sorted(set(settings.kinds))),
        settings.since,
        settings.until,
    )


def contacts_path(settings: Load) -> Path | None:
    """Where `load.contacts` says that contacts lie; None where they are not to be read."""
    if isinstance(settings.contacts, str):
        return Path(settings.contacts).expanduser()
    return _CONTACTS.expanduser() if settings.contacts else None
