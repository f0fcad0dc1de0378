"""The archives that can be read: one row here and one module each. Everything else asks this table.

`load.source`, what `init` offers and recognises, the config's schema and the page docs/archives.md follow from it.
"""

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from pipeline.archives.members import Members
    from pipeline.archives.reader import Asked, Recognised
    from pipeline.archives.told import Told
    from pipeline.sessions.stream import Stream


class Reading(Protocol):
    """What the module of a reader has."""

    def recognise(self, members: "Members") -> "Recognised | None":
        """What is there, if it is of this app; decided by content, in the time that a look at the heads takes.

        Raises:
            InputError: it is of this app, in a form that cannot be read; says how to export it right.
        """

    def read(self, members: "Members", told: "Told", asked: "Asked") -> "Iterator[Stream]":
        """The conversations, one after the other; `blocks` of one end before the next is asked for.

        Raises:
            InputError: it cannot be read; names the file in it.
        """


class Reader(NamedTuple):
    """A row.

    Attributes:
        source: as `load.source` takes it.
        app: as people call it; becomes `Session.platform`.
        reads: what to give, to be read after the app's name.
        export: a sentence that says how to get that out of the app.
        module: where `recognise` and `read` are; imported when they are needed.
    """

    source: str
    app: str
    reads: str
    export: str
    module: str

    @property
    def code(self) -> Reading:
        """The module."""
        return cast(Reading, importlib.import_module(self.module))


EXAMPLES = "examples"
"""The source that holds no chats: what is read there is ready to be learnt."""

READERS = (
    Reader(
        "imessage",
        "iMessage",
        "chat.db of a Mac (~/Library/Messages/chat.db), or sms.db of a phone's backup",
        "On the Mac, give ~/Library/Messages/chat.db itself.",
        "pipeline.archives.imessage.source",
    ),
    Reader(
        "whatsapp",
        "WhatsApp",
        "the .zip or .txt that Export chat makes, or a folder of several",
        "In WhatsApp, open the chat, choose Export chat > Without media, and give the .zip or .txt.",
        "pipeline.archives.whatsapp.source",
    ),
    Reader(
        "telegram",
        "Telegram",
        "the result.json of a chat or of the whole account, exported as JSON, or a folder or .zip of several",
        "In Telegram Desktop, open the chat, choose Export chat history and the format JSON, and give the result.json.",
        "pipeline.archives.telegram.source",
    ),
    Reader(
        "messenger",
        "Messenger",
        "the .zip or folder of Facebook's download in JSON, or of the end-to-end encrypted chats', or any part of it",
        "On Facebook, choose Download your information > Messages > JSON; for encrypted chats, "
        "messenger.com/secure_storage/dyi. Give the .zip.",
        "pipeline.archives.messenger.source",
    ),
    Reader(
        "instagram",
        "Instagram",
        "the .zip or folder of its download in JSON, or any part of it",
        "In Instagram, choose Accounts Center > Download your information > Messages > JSON, and give the .zip.",
        "pipeline.archives.messenger.instagram",
    ),
    Reader(
        "slack",
        "Slack",
        "the .zip of a workspace's export, or its folder",
        "In Slack, a workspace's owner opens Settings > Import/export data > Export; give the .zip.",
        "pipeline.archives.slack.source",
    ),
    Reader(
        "discord",
        "Discord",
        "the .json that DiscordChatExporter makes, or a folder or .zip of several",
        "Export the chat with DiscordChatExporter (github.com/Tyrrrz/DiscordChatExporter) in the format JSON.",
        "pipeline.archives.discord",
    ),
    Reader(
        "signal",
        "Signal",
        "the folder that signal-export makes",
        "On a computer with Signal Desktop, run `pip install signal-export` and `sigexport signal-chats`, and give the "
        "folder signal-chats.",
        "pipeline.archives.signal",
    ),
    Reader(
        "google-chat",
        "Google Chat",
        "the zip or folder that Google Takeout makes, or a Hangouts.json",
        "On takeout.google.com, choose Google Chat alone, and give the .zip.",
        "pipeline.archives.google_chat",
    ),
    Reader(
        "wechat",
        "WeChat",
        "CSV files as WeClone takes them (PyWxDump, WeFlow), one or a folder of several",
        "Export the chats with PyWxDump or WeFlow as CSV, and give the folder.",
        "pipeline.archives.wechat",
    ),
    Reader(
        "sms",
        "SMS",
        "the .xml that SMS Backup & Restore makes on Android, or a folder of several",
        "In SMS Backup & Restore, choose Back up now, with Messages switched on, and give the sms-….xml.",
        "pipeline.archives.sms",
    ),
    Reader(
        "jsonl",
        "JSON lines",
        "your own file with one message a line; docs/jsonl.md says how",
        "Write one JSON object a line, as docs/jsonl.md says.",
        "pipeline.archives.jsonl",
    ),
    Reader(
        EXAMPLES,
        "OpenAI JSONL",
        "training examples that are ready, one a line, or a folder of several such files; docs/jsonl.md says how",
        'Write one {"messages": […]} a line, as OpenAI takes it; it is trained as it is, with `convert.preset: ready`.',
        "pipeline.archives.examples",
    ),
)
"""In the order in which an archive is tried."""

LANGCHAIN = "langchain"
"""The source that is read by one of LangChain's loaders, named by `load.loader`; never recognised by itself."""

AUTO = "auto"
"""The source that is found out by looking at the archive."""

READ_BY_HALVES = ("imessage",)
"""The sources whose readers know `Asked.half`: reading such an archive is bound by the processor."""

MARKS_OWNER = ("imessage", "signal", "wechat", "sms", EXAMPLES)
"""The sources whose archives always say which messages are the owner's."""

SOURCES = (AUTO, *(reader.source for reader in READERS), LANGCHAIN)
"""What `load.source` takes."""


def reader_of(source: str) -> Reader:
    """The row of a source."""
    return next(reader for reader in READERS if reader.source == source)
