"""What WhatsApp itself writes is nothing that anybody said; what stands beside it is."""

from pathlib import Path
from time import process_time

import pytest

from pipeline.archives.told import CALL, DELETED, MEDIA, NO_TEXT
from pipeline.archives.whatsapp.names import breaks_off
from pipeline.archives.whatsapp.own_words import SYSTEM, OwnWords, Said
from tests.archives.reading import read

LRM = "\u200e"
ANDROID, IPHONE = OwnWords(is_ios=False), OwnWords(is_ios=True)
BARE = OwnWords(is_ios=True, has_marks=False)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<Media omitted>", Said("", MEDIA)),
        ("<Media omitted>\nthe caption", Said("the caption", MEDIA)),
        ("<Medien ausgeschlossen>\n4Bit Adder.mod", Said("", MEDIA)),
        ("<Video note omitted>", Said("", MEDIA)),
        ("<View once voice message omitted>", Said("", MEDIA)),
        ("<Multimedia weggelaten>", Said("", MEDIA)),
        (f"{LRM}IMG-20240205-WA0001.jpg (file attached)\nlook\nat it", Said("look\nat it", MEDIA)),
        (f"{LRM}IMG-20240205-WA0001.jpg (tuntematon)\nlook", Said("look", MEDIA)),
        ("IMG-20240205-WA0001.jpg (tuntematon)", Said("", MEDIA)),
        ("map.pdf (file attached)\nmap.pdf", Said("", MEDIA)),
        ("Nell.vcf (Datei angehängt)", Said("", MEDIA)),
        ("فایل پیوست شد IMG-20240205-WA0001.jpg", Said("", MEDIA)),
        ("notes.txt (my own version)", Said("notes.txt (my own version)")),
        ("<tea>", Said("<tea>")),
        ("<b>bold</b>", Said("<b>bold</b>")),
        ("ei kuvaa", Said("ei kuvaa")),
        ("location: https://maps.google.com/?q=50.1,8.6", Said("", SYSTEM)),
        ("Standort: https://maps.google.com/?q=-50.1,8.6", Said("", SYSTEM)),
        ("ubicación: Café Sol (Calle 5): https://foursquare.com/v/4b05", Said("", SYSTEM)),
        ("meet me here: https://maps.google.com/?q=1,2", Said("meet me here: https://maps.google.com/?q=1,2")),
        ("live location shared", Said("", SYSTEM)),
        ("POLL:\nWhich day?\nOPTION: Monday (2 votes)\nOPTION: Tuesday (0 votes)\n", Said("", SYSTEM)),
        ("SONDAGE :\nQuel jour ?\nOPTION : lundi (1 vote)\nOPTION : mardi (0 vote)", Said("", SYSTEM)),
        ("استطلاع رأي:\nمتى؟\nخيار: غدا (٢ أصوات)\nخيار: لا (٠ أصوات)", Said("", SYSTEM)),
        ("SHOP:\nmilk: cold (2 l)\nmilk: warm (1 l)", Said("SHOP:\nmilk: cold (2 l)\nmilk: warm (1 l)")),
        ("POLL:\nwho is in?", Said("POLL:\nwho is in?")),
        ("TODO:\nbuy: milk", Said("TODO:\nbuy: milk")),
        ("Diese Nachricht wurde gelöscht.", Said("", DELETED)),
        ("Eliminaste este mensaje.", Said("", DELETED)),
        ("This message was deleted by admin Nell.", Said("", DELETED)),
        ("This message was deleted, sorry", Said("This message was deleted, sorry")),
        ("Missed voice call", Said("", CALL)),
        ("Missed video call. Tap to call back", Said("", CALL)),
        ("Voice call, 2 min", Said("", CALL)),
        ("Sesli arama. Cevaplanmadı", Said("", CALL)),
        ("Video call, 5 pm?", Said("Video call, 5 pm?")),
        ("Waiting for this message. This may take a while.", Said("", SYSTEM)),
        ("null", Said("", SYSTEM)),
        ("", Said("", NO_TEXT)),
        (" \n ", Said("", NO_TEXT)),
        ("Hi <This message was edited>", Said("Hi", "", True)),
        ("Hola <Se editó este mensaje.>", Said("Hola", "", True)),
        ("Hi <see above>", Said("Hi <see above>")),
        ("Hi <edit: typo>", Said("Hi <edit: typo>")),
        ("if a < b and c > d", Said("if a < b and c > d")),
        ("toll <credit to Anna>", Said("toll <credit to Anna>")),
        ("use <input editable>", Said("use <input editable>")),
        ("siehe <modified>", Said("siehe <modified>")),
        ("Kreditvertrag <Kredit>", Said("Kreditvertrag <Kredit>")),
        ("x <meditates>", Said("x <meditates>")),
        ("Null", Said("Null")),
        ("Null.", Said("Null.")),
        ("null.", Said("null.")),
        ("<immediately leaves>", Said("<immediately leaves>")),
        ("<medium rare>", Said("<medium rare>")),
        ("<Mediterranean food>", Said("<Mediterranean food>")),
        ("<Médiafájl kihagyva>", Said("", MEDIA)),
    ],
)
def test_what_android_writes_is_told_from_speech(body: str, said: Said) -> None:
    assert ANDROID.said(body) == said


@pytest.mark.parametrize(
    ("body", "is_marked", "said"),
    [
        (f"{LRM}image omitted", True, Said("", MEDIA)),
        (f"{LRM}pilt jäeti välja", True, Said("", SYSTEM)),
        (f"{LRM}<attached: 00000042-PHOTO.jpg>", True, Said("", MEDIA)),
        (f"{LRM}<00000042-PHOTO.jpg eklendi>", True, Said("", MEDIA)),
        (f"Look again {LRM}<attached: 00000042-PHOTO.jpg>", True, Said("Look again", MEDIA)),
        (f"Look again\nand again {LRM}image omitted", True, Said("Look again\nand again", MEDIA)),
        (f"Look again {LRM}pilt jäeti välja", True, Said("Look again", MEDIA)),
        (f"lease.pdf • {LRM}14 pages {LRM}document omitted", True, Said("", MEDIA)),
        (f"lease.pdf • {LRM}<attached: 00000004-lease.pdf>", True, Said("", MEDIA)),
        (f"lease.pdf • {LRM}14 pages {LRM}read it {LRM}document omitted", True, Said("read it", MEDIA)),
        (f"lease.pdf {LRM}document omitted", True, Said("", MEDIA)),
        (f"a • b {LRM}<attached: 00000042-PHOTO.jpg>", True, Said("a • b", MEDIA)),
        (
            f"{LRM}POLL:\nWhich day?\n{LRM}OPTION: Monday ({LRM}2 votes)\n{LRM}OPTION: No (0 votes)",
            False,
            Said("", SYSTEM),
        ),
        (f"{LRM}Contact card omitted", True, Said("", MEDIA)),
        (f"{LRM}Voice call, {LRM}2 min", False, Said("", CALL)),
        (f"{LRM}This message was deleted.", False, Said("", DELETED)),
        (f"{LRM}Nell changed the group name to “a: b”", False, Said("", SYSTEM)),
        (f"Hi {LRM}<See sõnum on muudetud>", False, Said("Hi", "", True)),
        (f"my number is {LRM}+49 170 1", False, Said(f"my number is {LRM}+49 170 1")),
        ("\u200fמה שלומך", False, Said("\u200fמה שלומך")),
    ],
)
def test_what_an_iphone_writes_is_told_from_speech(body: str, is_marked: bool, said: Said) -> None:
    assert IPHONE.said(body, is_marked) == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("image omitted", Said("", MEDIA)),
        ("look at this image omitted", Said("look at this", MEDIA)),
        ("lease.pdf • 14 pages document omitted", Said("", MEDIA)),
        ("görüntü dahil edilmedi", Said("", MEDIA)),
        ("Messages and calls are end-to-end encrypted. No one outside of this chat can read them.", Said("", SYSTEM)),
        ("the image was omitted", Said("the image was omitted")),
    ],
)
def test_an_iphones_words_are_known_without_their_marks(body: str, said: Said) -> None:
    assert BARE.said(body) == said


def test_a_placeholder_of_an_unknown_language_is_known_by_coming_again(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    line = "05/02/24, 10:0{n} - {who}: <zwee jäeti välja>\n"
    path.write_text(
        "05/02/24, 10:00 - Nell: a\n"
        + "".join(line.format(n=n, who=who) for n, who in enumerate(("Nell", "Otto", "Nell")))
    )
    found = read(path)
    assert (found.said, found.loaded.dropped) == ([("Nell", "a")], {MEDIA: 3})


def test_an_edit_note_of_an_unknown_language_is_known_by_coming_again(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    head = "05/02/24, 10:0"
    path.write_text(
        f"{head}0 - Nell: a <dës Noriicht modifizéiert>\n{head}1 - Otto: b\nc <dës Noriicht modifizéiert>\n"
        f"{head}2 - Nell: d <modified by me>\n{head}3 - Nell: e <tea>\n{head}4 - Nell: f <tea>\n"
    )
    said = [("Nell", "a"), ("Otto", "b\nc"), ("Nell", "d <modified by me>"), ("Nell", "e <tea>"), ("Nell", "f <tea>")]
    assert read(path).said == said


@pytest.mark.parametrize(
    "line",
    [
        'Hare changed the subject from "a: b" to "c: d"',
        "Hare hat den Betreff von „a: b“ zu „c: d“ geändert.",
        "Hare muutti aiheen ”a: b” aiheeksi ”c: d”",
        "Hareが件名を「a: b」から「c: d」に変更しました",
        "Hare a changé le sujet de « a: b » à « c: d »",
        "Hare изменил(-а) тему с «a: b» на «c: d»",
        "Hare ændrede emnet fra »a: b« til »c: d«",
        "Hare changed the group description to: all about races: fast ones",
        "You changed the subject to: all about races",
        "You're now an admin",
        "Messages and calls are end-to-end encrypted. Only people in this chat can read them: learn more",
    ],
)
def test_lines_about_somebody_are_nobodys_speech(tmp_path: Path, line: str) -> None:
    path = tmp_path / "chat.txt"
    head = "15/08/23, 09:12 - "
    path.write_text(f"{head}Hare: a\n{head}Hare: b\n{head}{line}\n{head}Hare: c\n{head}Bob: d\n")
    found = read(path)
    assert found.said == [("Hare", "a"), ("Hare", "b"), ("Hare", "c"), ("Bob", "d")]
    assert found.left_out[0][0] == SYSTEM


@pytest.mark.parametrize(
    "text",
    ["POLL:\nq\n" + ("OPTION: " + "(" * 65_000 + "\n") * 3, "<" * 65_000 + ">", "a.b (" * 13_000 + ")"],
    ids=["brackets", "angles", "files"],
)
def test_a_long_message_costs_no_more_than_its_length(text: str) -> None:
    begin = process_time()
    assert ANDROID.said(text).text == text.strip()
    assert process_time() - begin < 5, "quadratic: it takes minutes"


@pytest.mark.parametrize(
    ("name", "is_open"),
    [
        ('Bob "the man" Fox', False),
        ("O'Brien", False),
        ('changed to "a', True),
        ("von „a“ zu „b", True),
        ("”a”", False),
    ],
)
def test_a_quotation_that_does_not_end_is_seen(name: str, is_open: bool) -> None:
    assert breaks_off(name) == is_open
