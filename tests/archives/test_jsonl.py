import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from pipeline.archives import gathered, jsonl
from pipeline.archives.filters import Filters
from pipeline.archives.recognise import recognise
from pipeline.archives.told import NO_TEXT
from pipeline.errors import InputError
from pipeline.sessions.session import ENDLESS
from tests.archives.exports import telegram
from tests.archives.fuzzing import damaged, require_words_or_balance
from tests.archives.reading import read

ROOT = Path(__file__).parents[2]
SHOWN = "docs/jsonl.md shows what a line holds."


def written(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def row(conversation: str | int, second: int, text: str | None, **more: Any) -> dict[str, Any]:
    return {"conversation": conversation, "ts": 1693182720 + second, "sender": "Ann", "text": text} | more


ROWS = (
    row("b", 9, "b2"),
    row("a", 3, "Hi", id=1),
    row("b", 8, "b1"),
    row("a", 4, "Yes?", id=2, is_me=True, sender="Alex", reply_to=1),
    row("a", 5, "mine", reply_to=2, is_me=1),
    row("a", 6, "far", reply_to=77),
    row("a", 7, None),
    row("a", 7, "  "),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chats.jsonl"


def test_conversations_that_are_mixed_come_out_one_by_one_in_order(path: Path) -> None:
    path.write_text(written(*ROWS))
    found = read(path)
    assert [(each.id, each.kind, each.title, each.platform) for each in found.sessions] == [
        ("b", "direct", None, "a messenger"),
        ("a", "direct", None, "a messenger"),
    ]
    assert [[each.content for each in session.messages] for session in found.sessions] == [
        ["b1", "b2"],
        ["Hi", "Yes?", "mine", "far"],
    ]
    hi, yes, mine, _ = found.sessions[1].messages
    assert (hi.sender, hi.is_me, hi.time) == ("Ann", False, "2023-08-28T00:32:03Z")
    assert (yes.sender, yes.is_me, yes.reply_to) == ("me", True, "Hi")
    assert not isinstance(mine.reply_to, str)
    assert found.loaded.dropped == {NO_TEXT: 2}
    assert found.loaded.noted == {"whose `reply_to` is the id of no message before it": 1}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n \n"])
def test_it_does_not_matter_what_saved_it(path: Path, encoding: str, end: str) -> None:
    path.write_bytes(written(*ROWS).replace("\n", end).encode(encoding))
    assert [text for _, text in read(path).said] == ["b1", "b2", "Hi", "Yes?", "mine", "far"]


@pytest.mark.parametrize(
    ("ts", "time"),
    [
        (1693182723, "2023-08-28T00:32:03Z"),
        (1693182723.9, "2023-08-28T00:32:03Z"),
        (1693182723000, "2023-08-28T00:32:03Z"),
        (1693182723000000, "2023-08-28T00:32:03Z"),
        ("1693182723", "2023-08-28T00:32:03Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        ("2023-08-28T02:32:03+02:00", "2023-08-28T00:32:03Z"),
        ("2023-08-28T00:32:03.5Z", "2023-08-28T00:32:03Z"),
        ("2023-08-28 00:32:03", "2023-08-28T00:32:03Z"),
        ("2023-08-28", "2023-08-28T00:00:00Z"),
        (None, None),
        ("", None),
    ],
)
def test_times_are_iso_8601_or_unix(path: Path, ts: Any, time: str | None) -> None:
    path.write_text(written(row("a", 0, "x", ts=ts)))
    assert [each.time for each in read(path).sessions[0].messages] == [time]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"conversation": "a", "sender": "Ann"}', "Object missing required field `text`"),
        ('{"sender": "Ann", "text": "x"}', "Object missing required field `conversation`"),
        ('{"conversation": "a", "text": "x"}', "`sender` is missing, and `is_me` is not true"),
        ('{"conversation": "a", "sender": "", "text": "x"}', "`sender` is missing, and `is_me` is not true"),
        ('{"conversation": "a", "sender": "Ann", "text": 5}', "Expected `str | null`, got `int` - at `$.text`"),
        (
            '{"conversation": "a", "sender": "Ann", "text": "x", "is_me": "no"}',
            "Expected `bool | int | null`, got `str` - at `$.is_me`",
        ),
        (
            '{"conversation": "a", "sender": "Ann", "text": "x", "is_me": 2}',
            "`is_me` is neither true nor false",
        ),
        (
            '{"conversation": "a", "sender": "Ann", "text": "x", "kind": "secret words"}',
            '`kind` is neither "direct" nor "group"',
        ),
        (
            '{"conversation": "a", "sender": "Ann", "text": "x", "ts": "secret words"}',
            "`ts` is neither a time in ISO 8601 nor one in seconds since 1970",
        ),
        (
            '{"conversation": "a", "sender": "Ann", "text": "x", "ts": 1e300}',
            "`ts` is neither a time in ISO 8601 nor one in seconds since 1970",
        ),
        ('{"conversation": "a", "sender": "Ann", "text": "x"', "Input data was truncated"),
        ("[1]", "Expected `object`, got `array`"),
        ("secret words", "JSON is malformed: invalid character (byte 0)"),
    ],
)
def test_what_is_wrong_is_said_by_line(path: Path, line: str, what: str) -> None:
    path.write_text(f"\n{written(ROWS[0])}{line}\n")
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}:3: no message ({what}). {SHOWN}')}$"):
        read(path)


def test_bytes_that_are_no_text_are_said_by_line(path: Path) -> None:
    path.write_bytes(written(ROWS[0]).encode() + b'{"conversation": "a", "sender": "Ann", "text": "\xff"}')
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}:2: no message \('utf-8' codec can't decode"):
        read(path)


def test_half_characters_become_question_marks(path: Path) -> None:
    path.write_text('{"conversation": "a", "sender": "Ann", "text": "x\\ud83d", "ts": 5}\n')
    assert read(path).said == [("Ann", "x?")]


def test_keys_that_are_not_read_are_told(path: Path) -> None:
    path.write_text(written(row("a", 1, "x", is_from_me=True), row("a", 2, "y", is_from_me=False)))
    found = read(path)
    assert found.said == [("Ann", "x"), ("Ann", "y")]
    assert found.loaded.noted == {"on a line with the key `is_from_me`, which is not read": 2}


def test_who_somebody_is_what_a_chat_is_called_and_what_it_is_may_be_said(path: Path) -> None:
    path.write_text(
        written(
            row("a", 1, "x", sender_id=7, title="Crew", kind="group", platform="Line"),
            row("a", 2, "y", sender_id=8),
            row(5, 3, "z", sender="Bo"),
            row(5, 4, "z", sender="Cy"),
            row(5, 4, "z", sender=9),
        )
    )
    found = read(path)
    assert [(each.id, each.kind, each.title, each.platform) for each in found.sessions] == [
        ("a", "group", "Crew", "Line"),
        ("5", "group", None, "a messenger"),
    ]
    assert [sender for sender, _ in found.said] == ["Ann", "Ann (8)", "Bo", "Cy", "9"]


def test_filters_work_by_date_and_chat(path: Path) -> None:
    path.write_text(written(*ROWS))
    assert [text for _, text in read(path, filters=Filters(only_chats=("b",))).said] == ["b1", "b2"]
    assert read(path, filters=Filters(since=date(2023, 8, 29))).said == []


def test_several_files_are_one_archive(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text(written(row("a", 2, "y"), row("a", 1, "x")))
    (tmp_path / "2.ndjson").write_text(written(row("a", 2, "y"), row("a", 3, "z")))
    (tmp_path / "notes.txt").write_text("Dear diary")
    found = read(tmp_path)
    assert found.said == [("Ann", "x"), ("Ann", "y"), ("Ann", "z")]
    archive = recognise(tmp_path)
    assert (archive.source, archive.what, archive.because) == (
        "jsonl",
        "chats of one message a line",
        "the keys of the first line of 1.jsonl",
    )


def test_a_line_too_long_for_a_message_is_left_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.archives.lines.LONGEST_LINE", 1000)
    path.write_text(written(row("a", 1, "x"), row("a", 2, "y" * 5000), row("a", 3, "z")))
    found = read(path)
    assert (found.said, found.loaded.dropped) == ([("Ann", "x"), ("Ann", "z")], {ENDLESS: 1})


def test_what_does_not_fit_in_memory_comes_out_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(written(*(row(f"{n % 3}", n * 7 % 100, f"{n}") for n in range(100))))
    whole = read(path).sessions
    monkeypatch.setattr(gathered, "HELD", 3000)
    assert read(path).sessions == whole


def test_an_answer_to_what_is_long_past_is_told_as_one_to_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "REMEMBERED", 2)
    rows = [row("a", n, f"{n}", id=n) for n in range(6)]
    path.write_text(
        written(*rows, row("a", 9, "old", is_me=True, reply_to=0), row("a", 9, "new", is_me=True, reply_to=4))
    )
    *_, old, new = read(path).sessions[0].messages
    assert (isinstance(old.reply_to, str), new.reply_to) == (False, "4")


def test_other_archives_are_not_taken_for_it(tmp_path: Path) -> None:
    path = telegram(tmp_path)
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}:1: no message \(Object missing required field"):
        read(path, "jsonl")


def test_the_lines_of_the_documentation_are_read(path: Path) -> None:
    page = (ROOT / "docs" / "jsonl.md").read_text(encoding="utf-8")
    block = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert block is not None
    path.write_text(block[1])
    found = read(path)
    assert len(found.said) == block[1].count("\n")
    assert found.loaded.noted == {}
    for key in jsonl._Line.__struct_fields__:
        assert f"| `{key}`" in page


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=damaged(written(*ROWS).encode()))
def test_a_damaged_file_is_refused_or_accounted_for(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    require_words_or_balance(path, "jsonl")


@pytest.mark.parametrize("before", [0, 1])
def test_a_line_that_is_nested_too_deeply_is_refused_in_words(path: Path, before: int) -> None:
    deep = "[" * 50_000 + "]" * 50_000
    path.write_text(written(*[row("a", 1, "Hi")] * before, row("a", 2, "x"))[:-2] + f', "more": {deep}}}\n')
    with pytest.raises(InputError) as caught:
        read(path, "jsonl")
    assert str(caught.value) == f"{path}:{before + 1}: no message (JSON is nested too deeply). {SHOWN}"


def test_what_stands_in_prompts_is_one_line(path: Path) -> None:
    rows = [row("a", second, "x", sender=f"A\n{second}\u2028b", sender_id=f"u\n{second}") for second in range(2)]
    rows.append(row("a", 3, "x", sender="A 1 b", sender_id="u\n9", title="The\ncrew", platform="Sig\nnal"))
    path.write_text(written(*rows))
    session = read(path).sessions[0]
    assert [each.sender for each in session.messages] == ["A 0 b", "A 1 b", "A 1 b (u 9)"]
    assert (session.title, session.platform) == ("The crew", "Sig nal")


@pytest.mark.parametrize("is_id_first", [True, False])
def test_an_id_that_is_also_a_name_is_somebody_else(path: Path, is_id_first: bool) -> None:
    rows = [row("a", 1, "by id", sender_id="Ann"), row("a", 1, "by name")]
    path.write_text(written(*(rows if is_id_first else rows[::-1]), *rows))
    assert len(set(read(path).said)) == len({who for who, _ in read(path).said}) == 2


def test_an_empty_id_is_none(path: Path) -> None:
    path.write_text(written(row("a", 1, "x", sender_id=""), row("a", 2, "y", sender_id="", sender="Bo")))
    assert read(path).said == [("Ann", "x"), ("Bo", "y")]
