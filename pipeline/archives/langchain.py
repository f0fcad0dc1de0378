"""Archives of other apps, through LangChain's chat loaders. langchain_community is imported only when one is asked for.

The loaders do what they do: their known limits (WhatsApp's dates in one format only, Slack's join messages) are theirs.
What comes out is made to fit Session: senders of the owner's rows, list contents, UTC times.
"""

import difflib
import importlib
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.archives.files import files_in, messenger_files
from pipeline.archives.imessage import UNKNOWN_SENDER, utc_time
from pipeline.archives.zips import Packed, opened, require_sane
from pipeline.durable import DISK_ERRORS, nameless
from pipeline.errors import InputError
from pipeline.sessions.session import OWNER, Listener, Message, Session
from pipeline.terminal.libraries import quieten_logging

if TYPE_CHECKING:
    from langchain_core.chat_loaders import BaseChatLoader
    from langchain_core.chat_sessions import ChatSession
    from langchain_core.messages import BaseMessage


class _Loader(NamedTuple):
    """A class in langchain_community.chat_loaders that takes a path, and what it reads."""

    name: str
    reads: str


LOADERS = {
    "facebook_messenger": _Loader(
        "SingleFileFacebookMessengerChatLoader",
        "a message_1.json, or the export's folder that holds `inbox`",
    ),
    "imessage": _Loader("IMessageChatLoader", "a chat.db"),
    "slack": _Loader("SlackChatLoader", "the zip of a workspace export"),
    "telegram": _Loader("TelegramChatLoader", "the result.json of one exported chat, or a folder or zip of them"),
    "whatsapp": _Loader("WhatsAppChatLoader", "the .txt of an exported chat, taken out of its zip"),
}

APPS = {
    "facebook_messenger": "Messenger",
    "imessage": "iMessage",
    "slack": "Slack",
    "telegram": "Telegram",
    "whatsapp": "WhatsApp",
}
"""What the apps call themselves."""


def app_of(loader: str | None) -> str:
    """What the app calls itself whose archives a loader reads."""
    return APPS.get(loader or "", loader or "")


_BLANKS = re.compile(r"[\s\u200e]+")
_MOST_BLANKS = 1000
_NO_TEXT = "no text"
_TAKE_AGAIN = "Export it again."
_UNIX_SECONDS = re.compile(r"\d{9,10}\.\d+")  # Slack's `ts`


def read_langchain(
    loader: str, path: Path, dropped: Counter[str] | None = None, listener: Listener | None = None
) -> Iterator[Session]:
    """Yield the sessions that a LangChain chat loader finds at `path`, one at a time; empty ones are left out.

    Args:
        loader: a key of LOADERS.
        path: the file or folder that the loader reads.
        dropped: counts by reason the messages left out; `listener` is told of each.

    Raises:
        InputError: no such loader, or it cannot read what lies at `path`.
    """
    for number, chat_session in enumerate(_load(loader, path), start=1):
        messages = []
        for message in chat_session["messages"]:
            converted = _convert(message)
            if converted.content.strip():
                messages.append(converted)
                continue
            if dropped is not None:
                dropped[_NO_TEXT] += 1
            if listener is not None:
                listener(_NO_TEXT, converted)
        if messages:
            senders = {message.sender for message in messages}
            yield Session(f"{loader}-{number}", "group" if len(senders) > 2 else "direct", None, messages)


def _load(loader: str, path: Path) -> Iterator["ChatSession"]:
    """What the loader yields; whatever it raises becomes one message, which must not quote the chats."""
    try:
        if zipfile.is_zipfile(path):
            with opened(path, _TAKE_AGAIN) as archive:
                require_sane(path, [Packed(path, [each for each in archive.infolist() if _is_read(each.filename)])])
                if loader in _FROM_ZIPS:
                    yield from _FROM_ZIPS[loader](path, archive)
                    return
        if loader == "whatsapp" and path.is_file():
            _require_few_blanks(path)
        for each in _files(loader, path):
            yield from _create(loader, each).lazy_load()
    except InputError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        raise InputError(
            str(path),
            f"LangChain's `{loader}` loader cannot read it ({type(error).__name__})",
            fix=f"It reads {LOADERS[loader].reads}: give it that, or set `load.loader` to what the archive is.",
        ) from None


def _files(loader: str, path: Path) -> list[Path]:
    """What to give to the loader, one after the other: of a folder its files, for the loaders would follow links."""
    if loader == "facebook_messenger" and path.is_dir():
        return messenger_files(path) or [path]
    if loader == "telegram" and path.is_dir():
        return [each for each in files_in(path) if _is_read(each.name)]
    return [path]


def _is_read(name: str) -> bool:
    return name.endswith((".html", ".json"))


def _telegram(path: Path, archive: zipfile.ZipFile) -> Iterator["ChatSession"]:
    """The chats in a zip, each unpacked beside it into a file without a name.

    The loader itself unpacks into the system's temporary folder, where a killed process would leave them for ever.
    """
    loader = importlib.import_module("langchain_community.chat_loaders").TelegramChatLoader
    for name in archive.namelist():
        if _is_read(name):
            with nameless(path.parent) as (file, there):
                with archive.open(name) as packed:
                    shutil.copyfileobj(packed, file)
                file.seek(0)
                read = loader._load_single_chat_session_json
                if name.endswith(".html"):
                    read = loader._load_single_chat_session_html
                session: ChatSession = read(str(there))
            yield session


def _slack(_path: Path, archive: zipfile.ZipFile) -> Iterator["ChatSession"]:
    """The days in a zip, each message on its own.

    The loader itself joins what one person writes in a row, in quadratic time, and so loses times and counts.
    """
    loader = importlib.import_module("langchain_community.chat_loaders").SlackChatLoader
    for name in archive.namelist():
        if name.endswith(".json"):
            days = (loader._load_single_chat_session([each]) for each in loader._read_json(archive, name))
            yield {"messages": [message for day in days for message in day["messages"]]}


_FROM_ZIPS = {"telegram": _telegram, "slack": _slack}


def _require_few_blanks(path: Path) -> None:
    """Check that the pattern of LangChain's WhatsApp loader, quadratic in blanks, comes to an end.

    Raises:
        InputError: it would not in reasonable time.
    """
    text = path.read_text(encoding="utf-8")
    for found in _BLANKS.finditer(text):
        if len(found[0]) > _MOST_BLANKS:
            line = text.count("\n", 0, found.start()) + 1
            raise InputError(
                f"{path}:{line}",
                f"more than {_MOST_BLANKS:,} blanks or empty lines in a row, which LangChain's `whatsapp` loader takes "
                "very long for",
                fix="Remove them, or read the chat with `load: {source: whatsapp}`.",
            )


def _create(loader: str, path: Path) -> "BaseChatLoader":
    if loader not in LOADERS:
        near = difflib.get_close_matches(loader.lower(), LOADERS, n=1)
        raise InputError(
            "load.loader",
            f"expected one of {', '.join(LOADERS)}",
            got=repr(loader),
            fix=f"Did you mean `{near[0]}`?" if near else "Choose one of these.",
        )
    quieten_logging()
    create = getattr(importlib.import_module("langchain_community.chat_loaders"), LOADERS[loader].name)
    created: BaseChatLoader = create(str(path))
    return created


def _convert(message: "BaseMessage") -> Message:
    extra = message.additional_kwargs
    is_me = extra.get("is_from_me") is True  # the iMessage loader names the other person there
    sender = extra.get("sender") or getattr(message, "role", None) or UNKNOWN_SENDER
    return Message(OWNER if is_me else _clean(str(sender)), is_me, _time(extra), _clean(_text(message.content)))


def _text(content: str | list[str | dict[str, object]]) -> str:
    """A string as it is; the parts of a list joined, as merge_chat_runs_in_session joins them."""
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else str(part.get("text") or "") for part in content)


def _clean(text: str) -> str:
    """Half characters, which JSON can hold and UTF-8 cannot, become question marks."""
    return text.encode("utf-8", "replace").decode()


def _time(extra: dict[str, object]) -> str | None:
    """The message's time, where the loader says when in UTC: most exports have local times of an unnamed zone."""
    if isinstance(date := extra.get("message_time"), int):
        return utc_time(date)
    match extra.get("events"):
        case [{"message_time": str(stamp)}, *_]:
            return _parse(stamp)
    return None


def _parse(stamp: str) -> str | None:
    try:
        if _UNIX_SECONDS.fullmatch(stamp):
            time = datetime.fromtimestamp(float(stamp), UTC)
        else:
            time = datetime.fromisoformat(stamp)
        utc = time.astimezone(UTC).replace(tzinfo=None, microsecond=0)
        return f"{utc.isoformat()}Z" if time.tzinfo else None
    except (ValueError, OverflowError, OSError):
        return None
