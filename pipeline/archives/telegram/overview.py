"""What chats a result.json has, and whose account it is of.

Telegram writes a chat's name, type and id before its messages, and the account's owner before all chats: then a look at
the beginning is enough. Where something is missing there, as in an account's export without its personal information,
the file is read to its end, once more than otherwise.
"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.archives.json_file import Path, values
from pipeline.archives.members import Member
from pipeline.archives.telegram.rows import Owner, Raw, identity_of

PERSONAL, SELF = "personal_chat", "saved_messages"
MESSAGES = "messages"

_LISTS = ("chats", "left_chats")
_CLASSES = {
    PERSONAL: "user",
    "bot_chat": "user",
    SELF: "user",
    "private_group": "chat",
    "private_supergroup": "channel",
    "public_supergroup": "channel",
    "private_channel": "channel",
    "public_channel": "channel",
}


class Chat(NamedTuple):
    """A chat of an export.

    Attributes:
        place: where in the file: ("chats", "list", 3), or () in an export of one chat.
    """

    place: Path
    name: str | None = None
    type: str | None = None
    id: int | str | None = None

    @property
    def key(self) -> str | None:
        """The same in every export of this chat, such as "user12"; None where there is no id."""
        return None if self.id is None else f"{_CLASSES.get(self.type or '', 'chat')}{self.id}"


class Overview(NamedTuple):
    """A file.

    Attributes:
        is_whole: whether `chats` has them all.
    """

    owner: Owner | None
    chats: dict[Path, Chat]
    is_whole: bool


def overlook(file: Member, *, all_chats: bool) -> Overview:
    """Read as much of a file as is needed to know whose it is, and of what chats.

    Raises:
        InputError: it is damaged.
    """
    personal: dict[str, object] = {}
    saved: Owner | None = None
    others: Counter[str] = Counter()
    names: dict[str, str] = {}
    chats = Chats()
    for path, value in values(file, {MESSAGES: Raw}):
        chats.note(path, value)
        if path[:-1] == ("personal_information",):
            personal[str(path[-1])] = value
        chat = chats.of(path, value)
        if chat is None:
            continue
        if chat.type == SELF and chat.id is not None:
            saved = saved or Owner(f"user{chat.id}")
        names.update(_names(value))
        if chat.type == PERSONAL and chat.place:
            others.update(_others(chat, value))
        is_known = bool(personal.get("user_id")) or saved is not None
        is_only = not chat.place
        if chat.type is not None and chat.id is not None and (is_only or (is_known and not all_chats)):
            return Overview(_owner(personal, names) or _named(saved, names), chats.found, is_only)
    if saved is None and len(others) == 1:  # in every chat between two, the one who is not the other
        saved = Owner(next(iter(others)))
    return Overview(_owner(personal, names) or _named(saved, names), chats.found, is_whole=True)


class Chats:
    """The chats of a file, as far as it has been read."""

    def __init__(self) -> None:
        self.found: dict[Path, Chat] = {}

    def note(self, path: Path, value: object) -> None:
        """Remember a value that says something about a chat."""
        if path and path[-1] in ("name", "type", "id") and _is_place(path[:-1]):
            chat = self.found.get(path[:-1]) or Chat(path[:-1])
            if path[-1] == "id":
                is_id = isinstance(value, int | str) and not isinstance(value, bool)
                self.found[path[:-1]] = chat._replace(id=value if is_id else None)  # type: ignore[arg-type] # is_id
            elif isinstance(value, str):
                self.found[path[:-1]] = chat._replace(**{str(path[-1]): value})  # type: ignore[arg-type]

    def of(self, path: Path, value: object) -> Chat | None:
        """The chat whose messages these are, if they are any chat's."""
        if not path or path[-1] != MESSAGES or not isinstance(value, list) or not _is_place(path[:-1]):
            return None
        return self.found.setdefault(path[:-1], Chat(path[:-1]))


def _is_place(path: Path) -> bool:
    return not path or (len(path) == 3 and path[0] in _LISTS and path[1] == "list")


def _owner(personal: dict[str, object], names: dict[str, str]) -> Owner | None:
    identity = identity_of(personal.get("user_id"))
    written = (personal.get("first_name"), personal.get("last_name"))
    name = " ".join(" ".join(each for each in written if isinstance(each, str)).split())
    return None if identity is None else Owner(identity, name or names.get(identity, ""))


def _named(owner: Owner | None, names: dict[str, str]) -> Owner | None:
    return None if owner is None else owner._replace(name=names.get(owner.identity, ""))


def _names(rows: object) -> Iterator[tuple[str, str]]:
    for row in rows if isinstance(rows, list) else ():
        if row is not None and isinstance(row.name, str):
            identity = identity_of(row.from_id)
            if identity is not None:
                yield identity, " ".join(row.name.split())


def _others(chat: Chat, rows: object) -> Iterator[str]:
    """Who speaks in a chat between two beside the person whose chat it is, if that person speaks."""
    assert isinstance(rows, list)
    ids = {identity_of(row.from_id) for row in rows if row is not None} - {None}
    if chat.key in ids:
        yield from (each for each in ids if each != chat.key and each is not None)
