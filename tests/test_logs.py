import re
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.logs import log_lines
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
