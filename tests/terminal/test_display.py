"""What a person sees, in a terminal and in a pipe."""

import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyte
import pytest

from pipeline.process.clock import SystemClock
from pipeline.terminal.display import JsonDisplay, TextDisplay
from pipeline.terminal.run_log import RunLog
from pipeline.terminal.style import Lines
from tests.conftest import FakeClock
from tests.growth import assert_linear

STEPS = ("download", "load")


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("COLUMNS", "60"), ("LINES", "20"), ("NO_COLOR", "1"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)


class Screen(TextDisplay):
    """A display on a terminal, or a pipe, of 60 columns that keeps what it was sent."""

    def __init__(self, *, terminal: bool, log: RunLog | None = None) -> None:
        self.sent = io.StringIO()
        self.time = FakeClock()
        super().__init__(log, self.time, lines=Lines(self.sent, is_terminal=terminal))

    def shown(self) -> list[str]:
        """What a person sees now."""
        screen = pyte.Screen(int(os.environ["COLUMNS"]), 20)
        pyte.Stream(screen).feed(self.sent.getvalue().replace("\n", "\r\n"))
        return "\n".join(line.rstrip() for line in screen.display).rstrip().split("\n")


def test_a_pipe_gets_plain_lines_without_control_codes() -> None:
    screen = Screen(terminal=False)
    screen.begin("tortoise", "the embedded server", Path("runs/tortoise"), STEPS)
    screen.started("download", "it was interrupted")
    for part in (1.0, 50.0, 51.0, 100.0):
        screen.time.sleep(1.5)
        screen.progress(part, 100.0, f"{part:.0f} MB")
    screen.finished(1, 2, "download", "01_archive.db", 6.0)
    screen.skipped(2, 2, "load", "10 sessions")
    screen.end("Talk to it.")
    assert screen.sent.getvalue().splitlines() == [
        "tortoise with the embedded server, in runs/tortoise/",
        "      download runs again: it was interrupted",
        "      1 MB  1.5 s",
        "      50 MB  3.0 s",
        "      100 MB  6.0 s",
        " 1/2 download         6.0 s  01_archive.db",
        " 2/2 load       done before  10 sessions",
        "Talk to it.",
    ]


def test_a_terminal_shows_the_step_at_work_above_those_to_come_and_is_left_with_the_lines() -> None:
    screen = Screen(terminal=True)
    screen.begin("tortoise", "the embedded server", Path("runs/tortoise"), STEPS)
    head = "tortoise with the embedded server, in runs/tortoise/"
    screen.started("download", None)
    screen.progress(50.0, 100.0, "50 MB")
    screen.note("a note")
    first, second, at_work, to_come = screen.shown()
    assert (first, second, to_come) == (head, "      a note", " 2/2 load")
    assert re.fullmatch(r" 1/2 download    . 0:00:00 50 MB", at_work), at_work
    screen.finished(1, 2, "download", "01_archive.db", 6.0)
    screen.started("load", None)
    assert re.fullmatch(r" 2/2 load        . 0:00:00", screen.shown()[-1]), screen.shown()
    screen.finished(2, 2, "load", "10 sessions", 0.1)
    screen.end("")
    assert screen.shown() == [
        head,
        "      a note",
        " 1/2 download         6.0 s  01_archive.db",
        " 2/2 load             0.1 s  10 sessions",
    ]


def test_what_is_seen_to_before_the_first_step_is_shown_above_all_of_them() -> None:
    screen = Screen(terminal=True)
    screen.begin("tortoise", "the embedded server", Path("runs/tortoise"), STEPS)
    head = "tortoise with the embedded server, in runs/tortoise/"
    screen.preparing("fetch the model")
    screen.progress(50.0, 100.0, "50 MB")
    screen.note("it is there")
    first, second, at_work, *to_come = screen.shown()
    assert (first, second, to_come) == (head, "      it is there", [" 1/2 download", " 2/2 load"])
    assert re.fullmatch(r"      fetch the model . 0:00:00 50 MB", at_work), at_work
    screen.started("download", None)
    assert re.fullmatch(r" 1/2 download    . 0:00:00", screen.shown()[2]), screen.shown()
    screen.finished(1, 2, "download", "01_archive.db", 6.0)
    assert screen.shown() == [head, "      it is there", " 1/2 download         6.0 s  01_archive.db"]


def test_a_command_without_steps_shows_what_it_sees_to_and_leaves_nothing() -> None:
    screen = Screen(terminal=True)
    screen.preparing("fetch the model")
    assert re.fullmatch(r"      fetch the model . 0:00:00", screen.shown()[0]), screen.shown()
    screen.end("")
    assert screen.shown() == [""]


def test_the_log_is_told_each_tenth_that_a_terminal_shows_in_place(tmp_path: Path) -> None:
    log = RunLog(tmp_path, pytest.fail)
    screen = Screen(terminal=True, log=log)
    screen.begin("tortoise", "the embedded server", Path("runs/tortoise"), STEPS)
    screen.started("download", None)
    for part in (1.0, 50.0, 51.0, 100.0):
        screen.time.sleep(1.5)
        screen.progress(part, 100.0, f"{part:.0f} MB")
    screen.end("")
    log.close()
    head = "tortoise with the embedded server, in runs/tortoise/"
    assert screen.shown() == [head]
    assert (tmp_path / "run.log").read_text().splitlines() == [
        f"2026-11-22T00:00:00Z {head}",
        "2026-11-22T00:00:01Z       1 MB  1.5 s",
        "2026-11-22T00:00:03Z       50 MB  3.0 s",
        "2026-11-22T00:00:06Z       100 MB  6.0 s",
    ]


def test_speech_is_indented_and_broken_between_words_in_a_terminal() -> None:
    said = ["The gol", "den thread is spun from patience", " and", " from nothing else.\n\nEver", "."]
    shown = {}
    for terminal in (True, False):
        screen = Screen(terminal=terminal)
        screen.speaker("tuned")
        for piece in said:
            screen.speech(piece)
        screen.end("")
        shown[terminal] = screen.shown() if terminal else screen.sent.getvalue().splitlines()
    assert shown[True] == [
        "      tuned  The golden thread is spun from patience and",
        "             from nothing else.",
        "",
        "             Ever.",
    ]
    assert shown[False] == [
        "      tuned  The golden thread is spun from patience and from nothing else.",
        "",
        "             Ever.",
    ]


def test_a_wide_terminal_has_room_for_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    screen = Screen(terminal=True)
    screen.begin("tortoise", "the embedded server", Path("runs/tortoise"), STEPS)
    screen.started("download", None)
    screen.progress(50.0, 100.0, "50 MB")
    screen.note("a note")
    at_work = screen.shown()[2]
    screen.end("")
    assert re.fullmatch(r" 1/2 download    . 0:00:00 ━{12} {13}50 MB", at_work), at_work


def test_a_word_without_end_takes_as_long_as_it_is_to_show() -> None:
    def work(size: int) -> Callable[[], object]:
        def speak() -> None:
            display = TextDisplay(None, SystemClock(), None, Lines(io.StringIO(), is_terminal=True))
            display.speaker("tuned")
            for _ in range(size):
                display.speech("a")
            display.end("")

        return speak

    assert_linear(work, 10_000)


def test_json_holds_an_answer_that_is_a_text_of_a_librarys_own_class(capsys: pytest.CaptureFixture[str]) -> None:
    class Accessor(str):
        """As langchain_core.messages.TextAccessor, which its parsers pass on."""

    JsonDisplay(None, FakeClock()).speech(Accessor("Slow"))
    assert msgspec.json.decode(capsys.readouterr().out)["text"] == "Slow"
