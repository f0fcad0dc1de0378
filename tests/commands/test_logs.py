import io
import os
import re
from pathlib import Path

import pytest

from pipeline.commands.logs import last_said, log_lines, shown
from pipeline.errors import InputError
from pipeline.terminal.style import Lines
from tests.conftest import FakeClock


def test_whole_lines_are_read_and_a_half_written_one_waits(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text("one\ntwo\nhal")
    assert list(log_lines(log, follow=False, clock=FakeClock())) == ["one", "two"]


def test_following_goes_on_where_the_log_grows(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text("one\nhal")

    class Writer(FakeClock):
        """Somebody who finishes the line while we wait."""

        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            with log.open("a") as file:
                file.write("f\n")

    lines = log_lines(log, follow=True, clock=Writer())
    assert [next(lines), next(lines)] == ["one", "half"]


def test_a_run_that_never_began_has_no_log(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    message = f"{log}: nothing has run yet. Begin with `finetune run CONFIG`."
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        list(log_lines(log, follow=False, clock=FakeClock()))


LOG = (
    "2026-11-22T18:15:00Z tortoise with the embedded server, in runs/tortoise/",
    "2026-11-22T18:15:00Z  2/10 load             0.0 s  4 sessions, 1,134 messages; left out: 40 tapback or vote",
    "2026-11-22T18:15:01Z       the trainer took all 131 examples with their 228 targets",
    '{"event":"begin","at":"2026-11-22T18:15:00Z","name":"tortoise","backend":"the embedded server","steps":[]}',
)


def test_a_terminal_shows_long_lines_of_a_log_below_their_own_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Lines(io.StringIO(), is_terminal=True)
    assert "\n".join(shown(line, terminal) for line in LOG[:3]).split("\n") == [
        "2026-11-22T18:15:00Z tortoise with the embedded server, in",
        "                     runs/tortoise/",
        "2026-11-22T18:15:00Z  2/10 load             0.0 s  4 sessions, 1,134",
        "                           messages; left out: 40 tapback or vote",
        "2026-11-22T18:15:01Z       the trainer took all 131 examples with their",
        "                           228 targets",
    ]
    assert shown(LOG[3], terminal) == LOG[3]


def test_a_terminal_shows_the_times_of_a_log_dimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    said = shown("2026-11-22T18:15:01Z       a note", Lines(io.StringIO(), is_terminal=True))
    assert said == "\x1b[2m2026-11-22T18:15:01Z \x1b[0m      a note"


def test_a_pipe_gets_a_log_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert [shown(line, Lines(io.StringIO())) for line in LOG] == list(LOG)


BEGAN = "2026-11-22T18:15:00Z"
BEFORE_IT = f"{BEGAN}       a job is made\n{BEGAN}  8/10 create_job       0.1 s  ftjob-1\n"


@pytest.mark.parametrize(
    ("logged", "said"),
    [
        ("", None),
        (f"{BEGAN}       step 1/9  loss 3.0\n2026-11-22T18:16:00Z       step 2/9  loss 2.9\n", "step 2/9  loss 2.9"),
        (f"{BEGAN}       step 1/9  loss 3.0\n2026-11-22T18:16:00Z       step 2", "step 1/9  loss 3.0"),
        (f"{BEGAN}       step 1/9\n{BEGAN} stopped by Ctrl-C.\n{BEGAN}       convert runs again\n", "step 1/9"),
        (f"{BEGAN}       step 1/9\n{BEGAN}       convert runs again\n{BEGAN}  5/10 convert          0.1 s  10\n", None),
        (f"{BEGAN}       step 1/9\n2026-99-99T18:15:00Z       step 2/9\n\0\xff\n{BEGAN}       \x1b[2J\n", "step 1/9"),
        ("x" * 20_000 + f"\n{BEGAN}       step 1/9\n", "step 1/9"),
    ],
    ids=["nothing", "progress", "half a line", "stopped, then asked", "another step after a kill", "damaged", "long"],
)
def test_what_a_step_said_last_is_found_at_the_end_of_the_log(tmp_path: Path, logged: str, said: str | None) -> None:
    log = tmp_path / "run.log"
    log.write_bytes((BEFORE_IT + logged).encode("latin-1"))
    found = last_said(log, BEGAN)
    assert (found and found["text"]) == said


def test_when_it_was_said_is_told_too(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(f"2026-11-22T18:14:59Z       step 1/9\n{BEGAN}       step 2/9\n")
    assert last_said(log, BEGAN) == {"at": BEGAN, "text": "step 2/9"}
    assert last_said(log, "2026-11-22T18:15:01Z") is None


def test_a_log_that_cannot_be_read_says_nothing_and_nobody_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "log").write_text(f"{BEGAN}       step 1/9\n")
    (tmp_path / "link").symlink_to("log")
    assert [last_said(tmp_path / name, BEGAN) for name in ("nothing", "folder", "pipe", "link")] == [None] * 4


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_read(tmp_path: Path, clock: FakeClock, kind: str) -> None:
    log = tmp_path / "run.log"
    if kind == "pipe":
        os.mkfifo(log)
    else:
        log.symlink_to("/dev/zero")
    with pytest.raises(OSError, match="Not a file" if kind == "pipe" else "Too many levels"):
        list(log_lines(log, follow=False, clock=clock))
