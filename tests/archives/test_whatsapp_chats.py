"""Several exports of one chat are one conversation, each message once; other files in an export are no chats."""

import zipfile
from pathlib import Path

import pytest

from pipeline.archives.members import Members
from pipeline.archives.told import MEDIA, TWICE
from pipeline.archives.whatsapp.chats import title_of
from pipeline.archives.whatsapp.source import recognise
from pipeline.errors import InputError
from tests.archives.reading import read

DAY = "{day:02}/03/2024, 10:{minute:02} - {who}: {text}\n"


def lines(first: int, last: int, who: tuple[str, str] = ("Nell", "Otto")) -> str:
    return "".join(DAY.format(day=n, minute=n, who=who[n % 2], text=f"item {n}") for n in range(first, last))


def zipped(path: Path, files: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_exports_that_overlap_are_one_conversation_with_each_message_once(tmp_path: Path) -> None:
    (tmp_path / "WhatsApp Chat - Nell.txt").write_text(lines(1, 17))
    (tmp_path / "WhatsApp Chat - Nell 2.txt").write_text(lines(1, 25))
    found = read(tmp_path)
    (session,) = found.sessions
    assert [message.content for message in session.messages] == [f"item {n}" for n in range(1, 25)]
    assert (found.loaded.dropped, found.loaded.rows) == ({TWICE: 16}, 40)


def test_exports_that_only_touch_are_put_in_order(tmp_path: Path) -> None:
    zipped(tmp_path / "WhatsApp Chat - Nell.zip", {"_chat.txt": lines(9, 20)})
    (tmp_path / "WhatsApp Chat with Nell.txt").write_text(lines(1, 12))
    (session,) = read(tmp_path).sessions
    assert [message.content for message in session.messages] == [f"item {n}" for n in range(1, 20)]


def test_what_was_said_twice_in_one_file_stays_twice(tmp_path: Path) -> None:
    ok = DAY.format(day=3, minute=1, who="Nell", text="ok")
    (tmp_path / "a.txt").write_text(lines(1, 3) + ok * 2)
    (tmp_path / "b.txt").write_text(lines(1, 3) + ok * 2 + lines(4, 6))
    found = read(tmp_path)
    (session,) = found.sessions
    assert [message.content for message in session.messages] == ["item 1", "item 2", "ok", "ok", "item 4", "item 5"]
    assert found.loaded.dropped == {TWICE: 4}


def test_a_message_that_was_edited_between_two_exports_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "WhatsApp Chat with Nell.txt").write_text(lines(1, 5))
    later = lines(1, 7).replace("item 3", "item three <This message was edited>")
    (tmp_path / "WhatsApp Chat with Nell (1).txt").write_text(later)
    (session,) = read(tmp_path).sessions
    texts = [message.content for message in session.messages]
    assert texts == ["item 1", "item 2", "item three", "item 4", "item 5", "item 6"]


def test_chats_of_the_same_people_under_other_names_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "WhatsApp Chat - 00.txt").write_text(lines(1, 5))
    (tmp_path / "WhatsApp Chat - 01.txt").write_text(lines(5, 9))
    (tmp_path / "WhatsApp Chat - Trip 1.txt").write_text(
        "".join(lines(1, 5, pair) for pair in (("A", "B"), ("C", "D")))
    )
    (tmp_path / "WhatsApp Chat - Trip 2.txt").write_text(
        "".join(lines(7, 9, pair) for pair in (("A", "B"), ("C", "D")))
    )
    found = read(tmp_path)
    assert [(session.id, session.title) for session in found.sessions] == [
        ("whatsapp-1", None),
        ("whatsapp-2", None),
        ("whatsapp-3", "Trip 1"),
        ("whatsapp-4", "Trip 2"),
    ]
    assert TWICE not in found.loaded.dropped


def test_a_greeting_sent_to_all_makes_no_one_chat_of_several(tmp_path: Path) -> None:
    new_year = "01/01/2024, 00:00 - Otto: Happy new year!\n"
    for name in ("Ann", "Bob"):
        (tmp_path / f"{name}.txt").write_text(new_year + lines(1, 9, (name, "Otto")).replace("item", name))
    assert len(read(tmp_path).sessions) == 2


CHAT = (
    "[03/02/2024, 18:04:11] Nell Harrow: \u200eMessages and calls are end-to-end encrypted.\n"
    "[03/02/2024, 18:05:02] Otto Finch: yes, here it is\n"
    "\u200e[03/02/2024, 18:05:20] Otto Finch: rezept.txt • \u200e<attached: 00000004-rezept.txt>\n"
    "[03/02/2024, 18:06:10] Nell Harrow: wonderful\n"
)


@pytest.mark.parametrize(
    "attached",
    [
        "500 g Mehl, für Gäste\n".encode("cp1252"),
        b"500 g flour\n",
        "500 g flour\n".encode("utf-16"),
        b"[01/01/2024, 10:00:00] Ida: from another chat\n[01/01/2024, 10:00:01] Eve: as a file\n",
    ],
    ids=["cp1252", "utf-8", "utf-16", "a chat"],
)
@pytest.mark.parametrize("is_zip", [True, False])
def test_text_files_that_were_sent_are_not_read(tmp_path: Path, attached: bytes, is_zip: bool) -> None:
    files: dict[str, bytes | str] = {
        "_chat.txt": CHAT,
        "00000004-rezept.txt": attached,
        "00000005-PHOTO.jpg": b"\xff\xd8",
    }
    if is_zip:
        path = zipped(tmp_path / "WhatsApp Chat - Nell.zip", files)
    else:
        path = tmp_path / "WhatsApp Chat - Nell"
        path.mkdir()
        for name, data in files.items():
            (path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    found = read(path)
    assert found.said == [("Otto Finch", "yes, here it is"), ("Nell Harrow", "wonderful")]
    assert found.loaded.dropped[MEDIA] == 1


def test_a_zip_made_again_by_a_mac_is_read(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "again.zip",
        {"WhatsApp Chat - Nell/_chat.txt": CHAT, "__MACOSX/WhatsApp Chat - Nell/._chat.txt": b"\0\5\x16\7\xff\xfe"},
    )
    assert len(read(path).said) == 2


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("WhatsApp Chat with Nell.txt", "Nell"),
        ("WhatsApp Chat - Nell Harrow.txt", "Nell Harrow"),
        ("WhatsApp-Chat mit Jürgen.txt", "Jürgen"),
        ("Chat de WhatsApp con Ana 🌻.txt", "Ana 🌻"),
        ("Discussion WhatsApp avec Zoé.txt", "Zoé"),
        ("Conversa do WhatsApp com João.txt", "João"),
        ("WhatsApp_Chat_with_Nell_Harrow.txt", "Nell Harrow"),
        ("NellとのWhatsAppチャット.txt", "Nell"),
        ("WhatsApp 与 Nell 的对话.txt", "Nell"),
        ("Nell ile WhatsApp Sohbeti.txt", "Nell"),
        ("Чат WhatsApp с Нелл.txt", "Нелл"),
        ("WhatsApp Vestlus - Nell.txt", "Nell"),
        ("nell.txt", None),
    ],
)
def test_the_name_of_the_chat_is_in_the_files(tmp_path: Path, name: str, title: str | None) -> None:
    (tmp_path / name).write_text(lines(1, 3))
    with Members(tmp_path / name) as members:
        assert title_of(members.all[0]) == title


def test_an_iphones_zip_has_the_name_of_the_chat(tmp_path: Path) -> None:
    group = CHAT + "[03/02/2024, 18:06:11] Ida: me too\n"
    zipped(tmp_path / "WhatsApp Chat - Trip to Rome.zip", {"_chat.txt": group})
    assert [session.title for session in read(tmp_path).sessions] == ["Trip to Rome"]
    assert [session.title for session in read(tmp_path / "WhatsApp Chat - Trip to Rome.zip").sessions] == [
        "Trip to Rome"
    ]


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ('03/02/2024, 18:04 - Nell created group "Trip: Rome"\n', "Trip: Rome"),
        ("03/02/2024, 18:04 - Nell hat die Gruppe „Trip: Rome“ erstellt\n", "Trip: Rome"),
        ("03/02/2024, 18:04 - Nellがグループ「Trip: Rome」を作成しました\n", "Trip: Rome"),
    ],
)
def test_a_group_of_two_who_speak_is_a_group_by_its_founding(tmp_path: Path, line: str, title: str) -> None:
    (tmp_path / "chat.txt").write_text(line + lines(1, 5))
    (session,) = read(tmp_path / "chat.txt").sessions
    assert (session.kind, session.title) == ("group", title)


DATABASE = (
    "WhatsApp's own database, which is not read. In WhatsApp, open the chat, choose Export chat > Without media, and "
    "give the .zip; or give the result.json that WhatsApp-Chat-Exporter makes of the database."
)


@pytest.mark.parametrize("name", ["msgstore.db", "ChatStorage.sqlite", "backup", "msgstore.db.crypt15"])
@pytest.mark.parametrize("is_folder", [False, True])
def test_whatsapps_own_databases_are_refused_with_what_to_do(tmp_path: Path, name: str, is_folder: bool) -> None:
    if name == "backup" and is_folder:
        pytest.skip("in a folder they are known by their names")
    import sqlite3
    from contextlib import closing

    if name.endswith("crypt15"):
        (tmp_path / name).write_bytes(b"\x0a\x20\0\1\2\xff" * 50)
    else:
        with closing(sqlite3.connect(tmp_path / name)) as db:
            table = "ZWAMESSAGE" if "Chat" in name else "message_media"
            db.execute(f"CREATE TABLE {table} (_id INTEGER)")
            db.commit()
    path = tmp_path if is_folder else tmp_path / name
    with Members(path) as members, pytest.raises(InputError) as refused:
        recognise(members)
    assert str(refused.value) == f"{path}: {DATABASE}"


def test_other_databases_are_left_to_others(tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(tmp_path / "chat.db")) as db:
        db.execute("CREATE TABLE message (ROWID INTEGER)")
        db.commit()
    with Members(tmp_path / "chat.db") as members:
        assert recognise(members) is None
