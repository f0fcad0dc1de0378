"""Discord's markup in the texts of messages, as people see it: mentions, emoji and times.

DiscordChatExporter resolves it unless it is told not to (`--markdown false`).
"""

import re
from datetime import UTC, datetime

_MARK = re.compile(
    r"<(?:(?P<who>@!?|@&|#)(?P<id>\d{1,20})|a?(?P<emoji>:\w{1,40}:)\d{1,20}|(?P<command>/[^:<>\n]{1,100}):\d{1,20}"
    r"|t:(?P<time>-?\d{1,13})(?::[a-zA-Z])?)>"
)
_UNKNOWN = {"@": "@Unknown", "@!": "@Unknown", "@&": "@deleted-role", "#": "#deleted-channel"}  # the exporter's words


class Markup:
    """Knows the people, roles and channels of an archive.

    Args:
        channels: names by id.
    """

    def __init__(self, channels: dict[str, str]) -> None:
        self._channels = channels
        self._people: dict[str, str] = {}
        self._roles: dict[str, str] = {}

    def meet(self, identity: str, name: str) -> None:
        """Somebody who says something."""
        self._people.setdefault(identity, name)

    def plain(self, text: str, mentions: object, roles: object) -> str:
        """A text as its readers see it.

        Args:
            mentions: the people in it, as the export has them.
            roles: of who wrote it; they are learnt, for they are named nowhere else.
        """
        people = dict(_named(mentions, "nickname", "name"))
        self._people.update(people)
        self._roles.update(_named(roles, "name"))

        def shown(mark: re.Match[str]) -> str:
            if who := mark["who"]:
                names = {"#": self._channels, "@&": self._roles}.get(who, self._people)
                name = names.get(mark["id"])
                return f"{who[0]}{name}" if name else _UNKNOWN[who]
            return mark["emoji"] or mark["command"] or _date(int(mark["time"])) or mark[0]

        return _MARK.sub(shown, text)


def _named(things: object, *keys: str) -> list[tuple[str, str]]:
    """Id and name of each thing in a list, where it has both."""
    found = []
    for each in things if isinstance(things, list) else ():
        if isinstance(each, dict):
            name = next((name for key in keys if isinstance(name := each.get(key), str) and name.strip()), None)
            if name is not None:
                found.append((str(each.get("id")), " ".join(name.split())))
    return found


def _date(seconds: int) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return None
