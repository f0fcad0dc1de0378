"""Messenger as a row of READERS; what Instagram's row shares with it."""

from collections import Counter
from collections.abc import Iterator

from pipeline.archives.members import Members
from pipeline.archives.messenger.conversation import App, Conversation
from pipeline.archives.messenger.owner import owner_of
from pipeline.archives.messenger.threads import INSTAGRAM, MESSENGER, any_of, pages_of, threads_of
from pipeline.archives.reader import Asked, Recognised
from pipeline.archives.told import Told
from pipeline.errors import InputError
from pipeline.sessions.stream import Stream

SYSTEM = "Messenger's own words"
_APP = App(MESSENGER, SYSTEM, has_edits=False)

ASK_FOR_JSON = {
    MESSENGER: "On Facebook, open Settings > Your information and permissions > Download your information, choose "
    "Messages and the format JSON, and give the zip that comes, or its folder.",
    INSTAGRAM: "In Instagram, open Accounts Center > Your information and permissions > Download your information, "
    "choose Messages and the format JSON, and give the zip that comes, or its folder.",
}
_NAMES = {MESSENGER: "Messenger", INSTAGRAM: "Instagram"}


def recognise(members: Members) -> Recognised | None:
    """See readers.Reading.

    Raises:
        InputError: it is a download in HTML, or without messages.
    """
    return recognise_app(members, MESSENGER)


def read(members: Members, told: Told, _asked: Asked) -> Iterator[Stream]:
    """See readers.Reading."""
    return read_app(members, told, _APP)


def recognise_app(members: Members, app: str) -> Recognised | None:
    """As `recognise`, for either app."""
    name = _NAMES[app]
    found = any_of(members, app)
    if found is not None:
        where = "" if members.only is found.member else f" of {found.member.name}"
        if found.is_encrypted:
            because = f"the keys threadName and senderName{where}"
            return Recognised(f"a download of {name}'s end-to-end encrypted chats", because)
        article = "an" if app == INSTAGRAM else "a"
        return Recognised(f"{article} {name} export", f"the keys participants and sender_name{where}")
    if page := next(pages_of(members, app), None):
        if b"<html" in page.head().lower():
            raise InputError(str(page), f"{name}'s export as web pages, which are not read", fix=ASK_FOR_JSON[app])
    elif _is_without_messages(members, app):
        raise InputError(str(members.path), f"{_SITES[app]}'s export, without messages", fix=ASK_FOR_JSON[app])
    return None


def read_app(members: Members, told: Told, app: App) -> Iterator[Stream]:
    """As `read`, for either app.

    Raises:
        InputError: a file is damaged, or there is no conversation.
    """
    told.owner = owner_of(members)
    threads = threads_of(members, app.source)
    ids: Counter[str] = Counter()
    for thread in threads:
        stream = Conversation(thread, told, app).stream()
        if stream is None:
            continue
        ids[stream.session.id] += 1
        if (number := ids[stream.session.id]) > 1:
            stream.session.id += f"-{number}"
        yield stream
    if not threads:
        raise InputError(str(members.path), f"no conversation of {_NAMES[app.source]}", fix=ASK_FOR_JSON[app.source])


_SITES = {MESSENGER: "Facebook", INSTAGRAM: "Instagram"}


def _is_without_messages(members: Members, app: str) -> bool:
    folder = {MESSENGER: "your_facebook_activity", INSTAGRAM: "your_instagram_activity"}[app]
    return any(folder in each.parts[:-1] and each.suffix in {".json", ".html"} for each in members)
