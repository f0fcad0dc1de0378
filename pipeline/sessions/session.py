"""Sessions and messages: pure data, and how they are read from disk.

One session is one line of JSON in 02_sessions.jsonl, 03_merged.jsonl and 04_mapped.jsonl.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from pipeline.durable import reading
from pipeline.errors import InputError

OWNER = "me"
"""Sender of the archive's owner, where the archive says who that is."""

QUOTED = 120
"""Characters of a message that is replied to."""

LONGEST = 1_000_000
"""Characters of a message, its sender included. No app sends one as long: WhatsApp's limit is 65,536."""

ENDLESS = "longer than a million characters"
"""Why such messages are left out, whatever archive they are in."""


_TOKENS = re.compile(r"(?:\[[a-z]{1,20}\]\s*)+")


class Message(msgspec.Struct, gc=False):
    """One message.

    Attributes:
        sender: a name or handle; OWNER for the archive's owner.
        is_me: whether the archive's owner wrote it.
        time: UTC, "2023-08-28T00:32:03Z"; None where the archive has none.
        content: what was said; never None.
        role: None until the map step.
        reply_to: the beginning of what it answers, where the archive says so and somebody else said that.
        only_context: it holds nothing that its sender said, such as a photo alone or what they forwarded: not to be
            learnt from.
        merged: how many messages of the archive it is made of, where that is more than one.
        until: the time of the last of them.
    """

    sender: str
    is_me: bool
    time: str | None
    content: str
    role: Literal["user", "assistant"] | None = None
    reply_to: str | msgspec.UnsetType = msgspec.UNSET
    only_context: bool | msgspec.UnsetType = msgspec.UNSET
    merged: int | msgspec.UnsetType = msgspec.UNSET
    until: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_borrowed(self) -> bool:
        """Whether its words are somebody else's, such as those of what is forwarded. Tokens such as [image] are not."""
        return self.only_context is True and _TOKENS.fullmatch(self.content) is None


Listener = Callable[[str, Message], None]
"""Told of what is left out of an archive: the reason, and the message; its content may be empty."""


class Person(msgspec.Struct):
    """Somebody other than the owner.

    Attributes:
        name: what training data call them.
        addresses: all that are known of them, as the archive writes them.
    """

    name: str
    addresses: list[str] = []


class Session(msgspec.Struct):
    """The messages of one conversation, in order of time.

    Attributes:
        id: unique in its archive and the same on every read of it.
        kind: between two people, or among more.
        title: the group's name, or None.
        people: who else is in it, whether they say anything or not, by sender.
        platform: the app's name, such as "iMessage".
        owner: what the archive calls its owner, where it knows them by name, too; their sender is OWNER all the same.
        example: the line of a training file that it is, where the archive is one; the messages, which have their roles
            already, are there to be counted and shown.
    """

    id: str
    kind: Literal["direct", "group"]
    title: str | None
    messages: list[Message]
    people: dict[str, Person] = {}
    platform: str | None = None
    owner: str | msgspec.UnsetType = msgspec.UNSET
    example: str | msgspec.UnsetType = msgspec.UNSET

    def name_of(self, sender: str) -> str:
        """What training data call a sender."""
        person = self.people.get(sender)
        return sender if person is None else person.name


_decoder = msgspec.json.Decoder(Session)


def read_sessions(path: Path) -> Iterator[Session]:
    """Read sessions one at a time. Unknown keys are allowed and dropped.

    Raises:
        InputError: a line is not a session; names file and line.
    """
    with reading(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                yield _decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise InputError(
                    f"{path}:{number}",
                    f"not a session ({error})",
                    fix="Run `finetune run CONFIG --from load` to write it anew.",
                ) from None
