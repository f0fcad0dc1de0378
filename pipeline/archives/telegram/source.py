"""Telegram as a row of READERS: result.json of one chat or of an account, several of them, in folders and zips."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from typing import Literal

from pipeline.archives.conversation import Row, Run, held, in_order, merged, spoken
from pipeline.archives.heads import text_at_head
from pipeline.archives.json_file import values
from pipeline.archives.members import Member, Members
from pipeline.archives.reader import Asked, Recognised
from pipeline.archives.telegram.overview import MESSAGES, PERSONAL, SELF, Chat, Chats, Overview, overlook
from pipeline.archives.telegram.rows import SYSTEM, Owner, Raw, Rows
from pipeline.archives.told import Told
from pipeline.errors import InputError
from pipeline.sessions.session import Session
from pipeline.sessions.stream import Stream

BOT_CHAT = "in a chat with a bot"
NOTE_TO_SELF = "note to self"
CHANNEL = "post of a channel"
LEFT = "in chats that were left"

EXPORT = (
    "In Telegram Desktop, open the chat, choose Export chat history and the format JSON, and give the folder or its "
    "result.json."
)

_GROUPS = ("private_group", "private_supergroup", "public_supergroup")
_NOT_LEARNT = {
    "bot_chat": BOT_CHAT,
    SELF: NOTE_TO_SELF,
    "private_channel": CHANNEL,
    "public_channel": CHANNEL,
    "replies": SYSTEM,
    "verification_codes": SYSTEM,
    "verify_codes": SYSTEM,
}
_TELEGRAM_ITSELF = (333_000, 777_000, 489_000, 1_271_266_957)  # login codes, news, and answers to comments
_TYPES = "|".join((PERSONAL, *_GROUPS, *_NOT_LEARNT))
_CHAT = re.compile(rf'"type"\s*:\s*"(?:{_TYPES})"')
_FIRST_ROW = re.compile(r'"messages"\s*:\s*\[\s*\{')
_ROW = (
    r'"date"\s*:\s*"\d{4}-\d\d-\d\dT\d',
    r'"(?:from|actor)(?:_id)?"\s*:',
    r'"(?:date_unixtime|text)"\s*:|"type"\s*:\s*"(?:message|service)"',
)
_ACCOUNT = re.compile(
    r'\{\s*(?:"about"\s*:\s*"(?:[^"\\]|\\.)*"\s*,\s*)?(?:"personal_information"\s*:\s*\{\s*"user_id"'
    r'|"(?:profile_pictures|stories|contacts|frequent_contacts|sessions|web_sessions|other_data)"\s*:'
    r'|"(?:left_)?chats"\s*:\s*\{\s*(?:"about"\s*:\s*"(?:[^"\\]|\\.)*"\s*,\s*)?"list"\s*:\s*\[)'
)
_MEDIA_FOLDERS = ("files", "chats", "photos", "video_files")
_MOST_PAGES = 20


def recognise(members: Members) -> Recognised | None:
    """See readers.Reading.

    Raises:
        InputError: it is Telegram's export as web pages.
    """
    found = _exports(members)
    if not found:
        _refuse_web_pages(members)
        return None
    if len(found) > 1:
        return Recognised("chats exported by Telegram", f"what is in it: {len(found)} of them")
    path = found[0].path if found[0].path != members.path else None
    if _form(found[0]) == "account":
        return Recognised("Telegram's export of a whole account", "its list of chats", path)
    return Recognised("a chat exported by Telegram", "its messages, which have from and date", path)


def read(members: Members, told: Told, _asked: Asked) -> Iterator[Stream]:
    """See readers.Reading. Chats with bots, channels and what Telegram itself sends are left out, and counted."""
    files = _exports(members)
    if not files:
        raise InputError(str(members.path), "no chat exported by Telegram", fix=EXPORT)
    overviews = [overlook(file, all_chats=len(files) > 1) for file in files]
    if not any(each.chats for each in overviews):
        raise InputError(str(files[0]), "Telegram's export without any chat in it", fix=EXPORT)
    reading = _Reading(told, overviews)
    for rank, (file, overview) in enumerate(zip(files, overviews, strict=True)):
        yield from reading.file(file, overview, rank)
    yield from reading.of_several_files()


class _Reading:
    """An archive while it is read, file by file."""

    def __init__(self, told: Told, overviews: list[Overview]) -> None:
        self._told = told
        owners = {each.owner.identity: each.owner for each in overviews if each.owner}
        self._owner = next(iter(owners.values())) if len(owners) == 1 else None
        counts = Counter(chat.key for each in overviews if each.is_whole for chat in each.chats.values())
        self._shared = {key for key, count in counts.items() if count > 1 and key is not None}
        self._held: dict[str, tuple[Session, list[Run]]] = {}
        self._ids: Counter[str] = Counter()

    def file(self, file: Member, overview: Overview, rank: int) -> Iterator[Stream]:
        """The conversations of a file, without those that other files have, too."""
        owner = overview.owner or self._owner
        rows = Rows(self._told, owner)
        for chat, blocks in _chats(file, overview):
            reason = _why_not(chat, owner)
            if reason is not None:
                self._drop(reason, rows.of(blocks))
                continue
            ordered = in_order(self._counted(rows.of(blocks), chat))
            key = chat.key
            if key in self._shared:
                run = held(ordered, rank)
                session, runs = self._held.get(key) or (self._session(chat, next(run.read(), []), owner), [])
                self._held[key] = (session, [*runs, run])
            else:
                first = next(ordered, [])
                yield Stream(self._session(chat, first, owner), spoken(itertools.chain([first], ordered), self._told))

    def of_several_files(self) -> Iterator[Stream]:
        """The conversations that more than one file has."""
        for session, runs in self._held.values():
            yield Stream(session, spoken(merged(runs), self._told))

    def _session(self, chat: Chat, first: list[Row], owner: Owner | None) -> Session:
        kind = _kind_of(chat, first)
        identity = name = f"telegram-{chat.key or len(self._ids) + 1}"
        while identity in self._ids:  # seldom more than once: an id is text, and may look like another with a number
            self._ids[name] += 1
            identity = f"{name}-{self._ids[name]}"
        self._ids[identity] = 1
        title = " ".join(chat.name.split()) if chat.name and kind == "group" else None
        session = Session(identity, kind, title, [])
        if owner is not None and owner.name:
            session.owner = owner.name
        return session

    def _drop(self, reason: str, blocks: Iterator[list[Row]]) -> None:
        for block in blocks:
            self._told.rows = (self._told.rows or 0) + len(block)
            for row in block:
                said = row.message
                self._told.drop(reason, said.sender, said.time, said.content, is_me=said.is_me)

    def _counted(self, blocks: Iterator[list[Row]], chat: Chat) -> Iterator[list[Row]]:
        for block in blocks:
            if chat.place[:1] == ("left_chats",):
                self._told.noted[LEFT] += sum(row.dropped is None for row in block)
            yield block


def _chats(file: Member, overview: Overview) -> Iterator[tuple[Chat, Iterator[list[Raw | None]]]]:
    """The chats of a file, each with its messages in batches, to be read before the next chat."""

    def batches() -> Iterator[tuple[Chat, list[Raw | None]]]:
        chats = Chats()
        for path, value in values(file, {MESSAGES: Raw}):
            chats.note(path, value)
            chat = chats.of(path, value)
            if chat is not None and isinstance(value, list):
                yield overview.chats[chat.place] if overview.is_whole else chat, value

    for _, batch in itertools.groupby(batches(), key=lambda found: found[0].place):
        first = next(batch)
        yield first[0], (rows for _, rows in itertools.chain([first], batch))


def _why_not(chat: Chat, owner: Owner | None) -> str | None:
    """Why nothing is to be learnt from a chat, whatever is in it."""
    if chat.type == PERSONAL:
        if chat.id in _TELEGRAM_ITSELF:
            return SYSTEM
        return NOTE_TO_SELF if owner is not None and chat.key == owner.identity else None
    return _NOT_LEARNT.get(chat.type or "")


def _kind_of(chat: Chat, first: list[Row]) -> Literal["direct", "group"]:
    if chat.type == PERSONAL:
        return "direct"
    if chat.type in _GROUPS:
        return "group"
    return "group" if len({row.message.sender for row in first if row.dropped is None}) > 2 else "direct"


def _exports(members: Members) -> list[Member]:
    """The files that Telegram exported, without those that people sent each other."""
    found = [each for each in members if (each.suffix == ".json" or each is members.only) and _form(each)]
    folders = {each.parts[:-1] for each in found}
    return [each for each in found if not _was_sent(each.parts, folders)]


def _was_sent(parts: tuple[str, ...], folders: set[tuple[str, ...]]) -> bool:
    return any(parts[:depth] in folders and parts[depth] in _MEDIA_FOLDERS for depth in range(len(parts) - 1))


def _form(file: Member) -> Literal["chat", "account"] | None:
    """Of what a file is an export, if it is one of Telegram's."""
    text = text_at_head(file).lstrip()
    if not text.startswith("{"):
        return None
    if _ACCOUNT.match(text):
        return "account"
    messages = _FIRST_ROW.search(text)
    if _CHAT.search(text, 0, messages.start() if messages else len(text)) and f'"{MESSAGES}"' in text:
        return "chat"
    row = text[messages.end() : messages.end() + 4_000] if messages else ""
    return "chat" if all(re.search(each, row) for each in _ROW) else None


def _refuse_web_pages(members: Members) -> None:
    pages = [each for each in members if each.suffix in (".html", ".htm") or each is members.only]
    for page in pages[:_MOST_PAGES]:
        text = text_at_head(page).lower()
        if "<html" in text and ("exported data" in text or 'class="page_wrap' in text):
            raise InputError(
                str(page),
                "Telegram's export as web pages",
                fix="In Telegram Desktop, export the chat again as `Machine-readable JSON`, and give the result.json.",
            )
