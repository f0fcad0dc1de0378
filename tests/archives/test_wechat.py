import csv
import io
import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from pipeline.archives.filters import Filters
from pipeline.archives.recognise import recognise
from pipeline.archives.told import CALL, DELETED, MEDIA, NO_TEXT
from pipeline.archives.wechat import CARD, EXPORT, SYSTEM
from pipeline.errors import InputError
from tests.archives.fuzzing import damaged, require_words_or_balance
from tests.archives.reading import read

COLUMNS = ["id", "MsgSvrID", "type_name", "is_sender", "talker", "msg", "src", "CreateTime", "room_name"]


def row(clock: str, kind: str, talker: str, text: str, room: str = "wxid_ann") -> list[str]:
    is_me = "1" if talker == "我" else "0"
    return ["1", "11", kind, is_me, talker, text, "", clock if clock.isdecimal() else f"2023-08-28 {clock}", room]


def table(*rows: list[str], columns: list[str] | None = None) -> str:
    file = io.StringIO(newline="")
    csv.writer(file).writerows([columns or COLUMNS, *rows])
    return file.getvalue()


ROWS = (
    row("10:00:00", "文本", "wxid_ann", '你好\n"第二行", ok'),
    row("10:01:00", "带有引用的文本消息", "我", "回答\n\n[引用](2023-08-28 10:00:00)wxid_ann:你好"),
    row("10:02:00", "图片", "wxid_ann", "图片"),
    row("10:03:00", "语音", "wxid_ann", "语音时长：3秒"),
    row("10:04:00", "拍一拍", "wxid_ann", "拍了拍我"),
    row("10:05:00", "系统通知", "wxid_ann", "你已添加了"),
    row("10:06:00", "消息撤回1", "我", "你撤回了一条消息"),
    row("10:07:00", "语音通话", "我", "通话时长"),
    row("10:08:00", "卡片式链接", "wxid_ann", "一篇文章"),
    row("10:09:00", "文本", "wxid_ann", ""),
    row("1693217400", "文本", "我", "[微笑] 好"),
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_text_is_speech_and_the_rest_is_counted_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "ann.csv"
    path.write_bytes(table(*ROWS).encode(encoding))
    found = read(path)
    (session,) = found.sessions
    assert (session.id, session.kind, session.title, session.platform) == ("wxid_ann", "direct", None, "WeChat")
    assert [(each.sender, each.is_me, each.time, each.content) for each in session.messages] == [
        ("wxid_ann", False, "2023-08-28T10:00:00Z", '你好\n"第二行", ok'),
        ("me", True, "2023-08-28T10:01:00Z", "回答"),
        ("me", True, "2023-08-28T10:10:00Z", "[微笑] 好"),
    ]
    assert session.messages[1].reply_to == "你好"
    assert found.loaded.dropped == {MEDIA: 2, SYSTEM: 2, DELETED: 1, CALL: 1, CARD: 1, NO_TEXT: 1}


def test_the_parts_of_a_chat_are_one_conversation_and_a_room_is_a_group(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "ann_0_1.csv").write_text(table(ROWS[0]))
    (tmp_path / "ann" / "ann_1_2.csv").write_text(table(ROWS[1]))
    room = "123@chatroom"
    (tmp_path / "room.csv").write_text(table(row("10:00:00", "文本", "wxid_bo", "hi", room)))
    found = read(tmp_path)
    assert [(each.id, each.kind, each.title, len(each.messages)) for each in found.sessions] == [
        ("wxid_ann", "direct", None, 2),
        (room, "group", None, 1),
    ]
    archive = recognise(tmp_path)
    assert (archive.source, archive.what, archive.because) == (
        "wechat",
        "WeChat as CSV, as WeClone takes it",
        "the columns of ann/ann_0_1.csv and 2 more like it",
    )


def test_weflows_columns_and_english_types_are_understood(tmp_path: Path) -> None:
    columns = COLUMNS[:-1]
    rows = [
        ["1", "9", "text", "0", "Bo", "yo", "", "2023-11-15T06:15:23.000Z"],
        ["2", "9", "text", "1", "My name", "hi", "", "2023-11-15T06:15:24.000Z"],
        ["3", "9", "text", "0", "Bo", "[链接]A page", "", "2023-11-15T06:15:25.000Z"],
        ["4", "9", "image", "0", "Bo", "[图片]", "a.jpg", "2023-11-15T06:15:26.000Z"],
    ]
    path = tmp_path / "Bo.csv"
    path.write_text(table(*rows, columns=columns), encoding="utf-8-sig")
    found = read(tmp_path)
    assert read(path).said == found.said
    assert [(each.id, each.messages[0].time) for each in found.sessions] == [("wechat", "2023-11-15T06:15:23Z")]
    assert (found.said, found.loaded.dropped) == ([("Bo", "yo"), ("me", "hi")], {CARD: 1, MEDIA: 1})


def test_columns_come_in_any_order_and_the_text_may_be_called_content(tmp_path: Path) -> None:
    columns = ["CreateTime", "content", "talker", "is_sender", "type_name", "room_name"]
    (tmp_path / "x.csv").write_text(table(["2023/08/28 10:00:00", "hi", "wxid", "0", "文本", "r"], columns=columns))
    (message,) = read(tmp_path).sessions[0].messages
    assert (message.sender, message.time, message.content) == ("wxid", "2023-08-28T10:00:00Z", "hi")


def test_filters_work_by_date(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(table(*ROWS))
    assert read(tmp_path, filters=Filters(until=date(2023, 8, 27))).said == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (table(ROWS[0]) + 'x,"open\nand so on', "has 2 columns where 9 have a name"),
        (table(ROWS[0]) + "a,b\n", "has 2 columns where 9 have a name"),
    ],
)
def test_a_damaged_table_is_named_by_line(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    message = re.escape(f"{what}; it is damaged, or a quotation mark is left open. {EXPORT}")
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}:\d+: {message}$"):
        read(path, "wechat")


def test_another_table_is_not_wechats(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,name,text\n1,Ann,hi\n")
    with pytest.raises(InputError, match=r"not an archive that can be read\. Known are "):
        recognise(path)
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: no chat of WeChat as CSV. {EXPORT}')}$"):
        read(path, "wechat")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=damaged(table(*ROWS).encode()))
def test_a_damaged_table_is_refused_or_accounted_for(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    require_words_or_balance(path, "wechat")


def test_a_line_without_end_is_refused_before_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("type_name,is_sender,talker,msg,CreateTime\n文本,0,ann," + "x" * 8_000_001 + ",1\n", "utf-8")
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path}:1: is no CSV (a line of more than 8,000,000 characters); it is damaged, or a quotation mark is left "
        "open. Export the chats with PyWxDump or WeFlow as CSV, and give the folder."
    )
