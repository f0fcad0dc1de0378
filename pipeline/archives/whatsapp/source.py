"""WhatsApp as a row of READERS: what it exports as text, in zips and folders, and WhatsApp-Chat-Exporter's JSON."""

import itertools
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing

from pipeline.archives.members import Member, Members
from pipeline.archives.reader import Asked, Recognised
from pipeline.archives.told import Told
from pipeline.archives.whatsapp.chats import File, blocks, conversations, file_of, name_of
from pipeline.archives.whatsapp.dates import Order
from pipeline.archives.whatsapp.exporter import is_exported, read_exported
from pipeline.archives.whatsapp.headers import Shape
from pipeline.archives.whatsapp.pasted import without_pasted
from pipeline.archives.whatsapp.survey import Layout, looks_like_chat, survey
from pipeline.archives.whatsapp.text import first_lines
from pipeline.errors import InputError
from pipeline.sessions.session import Session
from pipeline.sessions.stream import Stream

_EXPORT = "In WhatsApp, open the chat, choose Export chat > Without media, and give the .zip or .txt."
_CONVERT = (
    "In WhatsApp, open the chat, choose Export chat > Without media, and give the .zip; or give the result.json that "
    "WhatsApp-Chat-Exporter makes of the database."
)
_OTHER_TEXTS = (".md", ".json", ".csv", ".html", ".htm", ".xml", ".yaml", ".yml", ".jsonl")
_DATABASES = re.compile(r"(?:msgstore|wa|chatstorage)[^/]*\.(?:db|sqlite)(?:\.crypt\d*)?", re.IGNORECASE)
_ENCRYPTED = re.compile(r".*\.(?:db|sqlite)\.crypt\d*", re.IGNORECASE)
_SQLITE = b"SQLite format 3\0"
_TABLES = frozenset((b"ZWAMESSAGE", b"message_thumbnail", b"jid_map", b"wa_contacts", b"message_media"))
_LOOKED_AT = 100  # JSON files by which a folder is recognised
_TEXT, _ZIP = ".txt", ".zip"


def recognise(members: Members) -> Recognised | None:
    """See readers.Reading.

    Raises:
        InputError: it is WhatsApp's own database.
    """
    texts = [each for each in members if _may_be_chat(each, members) and looks_like_chat(first_lines(each))]
    documents = itertools.islice((each for each in members if each.suffix == ".json"), _LOOKED_AT)
    if any(map(is_exported, documents)):
        because = "its chats, which have messages and avatars"
        return Recognised("WhatsApp's chats by WhatsApp-Chat-Exporter", because)
    if len(texts) == 1:
        is_all = texts[0].name == members.name
        where = "its lines" if is_all else f"the lines of {texts[0].name} in it"
        return Recognised("a chat exported by WhatsApp", f"{where}, which begin with date, time and name")
    if texts:
        return Recognised("chats exported by WhatsApp", f"what is in it: {len(texts)} of them")
    if any(_is_database(each, members) for each in members):
        raise InputError(str(members.path), "WhatsApp's own database, which is not read", fix=_CONVERT)
    return None


def read(members: Members, told: Told, _asked: Asked) -> Iterator[Stream]:
    """See readers.Reading. Chats without speech are left out."""
    exported = [each for each in members if is_exported(each)]
    files = list(_files(members))
    if not files and not exported:
        raise InputError(str(members.path), "no chat exported by WhatsApp", fix=_EXPORT)
    for number, chat in enumerate(conversations(files), start=1):
        speakers = {name for file in chat for name in file.layout.roster.speakers}
        is_group = len(speakers) > 2 or any(file.layout.founded for file in chat)
        session = Session(
            f"whatsapp-{number}", "group" if is_group else "direct", name_of(chat) if is_group else None, []
        )
        yield Stream(session, blocks(chat, told))
    for each in exported:
        yield from read_exported(each, told)


def _files(members: Members) -> Iterator[File]:
    """The chats, without text files that were sent in them."""
    texts = [
        each
        for each in members
        if _may_be_chat(each, members) and (each is members.only or looks_like_chat(first_lines(each)))
    ]
    surveyed = [(each, layout) for each in texts if (layout := survey(each, is_one_of_many=len(texts) > 1)) is not None]
    orders = _known_orders(layout for _, layout in surveyed)
    found = []
    for each, layout in surveyed:
        order = orders.get(layout.form.shape)
        sure = layout if order is None or layout.order.is_certain else layout._replace(order=order)
        found.append(file_of(each, without_pasted(each, sure)))
    sent: dict[tuple[object, ...], set[str]] = defaultdict(set)
    for file in found:
        sent[_place(file.member)].update(file.layout.attached)
    media = {_place(each) for each in members if each.suffix not in (_TEXT, _ZIP)}
    for file in found:
        place, name = _place(file.member), file.member.parts[-1]
        if not (name in sent[place] and (_is_zipped(file.member) or place in media)):
            yield file


def _known_orders(layouts: Iterable[Layout]) -> dict[Shape, Order]:
    """In which order dates are written in headers of a shape, as far as some file tells and none contradicts."""
    known: dict[Shape, set[Order]] = defaultdict(set)
    for layout in layouts:
        if layout.order.is_certain:
            known[layout.form.shape].add(layout.order)
    return {shape: orders.pop() for shape, orders in known.items() if len(orders) == 1}


def _place(member: Member) -> tuple[object, ...]:
    """The folder or zip that a file lies in."""
    return (member.path if _is_zipped(member) else None, *member.parts[:-1])


def _is_zipped(member: Member) -> bool:
    return member.file_name != member.parts[-1]


def _may_be_chat(member: Member, members: Members) -> bool:
    return member.suffix == _TEXT or (member is members.only and member.suffix not in _OTHER_TEXTS)


def _is_database(member: Member, members: Members) -> bool:
    """Whether it is a database of WhatsApp's, readable or encrypted."""
    name = member.parts[-1]
    if member is not members.only and not _DATABASES.fullmatch(name):
        return False
    head = member.head()
    if head.startswith(_SQLITE):
        return any(table in head for table in _TABLES) or bool(_TABLES & _tables(member))
    return _ENCRYPTED.fullmatch(name) is not None and b"\0" in head


def _tables(member: Member) -> set[bytes]:
    """The tables of a database that lies on the disk; none of one in a zip, or that is damaged."""
    if _is_zipped(member):
        return set()
    try:
        with closing(sqlite3.connect(f"{member.path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return {name.encode() for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:
        return set()
