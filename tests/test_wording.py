"""Foreign text never steers a terminal: whatever it holds, what is printed is printable, and our own colours."""

import io
import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.commands.context import say
from pipeline.commands.logs import shown
from pipeline.commands.senders import lines_of
from pipeline.errors import FinetuneError
from pipeline.sessions.senders import Chat, Sender
from pipeline.terminal.display import JsonDisplay, TextDisplay
from pipeline.terminal.invocation import Invocation
from pipeline.terminal.live_region import Below
from pipeline.terminal.run_log import RunLog
from pipeline.terminal.streams import say_aside, show, show_in_place
from pipeline.terminal.style import Lines
from pipeline.wording import about, counted, in_bytes, took, visible
from tests.command import Workshop
from tests.conftest import FakeClock

OURS = re.compile(r"\x1b\[[0-9;]*m|\r\x1b\[2K")
SHAPING = "\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"
HOSTILE = (
    "\x1b]0;title\x07\x1b[31mred\x1b[2J\x1b]52;c;ZXZpbA==\x07\x1b]8;;http://evil\x1b\\link \u202etxet\u2028"
    "\x9b31m \r over \b back \x85 next\nline [bold]not bold[/bold] [link=http://evil]x[/link] \x7f\u2066\ud800"
)
# Half of all characters are such as steer, hide or reorder; the rest are any.
foreign = st.text(st.one_of(st.sampled_from(sorted(set(HOSTILE) | set("\u200b\ufeff\U000e0041"))), st.characters()))


BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
IN_A_ROW = re.compile("[\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]{2}")


def steers(character: str) -> bool:
    """By Unicode's own categories: controls, ends of lines, halves, and formats but those that shape letters."""
    kind = unicodedata.category(character)
    if character in BLANK or 0xE0000 <= ord(character) < 0xE0100 or 0xE01F0 <= ord(character) < 0xE1000:
        return True
    if kind == "Cf":
        return character not in SHAPING and not 0x110BD <= ord(character) <= 0x1343F
    return (kind in ("Cc", "Zl", "Zp", "Cs") and character != "\t") or character in "\ufffe\uffff"


@given(foreign)
def test_nothing_that_steers_is_left_and_nothing_else_is_changed(text: str) -> None:
    made = visible(text)
    assert not any(map(steers, made))
    assert visible(made) == made
    if not any(map(steers, text)) and not IN_A_ROW.search(text):
        assert made == text


def test_a_row_of_joiners_or_selectors_is_text_that_nobody_sees() -> None:
    assert visible("a\ufe0f\ufe01\U000e0141b\u200d\u200d") == "a\ufe0f\\ufe01\\udb40\\udd41b\u200d\\u200d"
    assert visible("\U0001f441\ufe0f\u200d\U0001f5e8\ufe0f") == "\U0001f441\ufe0f\u200d\U0001f5e8\ufe0f"


def test_letters_that_are_blank_are_spelt() -> None:
    assert visible("x\u3164y\xad") == "x\\u3164y\\u00ad"


def test_each_character_is_spelt_as_json_spells_it() -> None:
    assert visible("a\x1b[31mb\nc\td\x9b\u202e\U000e0041\ud800") == (
        "a\\u001b[31mb\\nc\td\\u009b\\u202e\\udb40\\udc41\\ud800"
    )


@pytest.mark.parametrize(
    "text",
    ["👩‍👩‍👧", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇩🇪", "👍🏽", "می‌خواهم", "שלום", "日本語", "é", "葛󠄀", "10 \xa0€ …"],
)
def test_emoji_flags_and_alphabets_stay_as_they_are(text: str) -> None:
    assert visible(text) == text


@given(st.dictionaries(foreign, foreign, max_size=2))
def test_a_line_of_json_means_the_same(value: dict[str, str]) -> None:
    assert json.loads(visible(json.dumps(value, ensure_ascii=False))) == value


class Log:
    """Keeps what run.log would be told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line)


def as_text(act: Callable[[TextDisplay], None], *, is_terminal: bool) -> str:
    stream = io.StringIO()
    act(TextDisplay(None, FakeClock(), lines=Lines(stream, is_terminal=is_terminal)))
    return stream.getvalue()


def speak(text: str, at: int) -> Callable[[TextDisplay], None]:
    def spoken(display: TextDisplay) -> None:
        display.speaker("tuned")
        display.speech(text[:at])
        display.speech(text[at:])
        display.end("")

    return spoken


@given(foreign, st.integers(0, 20), st.booleans())
def test_whatever_a_display_is_told_it_prints_what_can_be_seen(text: str, at: int, is_terminal: bool) -> None:
    def tell(display: TextDisplay) -> None:
        display.begin(text, text, Path(text.replace("\0", "")), [])
        display.skipped(1, 10, "load", text)
        display.finished(1, 10, "load", text, 0.0)
        display.note(text)
        display.table([text])
        display.end(text)

    lines = 7 if text else 6
    printed = as_text(tell, is_terminal=False)
    assert not any(map(steers, OURS.sub("", printed).replace("\n", "")))
    assert printed.count("\n") == lines - 1
    for act in (tell, speak(text, at)):
        assert not any(map(steers, OURS.sub("", as_text(act, is_terminal=is_terminal)).replace("\n", "")))


@given(foreign, st.integers(0, 20))
def test_an_answer_is_the_same_however_it_is_cut(text: str, at: int) -> None:
    assert as_text(speak(text, at), is_terminal=True) == as_text(speak(text, len(text)), is_terminal=True)


def test_an_answer_with_the_line_ends_of_windows_has_lines() -> None:
    assert as_text(speak("one\r\ntwo\rthree", 4), is_terminal=False) == ("      tuned  one\n             two\\rthree\n")


@given(foreign)
def test_every_other_way_to_a_person_prints_what_can_be_seen(text: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        lines = Lines(out, is_terminal=True)
        printed: list[Callable[[], object]] = [
            lambda: say(text),
            lambda: say_aside(text),
            lambda: show(text),
            lambda: show_in_place(text, 80),
            lambda: say(lines.flow(text)),
            lambda: say(lines.styled([(text, "bold")])),
            lambda: say(shown(f"2026-11-22T00:00:00Z       {text}", lines)),
            lambda: say(f"Go on with: {Invocation(Path(text.replace(chr(0), '')), (text,)).command('run')}"),
            lambda: say(str(FinetuneError(text, text, got=text, fix=text))),
        ]
        sender = Sender(text, f"{text} ", False)
        chat = Chat(text, "direct", text, [text])
        rows = [*lines_of([sender], everybody=True, width=80), *lines_of([chat], everybody=True, width=80)]
        printed += [partial(say, row) for row in rows]
        for act in printed:
            act()
            assert not any(map(steers, OURS.sub("", (out.getvalue() + err.getvalue())).replace("\n", "")))
            out.seek(0)
            out.truncate()


@given(foreign)
def test_json_and_the_log_hold_lines_that_can_be_seen_and_mean_the_same(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()  # what a person types or an archive holds: no halves
    log, out = Log(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        JsonDisplay(cast(RunLog, log), FakeClock()).end(f"-{text}")
    assert not any(map(steers, out.getvalue().removesuffix("\n")))
    assert msgspec.json.decode(out.getvalue())["text"] == f"-{text}"


def test_the_log_keeps_one_line_for_one_that_was_said(tmp_path: Path) -> None:
    log = RunLog(tmp_path, print)
    log.write(f"said {HOSTILE}")
    log.close()
    assert (tmp_path / "run.log").read_text() == f"said {visible(HOSTILE)}\n"


def test_markup_in_what_moves_is_text() -> None:
    stream = io.StringIO()
    below = Below(stream, {"load": "[red]load[/red]"})
    below.show("load")
    below.update(1, 2, HOSTILE)
    below.hide()
    drawn = stream.getvalue()
    assert "[red]load[/red]" in drawn
    for code in ("\x1b]", "\x1b[2J", "\x9b", "\u202e", "\x85", "\x07"):
        assert code not in drawn


def test_what_cannot_be_seen_can_be_typed_all_the_same(tmp_path: Path) -> None:
    path = Path("it's \x1b[31mred\n\u202e\\x.yaml")
    command = Invocation(path).command("run").partition(" run ")[2]
    assert command == r"$'it\'s \x1b[31mred\x0a\xe2\x80\xae\\x.yaml'"
    said = subprocess.run(["bash", "-c", f"printf %s {command}"], capture_output=True, timeout=60, check=True)
    assert said.stdout.decode() == str(path)


def test_a_hostile_archive_steers_no_terminal(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    chat = json.dumps(f"Title {HOSTILE[:-1]}")
    speakers = [f"Hare {HOSTILE[:-1]}", "Tortoise"]
    messages = [
        {"id": n, "type": "message", "date": f"2023-08-28T21:{n:02}:00", "from": speakers[n % 2], "text": HOSTILE[:-1]}
        for n in range(40)
    ]
    (tmp_path / "result.json").write_text(
        f'{{"name": {chat}, "type": "personal_chat", "id": 1, "messages": {json.dumps(messages)}}}'
    )
    archive = ["--set=download.source=result.json", "--set=load.source=langchain", "--set=load.loader=telegram"]
    done = [
        shop.finetune("senders", "run.yaml", *archive),
        shop.finetune("inspect", "run.yaml", *archive, "--set=convert.min_examples=1"),
        shop.finetune("inspect", "run.yaml", *archive, "--set=map.assistant=Hare \x1b[2J"),
    ]
    assert [each.code for each in done] == [0, 0, 2]
    printed = "".join(f"{each.out}\n{each.err}\n" for each in done) + (shop.run_dir / "run.log").read_text()
    assert "\\u001b]52;c;ZXZpbA==\\u0007" in printed
    assert not any(map(steers, printed.replace("\n", "")))


@pytest.mark.parametrize(
    ("number", "noun", "plural", "said"),
    [
        (0, "session", None, "0 sessions"),
        (1, "session", None, "1 session"),
        (1234, "session", None, "1,234 sessions"),
        (1, "person", "people", "1 person"),
        (2, "person", "people", "2 people"),
    ],
)
def test_a_number_stands_with_its_noun(number: int, noun: str, plural: str | None, said: str) -> None:
    assert counted(number, noun, plural) == said


def test_times_and_sizes_are_said_as_people_say_them() -> None:
    assert [took(seconds) for seconds in (0.04, 59.94, 59.96, 130, 3600, 7_299)] == [
        "0.0 s", "59.9 s", "1 min 00 s", "2 min 10 s", "1 h 00 min", "2 h 01 min",
    ]  # fmt: skip
    assert [about(seconds) for seconds in (0.5, 90, 86_400)] == ["0.5 s", "1.5 min", "24 h"]
    assert [in_bytes(size) for size in (999, 27_400, 1_500_000, 2_600_000_000)] == ["999 B", "27 kB", "2 MB", "3 GB"]
