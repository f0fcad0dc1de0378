"""Reads text messages of an Android phone, as the app SMS Backup & Restore saves them (sms-….xml).

    <smses count="2">
      <sms address="+15550100" date="1693182723000" type="1" body="Hi" contact_name="Ann" …/>
      <mms date="1693182724000" msg_box="2" address="+15550100~+15550101" …><parts><part ct="text/plain" text="Ho" …/>
      </parts><addrs><addr address="+15550100" type="151" …/></addrs></mms>

Meaning of the fields: synctech.com.au/sms-backup-restore/fields-in-xml-backup-files. type and msg_box: 1 received, 2
sent, 3 draft, 4 outbox, 5 failed, 6 queued; addr's type: 137 from, 151 to, 130 cc, 129 bcc (PduHeaders of Android).
A number that has no contact is called "(Unknown)"; "null" stands for nothing. That `address` of an mms joins the
numbers of a group with "~" is as public readers of such files take it. Its XML is mended as read_xml.py says.

A conversation is the set of the numbers in it, however they are written (see addresses.Numbers); a name that any row
gives to a number is its name in all of them.
"""

import re
from collections.abc import Iterator

from pipeline.archives.addresses import Numbers
from pipeline.archives.gathered import Gathered
from pipeline.archives.members import Member, Members
from pipeline.archives.read_xml import elements
from pipeline.archives.reader import Asked, Recognised
from pipeline.archives.told import MEDIA, NO_TEXT, Told
from pipeline.archives.unix_time import unix_time
from pipeline.errors import InputError
from pipeline.sessions.session import OWNER, Message, Session
from pipeline.sessions.stream import Stream

DRAFT = "draft that was never sent"
UNKNOWN_KIND = "of no known kind"
UNSENT = "that the phone could not send"
EXPORT = "In SMS Backup & Restore, choose Back up now, with Messages switched on, and give the sms-….xml."

_UNKNOWN = "unknown"
_NOBODY = {"", "null", "insert-address-token"}
_NAMELESS = {"", "null", "(unknown)"}
_RECEIVED, _SENT, _DRAFT, _TRYING = "1", {"2", "4", "5", "6"}, "3", {"4", "5", "6"}
_FROM = "137"
_NO_SUBJECT = re.compile(r"\s*[\[(<]?\s*no[\s_-]?subject\s*[\])>]?\s*", re.IGNORECASE)
_ROOT = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)*+<(?:!DOCTYPE\s+)?(smses|calls)[\s>/\[]", re.DOTALL)


def recognise(members: Members) -> Recognised | None:
    """See readers.Reading.

    Raises:
        InputError: it is the app's list of calls, alone.
    """
    roots = {each: root for each in members if (root := _root(each, members))}
    found = [each for each, root in roots.items() if root == "smses"]
    if found:
        more = f" and {len(found) - 1:,} more like it" if len(found) > 1 else ""
        return Recognised("text messages saved by SMS Backup & Restore", f"what is in {found[0].name}{more}")
    if roots and len(roots) == len(members.all):
        raise InputError(str(members.all[0]), "SMS Backup & Restore's list of calls, without messages", fix=EXPORT)
    return None


def _root(member: Member, members: Members) -> str | None:
    if member.suffix != ".xml" and member is not members.only:
        return None
    head = member.head(8192)
    text = head.decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "ignore")
    match = _ROOT.match(text)
    return match[1] if match else None


def read(members: Members, told: Told, _asked: Asked) -> Iterator[Stream]:
    """See readers.Reading."""
    found = [each for each in members if _root(each, members) == "smses"]
    if not found:
        raise InputError(str(members.path), "no text messages saved by SMS Backup & Restore", fix=EXPORT)
    phone = _Phone(told)
    with Gathered(members.path, told, once=len(found) > 1) as gathered:
        for member in found:
            for key, message in phone.messages(member):
                gathered.add(key, message)
        for key in gathered:
            session = Session(f"sms/{key}", "group" if "~" in key else "direct", None, [])
            yield Stream(session, phone.named(gathered.blocks(key)))


class _Phone:
    """Who is who, over all files: a message's sender is a number until `named`."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._numbers = Numbers()
        self._met: dict[tuple[str, str], str] = {}
        self._names: dict[str, str] = {}
        self._written: dict[str, str] = {}

    def messages(self, member: Member) -> Iterator[tuple[str, Message]]:
        """The messages of a file, each with its conversation."""
        for name, row, parts, addresses in elements(member):
            self._told.rows = (self._told.rows or 0) + 1
            found = self._sms(row) if name == "sms" else self._mms(row, parts, addresses)
            if found is not None:
                yield found

    def named(self, blocks: Iterator[list[Message]]) -> Iterator[list[Message]]:
        """The messages by the names of their senders."""
        for block in blocks:
            for message in block:
                if not message.is_me:
                    message.sender = self._name(message.sender)
            yield block

    def _name(self, number: str) -> str:
        return self._told.senders.of(self._written.get(number, number), self._names.get(number))

    def _number(self, address: str) -> str:
        """What two ways to write a number have in common."""
        number = self._numbers.of(address)
        if number not in self._written or (address.startswith("+") and not self._written[number].startswith("+")):
            self._written[number] = address
        return number

    def _sms(self, row: dict[str, str]) -> tuple[str, Message] | None:
        shown = (row.get("address", ""), row.get("contact_name", ""))
        number = self._met.get(shown)
        if number is None:
            address = shown[0].strip()
            number = self._met[shown] = _UNKNOWN if address.lower() in _NOBODY else self._number(address)
            self._meet(number, row)
        return self._kept(number, number, row.get("type", ""), row.get("date", ""), row.get("body", ""), media=False)

    def _mms(
        self, row: dict[str, str], parts: list[dict[str, str]], addresses: list[dict[str, str]]
    ) -> tuple[str, Message] | None:
        listed = [each.strip() for each in row.get("address", "").split("~")]
        numbers = {self._number(each) for each in listed if each.lower() not in _NOBODY}
        by_kind = [(each.get("type", ""), each.get("address", "").strip()) for each in addresses]
        by_kind = [(kind, each) for kind, each in by_kind if each.lower() not in _NOBODY]
        senders = [self._number(each) for kind, each in by_kind if kind == _FROM]
        box = row.get("msg_box", "")
        if not numbers:
            is_sent = box in _SENT
            numbers = {self._number(each) for kind, each in by_kind if (kind != _FROM) == is_sent}
        if len(numbers) == 1:
            self._meet(next(iter(numbers)), row)
            sender = next(iter(numbers))
        else:
            sender = senders[0] if senders else _UNKNOWN
        texts = [each.get("text", "") for each in parts if each.get("ct", "").startswith("text/plain")]
        subject = row.get("sub", "")
        subjects = [] if _NO_SUBJECT.fullmatch(subject) else [subject]
        said = [text for text in (*subjects, *texts) if text.strip() and text != "null"]
        media = any(not each.get("ct", "").startswith(("text/plain", "application/smil")) for each in parts)
        return self._kept(
            "~".join(sorted(numbers)) or _UNKNOWN, sender, box, row.get("date", ""), "\n".join(said), media=media
        )

    def _meet(self, number: str, row: dict[str, str]) -> None:
        name = row.get("contact_name", "").strip()
        if name.lower() not in _NAMELESS and number not in self._names:
            self._names[number] = name

    def _kept(
        self, key: str, number: str, box: str, date: str, text: str, *, media: bool
    ) -> tuple[str, Message] | None:
        is_me = box in _SENT or box == _DRAFT
        time = _time(date)
        reason = DRAFT if box == _DRAFT else None if is_me or box == _RECEIVED else UNKNOWN_KIND
        if reason is None and (not text.strip() or text == "null"):
            reason = MEDIA if media else NO_TEXT
        if reason is not None:
            self._told.drop(reason, OWNER if is_me else self._names.get(number, number), time, text, is_me=is_me)
            return None
        if box in _TRYING:
            self._told.noted[UNSENT] += 1
        return key, Message(OWNER if is_me else number, is_me, time, text)


def _time(date: str) -> str | None:
    """Milliseconds since 1970; some phones keep the seconds of an mms."""
    try:
        since = int(date)
    except ValueError:
        return None
    return unix_time(since) if since else None
