"""Slack as a row of READERS: a workspace's export, or one channel of it.

A thread is a conversation of its own, which its first message begins; that message is in no other. So it is read as
people read it, however many days lie between, and each message counts once.
"""

from collections.abc import Iterator, Sequence

import msgspec

from pipeline.archives.addresses import is_address
from pipeline.archives.in_order import InOrder, Row
from pipeline.archives.json_file import values
from pipeline.archives.members import Member, Members
from pipeline.archives.reader import Asked, Recognised
from pipeline.archives.slack.rows import Raw, Rows
from pipeline.archives.slack.workspace import Channel, Workspace, is_day, is_users, looks_like_a_day
from pipeline.archives.told import TWICE, Told
from pipeline.archives.typed_json import NOTHING, decoded, struct_of, value_of
from pipeline.errors import InputError
from pipeline.sessions.session import Message, Person, Session
from pipeline.sessions.stream import Stream

_LOOKED_AT = 200
_IN_THREADS = 50_000
"""Messages of a channel's threads that are held as they are."""

_decoder = msgspec.json.Decoder(list[Raw])
_EXPORT = (
    "In Slack, a workspace's owner opens Settings > Import/export data > Export, chooses the days and starts the "
    "export; give the zip that comes, or its folder."
)


def recognise(members: Members) -> Recognised | None:
    """See readers.Reading.

    Raises:
        InputError: it is an export without messages.
    """
    days = [each for each in members if looks_like_a_day(each)]
    for each in days[:_LOOKED_AT]:
        if is_day(each):
            where = "its messages" if members.only is each else f"the messages of {each.name}"
            return Recognised("a Slack export", f"{where}, which have a `ts`")
    if any(is_users(each) for each in members.named("users.json")) and members.named("channels.json", "dms.json"):
        raise InputError(str(members.path), "Slack's export, without messages", fix=_EXPORT)
    return None


def read(members: Members, told: Told, _asked: Asked) -> Iterator[Stream]:
    """See readers.Reading.

    Raises:
        InputError: a file is damaged, or there is none with messages.
    """
    workspace = Workspace(members)
    rows = Rows(workspace, told)
    found = False
    for channel, days in workspace.days(members):
        found = True
        yield from _Conversation(channel, rows, told, workspace).streams(days)
    if not found:
        raise InputError(str(members.path), "no channel of a Slack export", fix=_EXPORT)


class _Conversation:
    """A channel, and the threads in it."""

    def __init__(self, channel: Channel, rows: Rows, told: Told, workspace: Workspace) -> None:
        self._channel = channel
        self._rows = rows
        self._told = told
        self._workspace = workspace
        self._threads: dict[str, InOrder] = {}
        self._held = 0

    def streams(self, days: list[list[Member]]) -> Iterator[Stream]:
        yield Stream(self._session(self._channel.id), self._in_channel(days))
        for thread in sorted(self._threads):
            portions = self._threads.pop(thread).portions()
            yield Stream(self._session(f"{self._channel.id}-{thread}"), self._said(portions))

    def _session(self, identity: str) -> Session:
        people = {}
        for member in self._channel.members:
            user = self._workspace.users.get(member)
            if user is not None and not user.is_bot and not is_address(user.name):
                sender = self._rows.sender(member)
                people[sender] = Person(user.name, self._told.senders.addresses(sender))
        return Session(f"slack-{identity}", self._channel.kind, self._channel.title, [], people)

    def _in_channel(self, days: list[list[Member]]) -> Iterator[list[Message]]:
        for members in days:
            order = InOrder()
            for number, member in enumerate(members):
                place = 0
                for batch in _batches(member):
                    order.add(self._sorted_out(batch, number, place))
                    place += len(batch)
            yield from self._said(order.portions())

    def _sorted_out(self, batch: Sequence[Raw | None], number: int, place: int) -> list[Row]:
        """The rows that are in no thread."""
        self._told.rows = (self._told.rows or 0) + len(batch)
        rows = []
        for raw in batch:
            place += 1
            found = self._rows.found(raw)
            if found is None:
                continue
            at, thread, message = found
            if thread is None:
                rows.append((at, place, number, message))
                continue
            held = self._threads.get(thread)
            if held is None:
                held = self._threads[thread] = InOrder()
            held.add(((at, place, number, message),))
            self._held += 1
        if self._held > _IN_THREADS:
            self._held = 0
            for each in self._threads.values():
                each.pack()
        return rows

    def _said(self, portions: Iterator[list[Row]]) -> Iterator[list[Message]]:
        """Messages, each once: nothing else in a channel has the same `ts`."""
        for portion in portions:
            messages: list[Message] = []
            before = -1
            said: set[tuple[str, str]] = set()
            for at, _, _, message in portion:
                if at != before:
                    said.clear()
                words = message.sender, message.content
                if at and words in said:
                    self._told.drop(TWICE, message.sender, message.time, message.content)
                else:
                    said.add(words)
                    messages.append(message)
                before = at
            yield messages


def _batches(member: Member) -> Iterator[Sequence[Raw | None]]:
    """The rows of a day; slackdump writes an object, and answers within the message that they are to."""
    rows: Sequence[Raw | None] | None = decoded(member, _decoder)
    if rows is not None:
        yield [each for row in rows for each in _with_answers(row)]
        return
    for path, value in values(member, {"": Raw, "messages": Raw}):
        if path in {(), ("messages",)} and isinstance(value, list):
            yield [each for row in value for each in _with_answers(row)]


def _with_answers(row: Raw | None) -> list[Raw | None]:
    if row is None or row.slackdump_thread_replies is NOTHING:
        return [row]
    answers = value_of(row.slackdump_thread_replies)
    found = answers if isinstance(answers, list) else []
    return [row, *(struct_of(Raw, each) if isinstance(each, dict) else None for each in found)]
