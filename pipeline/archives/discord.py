"""Reads what DiscordChatExporter writes as JSON: a channel a file, or several files where it was parted.

The format is that of its JsonMessageWriter.cs: {"guild", "channel", "messages": [{"id", "type", "timestamp", "content",
"author", "mentions", "reference", "forwardedMessage", ...}]}. Its CSV, HTML and text files lack ids or types, and
Discord's own data package holds nobody's words but one's own: these are recognised, and answered with what to do.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import msgspec

from pipeline.archives.conversation import Row, Run, in_order, merged, spoken, utc_text
from pipeline.archives.discord_markup import Markup
from pipeline.archives.heads import text_at_head
from pipeline.archives.json_file import values
from pipeline.archives.members import Member, Members
from pipeline.archives.reader import Asked, Recognised
from pipeline.archives.told import BY_A_BOT, CALL, MEDIA, NO_TEXT, Told
from pipeline.archives.typed_json import NOTHING, is_there, value_of
from pipeline.errors import InputError
from pipeline.sessions.session import QUOTED, Message, Session
from pipeline.sessions.stream import Stream

SYSTEM = "Discord's own words"
UNREADABLE = "not a message"
UNKNOWN = "unknown"
FORWARDED = "forwarded, read as context"

EXPORT = (
    "Export the chat with DiscordChatExporter (github.com/Tyrrrz/DiscordChatExporter) in the format JSON, and give the "
    ".json, or the folder of several."
)

_SPEECH = ("Default", "Reply")
_CALLS = ("Call",)
_DIRECT = ("directtextchat", "1")
_ANSWERS = ("Default", None)  # a reference's type; it is not there before 2.44
_ATTACHED = ("attachments", "embeds", "stickers")
_MESSAGES = "messages"
_REMEMBERED = 10_000  # ways in which people are described
_FILES = "_Files"  # the folder of what people sent is called after the file
_KEYS = (re.compile(r'"guild"\s*:\s*\{'), re.compile(r'"channel"\s*:\s*\{'), re.compile(r'"messages"\s*:\s*\['))
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d)(:[0-5]\d:[0-5]\d)((?:\.\d{1,9})?)([+-]\d\d:00)", re.ASCII)
_CSV = re.compile(r'(?:"?AuthorID"?,)?"?Author"?[,;]"?Date"?[,;]"?Content"?[,;]')
_TEXT = re.compile(r"={20,}\r?\nGuild: .*\r?\nChannel: ")
_OWN_FOLDER = re.compile(r"c?\d+")
_OWN_ROW = re.compile(r'"?ID"?,"?Timestamp"?,"?Contents"?|\[\s*\{[^{}]*"Timestamp"\s*:[^{}]*"Contents"\s*:')


class _Raw(msgspec.Struct, gc=False):
    """What a row may have."""

    id: Any = None
    type: Any = None
    timestamp: Any = None
    content: Any = None
    author: msgspec.Raw = NOTHING
    mentions: msgspec.Raw = NOTHING
    reference: msgspec.Raw = NOTHING
    forwarded: msgspec.Raw = msgspec.field(default=NOTHING, name="forwardedMessage")
    attachments: msgspec.Raw = NOTHING
    embeds: msgspec.Raw = NOTHING
    stickers: msgspec.Raw = NOTHING


class _Author(NamedTuple):
    """Who wrote a row."""

    sender: str
    is_bot: bool
    roles: object


class _Channel(NamedTuple):
    """What is said at the beginning of a file.

    Attributes:
        first: when its first messages were sent, in a form that sorts.
        exported: when the file was made.
    """

    file: Member
    id: str
    kind: Literal["direct", "group"]
    name: str
    first: str
    exported: str


def recognise(members: Members) -> Recognised | None:
    """See readers.Reading.

    Raises:
        InputError: it is an export by DiscordChatExporter that is no JSON, or Discord's own data package.
    """
    found = _exports(members)
    if not found:
        _refuse_other_forms(members)
        return None
    if len(found) > 1:
        return Recognised("Discord exports by DiscordChatExporter", f"what is in it: {len(found)} files")
    path = found[0].path if found[0].path != members.path else None
    return Recognised("a Discord export by DiscordChatExporter", "its guild, channel and messages", path)


def read(members: Members, told: Told, _asked: Asked) -> Iterator[Stream]:
    """See readers.Reading. A channel is one conversation, in however many files; so is a thread. Bots are left out."""
    files = _exports(members)
    if not files:
        raise InputError(str(members.path), "no chat exported by DiscordChatExporter", fix=EXPORT)
    channels: dict[str, list[_Channel]] = {}
    for number, file in enumerate(files, start=1):
        channel = _look_at(file, number)
        channels.setdefault(channel.id, []).append(channel)
    rows = _Rows(told, {parts[0].id: parts[0].name for parts in channels.values()})
    for identity, parts in channels.items():
        newest = sorted(range(len(parts)), key=lambda at: parts[at].exported)
        rank = {at: place for place, at in enumerate(newest)}
        runs = [rows.run(part, rank[at]) for at, part in enumerate(parts)]
        title = parts[0].name if parts[0].kind == "group" else None
        session = Session(f"discord-{identity}", parts[0].kind, title or None, [])
        blocks = in_order(runs[0].read()) if len(runs) == 1 else merged(runs)
        yield Stream(session, spoken(blocks, told))


def _look_at(file: Member, number: int) -> _Channel:
    """The channel of a file; read as far as its first messages, if the channel comes before them, as it does."""
    channel: dict[str, object] = {}
    exported = first = ""
    met = False
    for path, value in values(file, {_MESSAGES: _Raw}):
        if path[:-1] == ("channel",):
            channel[str(path[-1])] = value
        elif path == ("exportedAt",):
            exported = utc_text(value) or ""
        elif path == (_MESSAGES,) and isinstance(value, list):
            if not met:
                times = _Times()
                first = min((times.of(each.timestamp)[1] for each in value if each is not None), default="")
            met = True
        if met and "id" in channel and "type" in channel:
            break
    identity = channel.get("id")
    name = channel.get("name")
    return _Channel(
        file,
        str(identity) if isinstance(identity, int | str) and identity else f"file-{number}",
        "direct" if str(channel.get("type")).lower() in _DIRECT else "group",
        " ".join(name.split()) if isinstance(name, str) else "",
        first,
        exported,
    )


class _Rows:
    """Makes rows of what the exports have.

    Args:
        channels: names by id.
    """

    def __init__(self, told: Told, channels: dict[str, str]) -> None:
        self._told = told
        self._markup = Markup(channels)
        self._times = _Times()
        self._senders: dict[object, str] = {}
        self._authors: dict[bytes, _Author] = {}

    def run(self, channel: _Channel, rank: int) -> Run:
        """The rows of a file, to be read when it is their turn."""
        return Run(channel.first, rank, lambda: self._blocks(channel.file))

    def _blocks(self, file: Member) -> Iterator[list[Row]]:
        last = ""
        for path, value in values(file, {_MESSAGES: _Raw}):
            if path != (_MESSAGES,) or not isinstance(value, list):
                continue
            rows = []
            for each in value:
                if each is not None:
                    row = self._row(each, last)
                else:
                    row = Row(last, None, Message("", False, None, ""), UNREADABLE)
                last = row.at
                rows.append(row)
            yield rows

    def _row(self, row: _Raw, last: str) -> Row:
        author = self._author(row.author)
        time, at = self._times.of(row.timestamp)
        text = row.content.strip() if isinstance(row.content, str) else ""
        message = Message(author.sender, False, time, text)
        number = _number(row.id)
        if author.is_bot:
            return Row(at or last, number, message, BY_A_BOT)
        if row.type not in _SPEECH:
            return Row(at or last, number, message, CALL if row.type in _CALLS else SYSTEM)
        noted = None
        if not text and (text := _forwarded(row)):
            message.only_context, noted = True, FORWARDED
        message.content = self._markup.plain(text, value_of(row.mentions), author.roles) if "<" in text else text
        if not message.content:
            reason, message.content = _instead(row)
            return Row(at or last, number, message, reason)
        return Row(at or last, number, message, None, _answered(row.reference), noted)

    def _author(self, raw: msgspec.Raw) -> _Author:
        """Whoever this describes; most rows describe them in the very same words."""
        words = bytes(raw)
        found = self._authors.get(words)
        if found is None:
            if len(self._authors) >= _REMEMBERED:
                self._authors.clear()
            written = value_of(raw)
            author = written if isinstance(written, dict) else {}
            found = _Author(self._sender(author), author.get("isBot") is True, author.get("roles"))
            self._authors[words] = found
        return found

    def _sender(self, author: dict[str, object]) -> str:
        """Who has this id, by the name that is shown in the channel; they are found by their account's name, too."""
        identity = author.get("id")
        try:
            return self._senders[identity]
        except KeyError:
            self._senders[identity] = sender = self._meet(author)
            return sender
        except TypeError:  # a list or the like
            return UNKNOWN

    def _meet(self, author: dict[str, object]) -> str:
        shown, name = _name(author.get("nickname")), _name(author.get("name"))
        key = str(author.get("id") or name or UNKNOWN)
        self._markup.meet(key, shown or name)
        return self._told.senders.of(key, shown or name, name)


class _Times:
    """Reads timestamps such as "2024-12-31T20:00:00.123+01:00", of which many are of one hour."""

    def __init__(self) -> None:
        self._hours: dict[tuple[str, str], str | None] = {}

    def of(self, written: object) -> tuple[str | None, str]:
        """A time in UTC, as `Message.time` has it, and in a form that sorts and has the fractions of the second."""
        if not isinstance(written, str):
            return None, ""
        found = _TIMESTAMP.fullmatch(written)
        if found is None:
            time = utc_text(written)
            return time, time or ""
        hour, second, fraction, offset = found.groups()
        try:
            known = self._hours[hour, offset]
        except KeyError:
            known = self._hours[hour, offset] = utc_text(f"{hour}:00:00{offset}")
        if known is None:
            return None, ""
        return f"{known[:13]}{second}Z", f"{known[:13]}{second}{fraction}"


def _name(name: object) -> str:
    return " ".join(name.split()) if isinstance(name, str) else ""


def _number(identity: object) -> str | None:
    if isinstance(identity, str):
        return identity or None
    return str(identity) if isinstance(identity, int) else None


def _answered(raw: msgspec.Raw) -> str | None:
    if raw is NOTHING:
        return None
    reference = value_of(raw)
    if not isinstance(reference, dict) or reference.get("type") not in _ANSWERS:
        return None
    return _number(reference.get("messageId"))


def _forwarded(row: _Raw) -> str:
    forwarded = value_of(row.forwarded)
    content = forwarded.get("content") if isinstance(forwarded, dict) else None
    return content.strip() if isinstance(content, str) else ""


def _instead(row: _Raw) -> tuple[str, str]:
    """Why a message without a text has none, and what it is, in short."""
    forwarded = value_of(row.forwarded)
    inner = forwarded if isinstance(forwarded, dict) else {}
    own = {each: value_of(raw) for each in _ATTACHED if is_there(raw := getattr(row, each))}
    for holder in (own, inner):
        for each in _ATTACHED:
            attached = holder.get(each)
            if attached and isinstance(attached, list):
                first = attached[0] if isinstance(attached[0], dict) else {}
                names = [first.get(key) for key in ("fileName", "name", "title", "url")]
                return MEDIA, next((name for name in names if isinstance(name, str) and name), each)[:QUOTED]
    return NO_TEXT, ""


def _exports(members: Members) -> list[Member]:
    """The files that DiscordChatExporter made, without those that people sent each other."""
    candidates = [each for each in members if each.suffix == ".json" or each is members.only]
    inside = [each for each in candidates if not any(part.endswith(_FILES) for part in each.parts[:-1])]
    return [each for each in inside if _is_export(text_at_head(each))]


def _is_export(text: str) -> bool:
    return text.lstrip()[:1] == "{" and all(key.search(text) for key in _KEYS)


def _refuse_other_forms(members: Members) -> None:
    for each in members:
        is_package = each.parts[-1] in ("messages.json", "messages.csv")
        if each.suffix not in (".csv", ".html", ".htm", ".txt") and not is_package and each is not members.only:
            continue
        text = text_at_head(each).lstrip()
        form = "CSV" if _CSV.match(text) else "text" if _TEXT.match(text) else "web pages" if _is_page(text) else None
        if form:
            raise InputError(str(each), f"DiscordChatExporter's export as {form}, which is not read", fix=EXPORT)
        in_package = len(each.parts) > 1 and _OWN_FOLDER.fullmatch(each.parts[-2])
        if ((is_package and in_package) or each is members.only) and _OWN_ROW.match(text):
            raise InputError(
                str(each),
                "Discord's own data package, which holds nothing but your own messages",
                fix=f"What others said is missing there. {EXPORT}",
            )


def _is_page(text: str) -> bool:
    return "<html" in text[:200].lower() and "chatlog__message" in text
