import io
import re
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.lines import Lines
from pipeline.logs import log_lines, shown
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
