r"""Reads WeChat as CSV files, in the form that WeClone takes: WeChat itself exports nothing.

    id,MsgSvrID,type_name,is_sender,talker,msg,src,CreateTime,room_name

PyWxDump writes such files, up to 5,000 rows each, in a folder for each contact; the columns come in any order, the
text is called msg or content, CreateTime is local ("2023-08-28 10:00:00") or in seconds. `talker` is whoever wrote a
row, `room_name` the conversation. WeFlow and its kin write one file for each chat, with type_name in English,
CreateTime in ISO 8601 and no room_name; there `talker` is the name that is shown.

From the code of WeClone (models.py: the types that it leaves out), PyWxDump (the names of types; a quotation is
"answer\n\n[引用](time)name:what was said") and WeFlow (getWeCloneTypeName; what is no text has a word in brackets in
front, such as "[链接]"). Not verified with a real export. GB18030 is read where a file is no UTF-8: Excel saves it so.
"""

import codecs
import csv
import io
import operator
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

from pipeline.archives.gathered import Gathered
from pipeline.archives.members import HEAD, Member, Members
from pipeline.archives.reader import Asked, Recognised
from pipeline.archives.told import CALL, DELETED, MEDIA, NO_TEXT, Told
from pipeline.archives.unix_time import unix_time
from pipeline.errors import InputError
from pipeline.sessions.session import LONGEST, OWNER, QUOTED, Message, Session
from pipeline.sessions.stream import Stream

SYSTEM = "WeChat's own words"
CARD = "link, card or other content of an app"
EXPORT = "Export the chats with PyWxDump or WeFlow as CSV, and give the folder."

ALONE = "wechat"
"""The conversation of a single file that does not name it."""

_NEEDED = {"type_name", "is_sender", "talker", "CreateTime"}
_TEXTS = ("msg", "content")
_COLUMNS = ("is_sender", "talker", "room_name", "CreateTime", *_TEXTS, "type_name")
_SPEECH = {"文本", "文本消息", "text", "带有引用的文本消息", "引用回复", "引用消息", "1", "(1, 0)"}
_MEDIA = (
    "图片", "语音", "视频", "动画表情", "用户上传的GIF表情", "文件", "位置", "表情",
    "image", "voice", "audio", "video", "sticker", "emoji", "file", "location",
)  # fmt: skip
_CALLS = ("语音通话", "视频通话", "通话", "call")
_CARDS = (
    "卡片式链接", "链接", "小程序", "合并转发的聊天记录", "聊天记录", "音乐", "转账", "红包", "名片", "推荐公众号",
    "视频号", "接龙", "游戏", "赠送红包封面", "分享", "link", "card", "music", "transfer", "redpacket", "mini",
    "forward",
)  # fmt: skip
_QUOTED = re.compile(r"\n\[引用\]\((?P<time>[^()\n]*)\)(?P<name>[^:\n]*):(?P<said>.*)\Z", re.DOTALL)
_LABEL = re.compile(
    r"\[(?:链接|小程序|转发的聊天记录|聊天记录|其他消息|系统消息|转账|语音通话|视频通话|通话|图片|视频|语音|文件|位置|名片|动画表情|表情包)\]"
)
_TRUE = {"1", "1.0", "true", "True", "TRUE"}
_LARGEST_FIELD = 4 * LONGEST
_LARGEST_LINE = 2 * _LARGEST_FIELD
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def recognise(members: Members) -> Recognised | None:
    """See readers.Reading."""
    found = _files(members)
    if not found:
        return None
    more = f" and {len(found) - 1:,} more like it" if len(found) > 1 else ""
    return Recognised("WeChat as CSV, as WeClone takes it", f"the columns of {found[0].name}{more}")


def _files(members: Members) -> list[Member]:
    return [each for each in members if (each.suffix == ".csv" or each is members.only) and _is_read(each)]


def _is_read(member: Member) -> bool:
    head = member.head(4096)
    text = head.decode("utf-16" if head.startswith(_UTF_16) else "utf-8-sig", "ignore")
    columns = {each.strip().strip('"') for each in text.partition("\n")[0].split(",")}
    return columns >= _NEEDED and not columns.isdisjoint(_TEXTS)


def read(members: Members, told: Told, _asked: Asked) -> Iterator[Stream]:
    """See readers.Reading."""
    found = _files(members)
    if not found:
        raise InputError(str(members.path), "no chat of WeChat as CSV", fix=EXPORT)
    with Gathered(members.path, told, once=len(found) > 1) as gathered:
        for member in found:
            # A file alone is called whatever the copy of it is called, which says nothing.
            unnamed = ALONE if members.only else member.name.removesuffix(member.suffix)
            for room, message in _messages(member, unnamed, told):
                gathered.add(room, message)
        for room in gathered:
            is_group = "@chatroom" in room or len(gathered.others(room)) > 1
            title = room if is_group and "@chatroom" not in room and room != ALONE else None
            yield Stream(Session(room, "group" if is_group else "direct", title, []), gathered.blocks(room))


def _messages(member: Member, unnamed: str, told: Told) -> Iterator[tuple[str, Message]]:
    for is_sender, talker, room, created, msg, content, kind in _rows(member):
        told.rows = (told.rows or 0) + 1
        is_me = is_sender.strip() in _TRUE
        talker, room = talker.strip(), room.strip() or unnamed
        sender = OWNER if is_me else told.senders.of(talker or room, None)
        time = _time(created.strip())
        text = (msg or content).replace("\r\n", "\n")
        if reason := _why_not(kind.strip(), text):
            told.drop(reason, sender, time, text[:QUOTED], is_me=is_me)
            continue
        message = Message(sender, is_me, time, text)
        if "[引用](" in text and (match := _QUOTED.search(text, max(0, text.rfind("\n\n[引用](")))):
            message.content = text[: match.start()].rstrip("\n")
            if match["name"].strip() not in ("" if is_me else sender, talker):
                message.reply_to = match["said"][:QUOTED]
        yield room, message


def _why_not(kind: str, text: str) -> str | None:
    """The reason why a row of this type is no speech."""
    if kind in _SPEECH:
        if not text.strip():
            return NO_TEXT
        if label := _LABEL.match(text):
            return CALL if "通话" in label[0] else CARD
        return None
    if kind.startswith("消息撤回") or kind == "revoke":
        return DELETED
    if kind.startswith(_CALLS):
        return CALL
    if kind.startswith(_CARDS):
        return CARD
    return MEDIA if kind.startswith(_MEDIA) else SYSTEM


def _rows(member: Member) -> Iterator[tuple[str, ...]]:
    """The rows of a file: what they have in each of _COLUMNS, "" where the file has no such column.

    Raises:
        InputError: it is no CSV, or its bytes are no text.
    """
    csv.field_size_limit(_LARGEST_FIELD)
    with member.open() as file, io.TextIOWrapper(file, encoding=_encoding(member), newline="") as text:
        reader = csv.reader(_bounded(text))
        try:
            columns = [name.strip() for name in next(reader, [])]
            width = len(columns)
            places = {name: place for place, name in enumerate(columns)}
            chosen = operator.itemgetter(*(places.get(name, width) for name in _COLUMNS))
            for row in reader:
                if not row:
                    continue
                if len(row) != width:
                    raise _damaged(member, reader.line_num, f"has {len(row):,} columns where {width:,} have a name")
                row.append("")
                yield chosen(row)
        except (csv.Error, UnicodeDecodeError) as error:
            what = "is no text" if isinstance(error, UnicodeDecodeError) else f"is no CSV ({error})"
            raise _damaged(member, reader.line_num, what) from None


def _bounded(text: io.TextIOWrapper) -> Iterator[str]:
    """The lines, none of which is held if it is too long."""
    while line := text.readline(_LARGEST_LINE):
        if len(line) >= _LARGEST_LINE and not line.endswith("\n"):
            raise csv.Error(f"a line of more than {_LARGEST_LINE:,} characters")
        yield line


def _damaged(member: Member, line: int, what: str) -> InputError:
    return InputError(f"{member}:{line}", f"{what}; it is damaged, or a quotation mark is left open", fix=EXPORT)


def _encoding(member: Member) -> str:
    """UTF-8, UTF-16 as its first bytes say, or else GB18030, decided over the whole file."""
    if member.head(2) in _UTF_16:
        return "utf-16"
    decode = codecs.getincrementaldecoder("utf-8")().decode
    with member.open() as file:
        try:
            while data := file.read(HEAD):
                decode(data)
            decode(b"", True)
        except UnicodeDecodeError:
            return "gb18030"
    return "utf-8-sig"


_USUAL = len("2023-08-28 10:00:00")
_HOUR = len("2023-08-28 10:")
_IN_HOUR = frozenset(f"{second // 60:02}:{second % 60:02}" for second in range(3600))


def _time(written: str) -> str | None:
    """Seconds since 1970, ISO 8601, or a local time, which stays as it is."""
    if len(written) == _USUAL and written[_HOUR:] in _IN_HOUR and (hour := _hour(written[:_HOUR])):
        return f"{hour}{written[_HOUR:]}Z"
    try:
        if written.replace(".", "", 1).isdecimal():
            return unix_time(float(written))
        time = datetime.fromisoformat(written.replace("/", "-"))
        time = time if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return f"{time.replace(tzinfo=None, microsecond=0).isoformat()}Z"


@lru_cache(4096)
def _hour(begin: str) -> str | None:
    """Of what begins "2023-08-28 10:", "2023-08-28T10:"; None where that is no hour of a day."""
    try:
        datetime.fromisoformat(f"{begin.replace('/', '-')}00:00")
    except ValueError:
        return None
    return f"{begin[:10].replace('/', '-')}T{begin[11:]}" if begin[4] == begin[7] and begin[13] == ":" else None
