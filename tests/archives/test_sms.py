import re
import tracemalloc
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.archives import read_xml
from pipeline.archives.filters import Filters
from pipeline.archives.recognise import recognise
from pipeline.archives.sms import DRAFT, EXPORT, UNKNOWN_KIND, UNSENT
from pipeline.archives.told import MEDIA, NO_TEXT, TWICE
from pipeline.errors import InputError
from tests.archives.fuzzing import damaged, require_words_or_balance
from tests.archives.reading import read

HEAD = """<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>
<!--File Created By SMS Backup & Restore v10.15.002 on 28/08/2023 10:00:00-->
<?xml-stylesheet type="text/xsl" href="sms.xsl"?>
"""
ANN, BO = "+15550100123", "+15550100124"


def sms(second: int, body: str, *, kind: int = 1, address: str = ANN, name: str = "Ann Lee") -> str:
    return (
        f'  <sms protocol="0" address="{address}" date="{1693182720000 + second * 1000}" type="{kind}" subject="null" '
        f'body="{body}" toa="null" read="1" readable_date="Aug 28, 2023" contact_name="{name}" />\n'
    )


def mms(second: int, address: str, box: int, parts: str, addresses: str = "", **more: str) -> str:
    extra = "".join(f' {key}="{value}"' for key, value in more.items())
    return (
        f'  <mms date="{1693182720000 + second * 1000}" msg_box="{box}" address="{address}"{extra}>\n'
        f"    <parts>{parts}</parts><addrs>{addresses}</addrs></mms>\n"
    )


def text(said: str) -> str:
    return f'<part seq="0" ct="text/plain" text="{said}"/>'


SMIL = '<part seq="-1" ct="application/smil" text="&lt;smil/&gt;"/>'
PHOTO = '<part seq="1" ct="image/jpeg" text="null" data="QUJD"/>'


def backup(path: Path, *rows: str) -> Path:
    path.write_text(f'{HEAD}<smses count="{len(rows)}" backup_set="x" type="full">\n{"".join(rows)}</smses>', "utf-8")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sms-20230828.xml"


def test_messages_are_read_by_who_sent_them(path: Path) -> None:
    rows = (
        sms(3, "Hi"),
        sms(5, "Ho", kind=2, address="(555) 010-0123", name="(Unknown)"),
        sms(6, "not yet", kind=3),
        sms(7, "failed", kind=5),
        sms(8, "odd", kind=9),
        sms(9, "null"),
    )
    found = read(backup(path, *rows))
    (session,) = found.sessions
    assert (session.id, session.kind, session.platform) == ("sms/5550100123", "direct", "SMS")
    assert [(each.sender, each.is_me, each.time, each.content) for each in session.messages] == [
        ("Ann Lee", False, "2023-08-28T00:32:03Z", "Hi"),
        ("me", True, "2023-08-28T00:32:05Z", "Ho"),
        ("me", True, "2023-08-28T00:32:07Z", "failed"),
    ]
    assert found.loaded.dropped == {DRAFT: 1, UNKNOWN_KIND: 1, NO_TEXT: 1}
    assert found.loaded.noted == {UNSENT: 1}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("&#55357;&#56832;", "😀"),
        ("&#xD83D;&#xDE00;", "😀"),
        ("&#128512; &#x1F600;", "😀 😀"),
        ("&#55357;&#56397;&#55356;&#57339;", "👍🏻"),
        ("a&#55357;b", "a\ufffdb"),
        ("a&#56832;b", "a\ufffdb"),
        ("&#56832;&#55357;", "\ufffd\ufffd"),
        ("a&#0;b&#11;c\x01d", "abcd"),
        ("one&#10;two &lt;3 &amp;#55357; &quot;", 'one\ntwo <3 &#55357; "'),
        ("&#xFFFF;", "\ufffd"),
        ("&#99999999;", "\ufffd"),
    ],
)
def test_references_that_are_no_xml_are_mended(path: Path, written: str, said: str) -> None:
    assert read(backup(path, sms(1, written))).said == [("Ann Lee", said)]


def test_halves_of_a_character_that_were_encoded_alone_are_one(path: Path) -> None:
    backup(path, sms(1, "x"))
    path.write_bytes(path.read_bytes().replace(b'body="x"', b'body="\xed\xa0\xbd\xed\xb8\x80"'))
    assert read(path).said == [("Ann Lee", "😀")]


@given(size=st.integers(1, 400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_it_does_not_matter_where_a_block_ends(path: Path, size: int) -> None:
    photo = f'<part ct="image/jpeg" text="null" data="{"QUJD" * 100}"/>'
    rows = (sms(1, "a&#55357;&#56832;b&#10;c é 😀"), mms(2, ANN, 2, photo + text("look data=here")), sms(3, "&#56832;"))
    backup(path, *rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_xml, "BLOCK", size)
        assert read(path, "sms").said == [("Ann Lee", "a😀b\nc é 😀"), ("me", "look data=here"), ("Ann Lee", "\ufffd")]


def test_single_quotes_hold_double_ones(path: Path) -> None:
    row = sms(1, "x").replace('body="x"', """body='He said "data=" to me'""")
    assert read(backup(path, row)).said == [("Ann Lee", 'He said "data=" to me')]


def test_a_group_is_known_by_its_numbers_and_its_people_by_any_row(path: Path) -> None:
    sender = f'<addr address="{BO}" type="137"/><addr address="+15550100999" type="151"/>'
    group = f"{ANN}~{BO}"
    rows = (
        mms(1, group, 1, SMIL + text("hello") + PHOTO, sender, contact_name="Ann Lee, Bo"),
        mms(2, group, 2, PHOTO),
        mms(3, f"{BO}~{ANN}", 2, text("hi"), '<addr address="insert-address-token" type="137"/>'),
        mms(4, BO, 2, text("you?"), sub="Only you", contact_name="Bo"),
        mms(5, "null", 1, text("from addrs"), f'<addr address="{ANN}" type="137"/>'),
        sms(6, "yes", address=ANN),
    )
    found = read(backup(path, *rows))
    talks = [(each.id, each.kind, [(m.sender, m.content) for m in each.messages]) for each in found.sessions]
    assert talks == [
        ("sms/5550100123~5550100124", "group", [("Bo", "hello"), ("me", "hi")]),
        ("sms/5550100124", "direct", [("me", "Only you\nyou?")]),
        ("sms/5550100123", "direct", [("Ann Lee", "from addrs"), ("Ann Lee", "yes")]),
    ]
    assert found.loaded.dropped == {MEDIA: 1}


def test_two_people_of_one_name_stay_two_and_messages_come_in_order(path: Path) -> None:
    rows = (sms(9, "c"), sms(1, "a"), sms(5, "b", address=BO, name="Ann Lee"))
    found = read(backup(path, *rows))
    assert found.said == [("Ann Lee", "a"), ("Ann Lee", "c"), (f"Ann Lee ({BO})", "b")]


def test_what_stands_in_two_backups_counts_once(tmp_path: Path) -> None:
    backup(tmp_path / "1.xml", sms(1, "a"), sms(2, "b"))
    backup(tmp_path / "2.xml", sms(2, "b"), sms(3, "c"))
    (tmp_path / "calls-1.xml").write_text(f'{HEAD}<calls count="1"><call number="1"/></calls>')
    found = read(tmp_path)
    assert (found.said, found.loaded.dropped) == ([("Ann Lee", each) for each in "abc"], {TWICE: 1})
    archive = recognise(tmp_path)
    assert (archive.source, archive.what, archive.because) == (
        "sms",
        "text messages saved by SMS Backup & Restore",
        "what is in 1.xml and 1 more like it",
    )


def test_filters_work_by_number_and_date(path: Path) -> None:
    backup(path, sms(1, "a"), sms(2, "b", address=BO, name="(Unknown)"))
    assert read(path, filters=Filters(only_people=("555-010-0124",))).said == [(BO, "b")]
    assert read(path, filters=Filters(since=date(2023, 8, 29))).said == []


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE smses [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
    f'<smses count="1">{sms(1, "&b;")}</smses>'
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            BOMB,
            "XML with a document type, which SMS Backup & Restore does not write. Give the sms-….xml as the app saved "
            "it.",
        ),
        (
            f'{HEAD}<smses count="1">{sms(1, "a")}',
            "XML that is damaged or cut off (no element found, in line 5). Back up the messages again.",
        ),
        (
            f'{HEAD}<smses count="1">{sms(1, "a<b")}</smses>',
            "XML that is damaged or cut off (not well-formed (invalid token), in line 4). Back up the messages again.",
        ),
        (
            f'{HEAD}<smses count="1">{sms(1, "&b;")}</smses>',
            "XML that is damaged or cut off (undefined entity, in line 4). Back up the messages again.",
        ),
        (
            f'{HEAD}<calls count="1"></calls>',
            f"no text messages saved by SMS Backup & Restore. {EXPORT}",
        ),
    ],
)
def test_what_cannot_be_read_is_one_message(path: Path, content: str, message: str) -> None:
    path.write_text(content)
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: {message}')}$"):
        read(path, "sms")


def test_a_list_of_calls_is_recognised_and_answered(path: Path) -> None:
    path.write_text(f'{HEAD}<calls count="1"></calls>')
    message = f"{path}: SMS Backup & Restore's list of calls, without messages. {EXPORT}"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        recognise(path)


def test_a_photo_of_many_megabytes_is_not_held(path: Path) -> None:
    backup(path, mms(1, ANN, 2, f'<part ct="image/jpeg" text="null" data="{"QUJD" * 4_000_000}"/>' + text("look")))
    tracemalloc.start()
    try:
        assert read(path, "sms").said == [("me", "look")]
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


WHOLE = (
    f"{HEAD}<smses>{sms(1, 'a&#55357;&#56832;')}{mms(2, f'{ANN}~{BO}', 1, SMIL + text('b') + PHOTO)}</smses>".encode()
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=damaged(WHOLE))
def test_a_damaged_backup_is_refused_or_accounted_for(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    require_words_or_balance(path, "sms")


@pytest.mark.parametrize("subject", ["NoSubject", "no subject", "(No Subject)", "[NO SUBJECT]", "&lt;no-subject&gt;"])
def test_a_subject_that_says_that_there_is_none_is_no_speech(path: Path, subject: str) -> None:
    backup(path, mms(0, ANN, 1, text("Hi"), sub=subject), mms(1, ANN, 1, PHOTO, sub=subject))
    found = read(path)
    assert [text for _, text in found.said] == ["Hi"]
    assert found.loaded.dropped == {MEDIA: 1}


@pytest.mark.parametrize("date", ["1" * 400, "1" * 5000, "-" + "9" * 40])
def test_a_number_that_is_no_time_is_none(path: Path, date: str) -> None:
    path.write_text(backup(path, sms(0, "Hi")).read_text().replace("1693182720000", date))
    assert [each.time for each in read(path).sessions[0].messages] == [None]


def test_a_contacts_name_is_one_line(path: Path) -> None:
    backup(path, sms(0, "Hi", name="Ann&#10;Me: yes"))
    assert read(path).said == [("Ann Me: yes", "Hi")]
